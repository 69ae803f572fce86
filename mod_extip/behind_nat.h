/*
 * mod_extip - a router that is behind a NAT itself
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_BEHIND_NAT_H
#define EXTIP_BEHIND_NAT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* What a router whose outside address is ADDR has in front of it, if the
 * address is private (RFC 1918), shared (RFC 6598) or link-local; else NULL. */
const char *extip_nat_before(struct in_addr addr);

/* True if there is such a NAT. REASON then says so, and what to do. */
bool extip_behind_nat(struct in_addr addr, char *reason, size_t reason_size);

#endif
