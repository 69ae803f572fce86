/*
 * mod_extip - percent-decoding of parts of a URI
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_PERCENT_H
#define EXTIP_PERCENT_H

#include <stddef.h>

/* LEN bytes as a new string, decoded; NULL with errno, EINVAL when they are
 * malformed or would hold a control character, which HTTP cannot carry. */
char *extip_percent_decode(const char *text, size_t len);

#endif
