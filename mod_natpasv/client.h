/*
 * mod_natpasv - whether a client that waits still does
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

/* Whether the client of this session is gone, or has said since its last
 * command that it wants no more: ABOR or QUIT, which stay to be read. What a
 * client says in TLS is seen only as far as it has been read already. */
int natpasv_client_gave_up(void);

#endif
