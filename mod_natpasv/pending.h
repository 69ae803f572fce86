/*
 * mod_natpasv - unread commands of a client
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_PENDING_H
#define NATPASV_PENDING_H

#include <stddef.h>

enum natpasv_pending {
  NATPASV_PENDING_NONE, /* or an incomplete line */
  NATPASV_PENDING_ABOR,
  NATPASV_PENDING_QUIT,
  NATPASV_PENDING_OTHER
};

/* The first command in these lines from a client, except NOOP. Telnet bytes
 * before it, which RFC 959, 4.1.3 requires before ABOR, are skipped. Later
 * commands do not count: a client that sends LIST and QUIT wants the list
 * first. */
enum natpasv_pending natpasv_pending_first(const char *lines, size_t size);

#endif
