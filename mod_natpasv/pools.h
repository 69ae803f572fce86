/*
 * mod_natpasv - the pools of the configuration
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * NATPasvPool is parsed here. A pool made of PassivePorts is named by its
 * ports, so that the same range is the same pool everywhere.
 */

#ifndef NATPASV_POOLS_H
#define NATPASV_POOLS_H

#include "mod_natpasv.h"

#define NATPASV_DEFAULT_QUARANTINE 60 /* seconds */

struct natpasv_pool {
  const char *name;
  struct natpasv_ports ports;
  unsigned external; /* announced for the first port; 0 the port itself */
  unsigned quarantine;
  const pr_netaddr_t *listen; /* NULL where the client came */
  uint32_t queue;
};

/* The arguments of NATPasvPool; NULL, or what is wrong with them. */
const char *natpasv_pool_parse(
  pool *p, cmd_rec *cmd, struct natpasv_pool **result);

/* The pool that PassivePorts of these servers or sections makes; NULL if
 * there is no such directive. */
struct natpasv_pool *natpasv_pool_of_passiveports(pool *p, xaset_t *conf);

/* A pool that the main server defines; NULL if it does not. */
struct natpasv_pool *natpasv_pool_find(const char *name);

/* All pools: defined ones, then those of PassivePorts of servers whose engine
 * is on. Elements are struct natpasv_pool pointers. */
array_header *natpasv_pools(pool *p);

/* What is announced for a port of the pool. */
unsigned natpasv_pool_announced(const struct natpasv_pool *pool, unsigned port);

/* Whether a server's engine is on. */
int natpasv_engine(xaset_t *conf);

#endif
