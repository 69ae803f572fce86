/*
 * mod_keepalive - one place for what is logged
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

/* A line goes to one place: KeepaliveLog if there is one, else the system log.
 */
__attribute__((format(printf, 1, 2))) void keepalive_log(const char *fmt, ...);

/* Opens KeepaliveLog at this path, as root; NULL or "none" closes it. */
void keepalive_log_open(const char *path);
void keepalive_log_close(void);

#endif
