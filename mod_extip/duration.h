/*
 * mod_extip - durations as ProFTPD takes them, read strictly
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_DURATION_H
#define EXTIP_DURATION_H

/* What may be said of it in an error message. */
#define EXTIP_DURATION_FORMS "such as 30, 30s, 5m, 1h or 01:30:00"

/* The longest that is taken: 30 days. */
#define EXTIP_DURATION_MAX (30 * 24 * 3600)

/*
 * Reads seconds ("90", "90s", "90sec"), minutes ("5m", "5min"), hours ("1h",
 * "1hr") or "hh:mm:ss", the whole string. 0, or -1 with errno EINVAL for
 * anything else and ERANGE for more than EXTIP_DURATION_MAX.
 */
int extip_duration_parse(const char *text, unsigned *seconds);

#endif
