/*
 * mod_natpasv - ports of each pool for a trial from outside
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "samples.h"

#include "common_check.h"
#include "count.h"
#include "pools.h"
#include "random.h"
#include "shared.h"

/* How often a port is drawn: a pool may be full, or smaller than the sample. */
#define DRAWS 64

static void take(struct check_pool *sample, const struct natpasv_pool *pool,
  const struct natpasv_table *table, unsigned int port) {
  size_t n = 0;

  while (n < CHECK_PORTS && sample->inside[n] != 0) {
    if (sample->inside[n] == port) {
      return;
    }
    n++;
  }

  if (n < CHECK_PORTS && port != 0 && port != pool->left_out &&
      (table == NULL || table->map->port[port].owner == 0)) {
    sample->inside[n] = (uint16_t) port;
    sample->outside[n] = (uint16_t) natpasv_pool_announced(pool, port);
  }
}

static void count(struct check_pool *sample, const struct natpasv_pool *pool,
  const struct natpasv_table *table) {
  struct natpasv_counts row;

  for (unsigned int i = 0; table != NULL && i < NATPASV_ROWS; i++) {
    if (natpasv_count_get(table, i, &row) == 0 && row.ports == pool->key) {
      sample->granted += row.count[NATPASV_GRANTED];
      sample->unreached += row.count[NATPASV_UNREACHED];
    }
  }
}

array_header *natpasv_samples(pool *p) {
  array_header *pools = natpasv_pools(p),
               *samples = make_array(p, 4, sizeof(struct check_pool));
  struct natpasv_pool **all = pools->elts;
  const struct natpasv_table *table = natpasv_shared();

  for (unsigned int i = 0; i < (unsigned int) pools->nelts; i++) {
    const struct natpasv_pool *pool = all[i];
    struct check_pool *sample = push_array(samples);
    uint32_t n;

    memset(sample, 0, sizeof(*sample));
    sample->name = pool->name;
    count(sample, pool, table);
    take(sample, pool, table, natpasv_ports_nth(&pool->ports, 0));
    take(sample, pool, table,
      natpasv_ports_nth(&pool->ports, pool->ports.count - 1));
    for (int draw = 0; draw < DRAWS; draw++) {
      if (natpasv_random(pool->ports.count, &n) == 0) {
        take(sample, pool, table, natpasv_ports_nth(&pool->ports, n));
      }
    }
  }
  return samples;
}
