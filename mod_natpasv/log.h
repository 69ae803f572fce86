/*
 * mod_natpasv - its log
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_LOG_H
#define NATPASV_LOG_H

#include "mod_natpasv.h"

/* Opens NATPasvLog if it is not open. */
void natpasv_log_start(void);

/* Writes a line to NATPasvLog, or to the system log with that priority if there
 * is none. */
void natpasv_log(int priority, const char *fmt, ...)
  __attribute__((format(printf, 2, 3)));

/* To the system log in any case, and to NATPasvLog if there is one. */
void natpasv_log_aloud(int priority, const char *fmt, ...)
  __attribute__((format(printf, 2, 3)));

#endif
