/*
 * common_check.h - what mod_natpasv tells mod_extip for ftpdctl extip check
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef COMMON_CHECK_H
#define COMMON_CHECK_H

#include <stdint.h>

#define CHECK_PORTS 8 /* of a pool that are tried */

/* The answer of HOOK natpasv_check: an array_header of these. */
struct check_pool {
  const char *name;
  uint16_t inside[CHECK_PORTS];     /* ports that nobody uses now; 0: no more */
  uint16_t outside[CHECK_PORTS];    /* as clients are told */
  unsigned long granted, unreached; /* listeners, as 'status' counts them */
};

#endif
