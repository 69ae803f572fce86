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
 * Parses NATPasvPool. A pool that comes from PassivePorts is named after its
 * ports, so the same range is the same pool everywhere.
 */

#ifndef NATPASV_POOLS_H
#define NATPASV_POOLS_H

#include "mod_natpasv.h"
#include "ports.h"
#include "slice.h"

#define NATPASV_DEFAULT_QUARANTINE 60 /* seconds */

struct natpasv_pool {
  const char *name;
  struct natpasv_ports ports;
  const struct natpasv_ports *whole; /* of which they are a slice */
  struct natpasv_slice slice;
  unsigned int external; /* announced for the first port; 0: the port itself */
  unsigned int quarantine;
  unsigned int left_out; /* of PassivePorts: a control port in them, or 0 */
  const pr_netaddr_t *listen; /* NULL: the address that the client reached */
  uint64_t key;               /* of the ports */
};

/* Reads the arguments of NATPasvPool. NULL with a reason. */
struct natpasv_pool *natpasv_pool_parse(
  pool *p, cmd_rec *cmd, char *reason, size_t reason_size);

/* The pool of the PassivePorts directive in this configuration; NULL if there
 * is none. */
struct natpasv_pool *natpasv_pool_of_passiveports(pool *p, xaset_t *conf);

/* A pool that the main server defines; NULL if there is none of that name. */
struct natpasv_pool *natpasv_pool_find(const char *name);

/* All pools: defined ones, then those of PassivePorts of servers whose engine
 * is on. Elements are struct natpasv_pool pointers. */
array_header *natpasv_pools(pool *p);

/* What is announced for a port of the pool. */
unsigned int natpasv_pool_announced(
  const struct natpasv_pool *pool, unsigned int port);

#endif
