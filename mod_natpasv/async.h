/*
 * mod_natpasv - signals from the control connection
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_ASYNC_H
#define NATPASV_ASYNC_H

#include "mod_natpasv.h"

/* The process gets this signal whenever something comes on the control
 * connection, also its end. */
void natpasv_async_start(int signo);
void natpasv_async_stop(void);

/* The same, to end natpasv_futex_nap(), by SIGIO, which ProFTPD ignores. */
void natpasv_async_naps_start(void);
void natpasv_async_naps_stop(void);

#endif
