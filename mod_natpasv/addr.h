/*
 * mod_natpasv - which address a client is told
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_ADDR_H
#define NATPASV_ADDR_H

#include "common_local.h"
#include "rules.h"

struct natpasv_told {
  /* Dotted, from the pool or the configuration. "0.0.0.0", which clients take
   * for "the one you called", when they called over IPv6: an IPv4 address would
   * be another host's, or one on which nobody listens. */
  const char *address;
  bool as_local;           /* it is the local one, because the client is */
  const char *passed_over; /* and stock would have announced this; or NULL */
};

/* The address for the 227 reply of this session. */
struct natpasv_told natpasv_address(pool *p, const struct natpasv_rule *rule);

/* Whether the client of this session is in the LAN or behind a VPN, as
 * NATPasvLocal says. */
bool natpasv_address_is_local(void);

/* Counts this session with what it was told. True if it is time to tell the
 * operator that the local clients look like a proxy. */
bool natpasv_address_looks_like_proxy(
  struct local_run *run, const struct natpasv_told *told);

#endif
