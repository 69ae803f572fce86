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

#include "forwards.h"
#include "common_forward.h"
#include "config.h"
#include "rules.h"

bool natpasv_forwards_need(const struct natpasv_pool *pool) {
  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    for (config_rec *c = find_config(s->conf, CONF_PARAM, "NATPasvRule", TRUE);
         c != NULL;
         c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
      const struct natpasv_rule *rule = c->argv[0];

      if (rule->pool != NULL && strcmp(rule->pool, pool->name) == 0 &&
          rule->address != NATPASV_LOCAL) {
        return true;
      }
    }
  }

  /* Those of PassivePorts need no rule. */
  return natpasv_pool_find(pool->name) == NULL;
}

array_header *natpasv_forwards_wanted(pool *p) {
  array_header *list = make_array(p, 64, sizeof(struct forward_port));
  array_header *pools = natpasv_pools(p);
  struct natpasv_pool **all = pools->elts;
  unsigned int most = 0;

  for (unsigned int i = 0; i < (unsigned int) pools->nelts; i++) {
    if (!natpasv_forwards_need(all[i])) {
      all[i] = NULL;
    } else if (all[i]->ports.count > most) {
      most = all[i]->ports.count;
    }
  }

  for (unsigned int n = 0; n < most; n++) {
    for (unsigned int i = 0; i < (unsigned int) pools->nelts; i++) {
      unsigned int port =
        all[i] != NULL ? natpasv_ports_nth(&all[i]->ports, n) : 0;

      if (port != 0) {
        *((struct forward_port *) push_array(list)) =
          (struct forward_port){ (uint16_t) port,
            (uint16_t) natpasv_pool_announced(all[i], port) };
      }
    }
  }
  return list;
}

/* What the router does
 */

/* NULL if nobody sees to that. */
static const struct forwards *ask_extip(pool *p) {
  cmdtable *hook =
    pr_stash_get_symbol2(PR_SYM_HOOK, "extip_forward", NULL, NULL, NULL);
  modret_t *answer = NULL;

  if (hook != NULL) {
    answer = pr_module_call(
      hook->m, hook->handler, pr_cmd_alloc(p, 1, pstrdup(p, hook->command)));
  }
  return MODRET_ISHANDLED(answer) && MODRET_HASDATA(answer) ? answer->data
                                                            : NULL;
}

void natpasv_forwards_count(pool *p, const struct natpasv_pool *pool,
  unsigned int *asked, unsigned int *open) {
  const struct forwards *forwards = ask_extip(p);

  *asked = *open = 0;
  for (unsigned int i = 0; forwards != NULL && i < forwards->count; i++) {
    if (natpasv_ports_have(&pool->ports, forwards->forward[i].inside)) {
      *asked += 1;
      *open += forwards->forward[i].open;
    }
  }
}

/* The ports of POOL that are forwarded, as they were at the last look. */
static struct {
  const struct natpasv_pool *pool;
  uint64_t generation;
  struct natpasv_ports ports;
  uint64_t key;
  const struct forwards *forwards;
} limit;

static bool is_open(const struct forwards *forwards, unsigned int port) {
  for (unsigned int i = 0; i < forwards->count; i++) {
    if (forwards->forward[i].inside == port) {
      return forwards->forward[i].open;
    }
  }
  return false;
}

/* Adds a range to the list; false if it has as many as a pool may have. */
static bool add_range(array_header *list, unsigned int port) {
  struct natpasv_range *ranges = list->elts;
  unsigned int last = (unsigned int) list->nelts - 1;

  if (list->nelts > 0 && ranges[last].last + 1 == port) {
    ranges[last].last = port;
    return true;
  }
  if (list->nelts == NATPASV_MAX_RANGES) {
    return false;
  }
  *((struct natpasv_range *) push_array(list)) =
    (struct natpasv_range){ port, port };
  return true;
}

/* The order of the ports is that of the pool. */
static void look(pool *p, const struct natpasv_pool *pool) {
  array_header *list =
    make_array(p, NATPASV_MAX_RANGES, sizeof(struct natpasv_range));
  char text[NATPASV_MAX_RANGES * sizeof("65535-65535,")] = "";
  size_t len = 0;
  const struct natpasv_range *ranges;

  for (unsigned int n = 0, port;
       (port = natpasv_ports_nth(&pool->ports, n)) != 0; n++) {
    if (is_open(limit.forwards, port) && !add_range(list, port)) {
      break;
    }
  }

  ranges = list->elts;
  for (unsigned int i = 0; i < (unsigned int) list->nelts; i++) {
    len += (size_t) pr_snprintf(text + len, sizeof(text) - len, "%s%u-%u",
      i > 0 ? "," : "", ranges[i].first, ranges[i].last);
  }

  limit.ports.count = 0;
  if (len > 0) {
    (void) natpasv_ports_parse(&limit.ports, text, 1);
    limit.key = natpasv_ports_key(&limit.ports);
  }
}

const struct natpasv_ports *natpasv_forwards_limit(
  pool *p, const struct natpasv_pool *pool, uint64_t *key, bool *none) {
  *none = false;
  limit.forwards = ask_extip(p);
  if (limit.forwards == NULL) {
    return NULL;
  }

  if (limit.pool != pool || limit.generation != limit.forwards->generation) {
    limit.pool = pool;
    limit.generation = limit.forwards->generation;
    look(p, pool);
  }

  *none = limit.ports.count == 0;
  *key = limit.key;
  return *none ? NULL : &limit.ports;
}

unsigned int natpasv_forwards_outside(unsigned int port) {
  for (unsigned int i = 0; limit.forwards != NULL && i < limit.forwards->count;
       i++) {
    if (limit.forwards->forward[i].inside == port) {
      return limit.forwards->forward[i].outside;
    }
  }
  return 0;
}
