/*
 * mod_keepalive - the results of a payload keepalive
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_RESULT_H
#define KEEPALIVE_RESULT_H

enum keepalive_result {
  KEEPALIVE_SENT,
  KEEPALIVE_BUSY,      /* a reply is being written */
  KEEPALIVE_UNREAD,    /* the peer has not taken what was sent before */
  KEEPALIVE_NO_ROOM,   /* its window has no room for this and the reply */
  KEEPALIVE_HANDSHAKE, /* TLS is in a handshake */
  KEEPALIVE_FAILED,    /* the write failed */
  KEEPALIVE_RESULTS
};

#endif
