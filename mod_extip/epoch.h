/*
 * mod_extip - whether a router has lost its mappings
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_EPOCH_H
#define EXTIP_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A router says in each message for how many seconds it has kept its mappings:
 * its epoch. True when one that said BEFORE can say NOW after PASSED_MS
 * milliseconds of this host's clock (RFC 6887 8.5). False: it has lost them, or
 * it is another router.
 */
bool extip_epoch_is_consistent(
  uint32_t before, uint32_t now, int64_t passed_ms);

#endif
