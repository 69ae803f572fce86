/*
 * mod_natpasv - one line about what is in force
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "summary.h"
#include "common_list.h"
#include "config.h"
#include "pools.h"
#include "shared.h"

static void print(const struct natpasv_pool *pool, char *text, size_t size) {
  bool defined = natpasv_pool_find(pool->name) != NULL;
  char ports[128], outside[48] = "";

  (void) natpasv_ports_print(&pool->ports, ports, sizeof(ports));
  if (pool->external != 0) {
    (void) pr_snprintf(outside, sizeof(outside), ", announced as %u-%u",
      pool->external, pool->external + pool->ports.count - 1);
  }
  (void) pr_snprintf(text, size, "%s%s%s %s (%u port%s%s)",
    defined ? "pool '" : "PassivePorts", defined ? pool->name : "",
    defined ? "'" : "", ports, pool->ports.count,
    pool->ports.count == 1 ? "" : "s", outside);
}

/* The pools, and where their leases are. */
static void list_pools(pool *p, char *text, size_t size) {
  array_header *pools = natpasv_pools(p);
  struct natpasv_pool **all = pools->elts;
  struct list list = list_begin(text, size);
  char item[256];

  for (unsigned int i = 0; i < (unsigned int) pools->nelts; i++) {
    print(all[i], item, sizeof(item));
    list_add(&list, item);
  }
  if (pools->nelts == 0) {
    list_add(&list, "any port that the kernel chooses");
  }
  list_end(&list);
}

void natpasv_summary_say(void) {
  unsigned int all = 0, on = 0;
  char text[512];
  pool *p;

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    all++;
    on += natpasv_config_any_on(s->conf);
  }

  if (on == 0) {
    pr_log_pri(PR_LOG_NOTICE,
      MOD_NATPASV_VERSION ": in force for no server: NATPasvEngine is off");
    return;
  }

  p = make_sub_pool(permanent_pool);
  pr_pool_tag(p, MOD_NATPASV_VERSION " summary");
  list_pools(p, text, sizeof(text));
  pr_log_pri(PR_LOG_NOTICE,
    MOD_NATPASV_VERSION ": in force for %u of %u servers: %s; leases in %s", on,
    all, text, natpasv_shared_place());
  destroy_pool(p);
}
