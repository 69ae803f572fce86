/*
 * mod_natpasv - words of the configuration
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_WORDS_H
#define NATPASV_WORDS_H

#include <stddef.h>

/* A duration as ProFTPD writes it: "90", "90s", "90sec", "5m", "5min", "2h",
 * "2hr" or "hh:mm:ss", at most a day; nothing else, and no sign or blank. The
 * result is in seconds. -1 if it is not one. */
int natpasv_parse_duration(const char *text, unsigned *seconds);
#define NATPASV_DURATION_SYNTAX "a duration such as 0s, 90s, 5m or 00:01:30"

/* Whether it can name a pool: 1 to most of A-Z a-z 0-9 . _ - */
int natpasv_is_name(const char *text, unsigned most);

/* Whether one of these lines, as they come from a client, is ABOR or QUIT;
 * Telnet's bytes before it, as RFC 959, 4.1.3 wants them, do not count. The
 * last line may be only begun. */
int natpasv_says_stop(const char *lines, size_t size);

#endif
