/*
 * mod_natpasv - ports that the router forwards
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_FORWARDS_H
#define NATPASV_FORWARDS_H

#include "pools.h"

/* Whether clients that are told another address than the local one can get
 * ports of the pool. */
bool natpasv_forwards_need(const struct natpasv_pool *pool);

/* For HOOK natpasv_ports: all ports that clients outside may be given, those of
 * several pools in turn. Elements are struct forward_port. */
array_header *natpasv_forwards_wanted(pool *p);

/* How many ports of the pool the router is asked to forward, and how many it
 * does. The first is 0 if mod_extip does not see to that. */
void natpasv_forwards_count(pool *p, const struct natpasv_pool *pool,
  unsigned int *asked, unsigned int *open);

/* In a session: the ports of the pool that the router forwards, with their
 * KEY. NULL: all have to do, because mod_extip does not see to that, or because
 * (NONE) the router forwards none of them and somebody may have done so by
 * hand. Valid until the next call. */
const struct natpasv_ports *natpasv_forwards_limit(
  pool *p, const struct natpasv_pool *pool, uint64_t *key, bool *none);

/* Under which port outside the router forwards one of those; 0: it does not. */
unsigned int natpasv_forwards_outside(unsigned int port);

#endif
