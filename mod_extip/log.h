/*
 * mod_extip - one place for what is logged
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_LOG_H
#define EXTIP_LOG_H

enum extip_loudness { EXTIP_LOG_INFO, EXTIP_LOG_NOTICE, EXTIP_LOG_WARNING };

/* Each line goes to one place: to ExtIPLog if there is one, else to the system
 * log (EXTIP_LOG_INFO only with SyslogLevel info). */
__attribute__((format(printf, 2, 3))) void extip_log(
  enum extip_loudness loudness, const char *fmt, ...);

/* Opens ExtIPLog at PATH, with root privileges; NULL or "none" closes it. */
void extip_log_open(const char *path);
void extip_log_close(void);

#endif
