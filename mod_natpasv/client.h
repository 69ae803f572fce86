/*
 * mod_natpasv - whether a waiting client is still there
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_CLIENT_H
#define NATPASV_CLIENT_H

#include "mod_natpasv.h"

enum natpasv_client {
  NATPASV_CLIENT_WAITS,
  NATPASV_CLIENT_TALKS,  /* waits, and has sent something for later */
  NATPASV_CLIENT_LEAVES, /* QUIT, or it sends no more: data may still come */
  NATPASV_CLIENT_LEFT    /* ABOR, or its connection is gone */
};

/* How long the wait continues for a client that is about to leave,
 * because it may still connect for its data. With ProFTPD's own pauses this is
 * less than a second. */
#define NATPASV_GRACE_MS 400

/* What the client of this session has sent since its last command, which is not
 * done. The bytes remain unread. */
enum natpasv_client natpasv_client_look(void);

/* Whether the client no longer waits for a port. */
bool natpasv_client_gave_up(void);

#endif
