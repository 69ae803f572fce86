/*
 * mod_natpasv - which address a client is given
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_ADDR_H
#define NATPASV_ADDR_H

#include "rules.h"

/* Whether the address is loopback, link-local, RFC 1918, RFC 6598 (carrier
 * grade NAT), or the like in IPv6: a client in the LAN or behind a VPN. */
int natpasv_is_local(const pr_netaddr_t *addr);

/* The dotted IPv4 address for the 227 reply of this session, from p or the
 * configuration. "0.0.0.0", which clients take for "the one you called",
 * when there is no IPv4 address to give. */
const char *natpasv_address(pool *p, const struct natpasv_rule *rule);

#endif
