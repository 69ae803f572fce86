/*
 * mod_keepalive - its log
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_LOG_H
#define KEEPALIVE_LOG_H

#include "mod_keepalive.h"

/* Opens KeepaliveLog, a directive of the server config. */
void keepalive_log_start(void);
void keepalive_log_stop(void);

/* Writes a line to KeepaliveLog, or to the system log as a notice if there is
 * none. */
void keepalive_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
