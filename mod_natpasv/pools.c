/*
 * mod_natpasv - the pools of the configuration
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "pools.h"
#include "queue.h"
#include "rules.h"
#include "options.h"
#include "words.h"

#define POOL_SYNTAX                                                  \
  "<name> <ports> [external <first port>] [listen <local address>] " \
  "[quarantine <duration>]"

static const char *set_external(pool *p, void *target, const char *value) {
  struct natpasv_pool *pool = target;
  struct natpasv_ports port;

  if (natpasv_ports_parse(&port, value, NATPASV_MIN_PORT) < 0 ||
      port.count != 1 ||
      port.range[0].first + pool->ports.count - 1 > NATPASV_MAX_PORT) {
    char *most = palloc(p, 8);

    (void) pr_snprintf(most, 8, "%u", NATPASV_MAX_PORT + 1 - pool->ports.count);
    return pstrcat(p, "external '", value, "' is not a port from 1024 to ",
      most, ", the last that leaves room for the pool", NULL);
  }

  pool->external = port.range[0].first;
  return NULL;
}

static const char *set_listen(pool *p, void *target, const char *value) {
  struct natpasv_pool *pool = target;
  if (pr_netaddr_is_v4(value) != TRUE && pr_netaddr_is_v6(value) != TRUE) {
    return pstrcat(
      p, "listen '", value, "' is not an IPv4 or IPv6 address", NULL);
  }

  pool->listen = pr_netaddr_get_addr(p, value, NULL);
  return pool->listen == NULL
           ? pstrcat(p, "listen '", value, "': ", strerror(errno), NULL)
           : NULL;
}

static const char *set_quarantine(pool *p, void *target, const char *value) {
  struct natpasv_pool *pool = target;
  if (natpasv_parse_duration(value, &pool->quarantine) < 0) {
    return pstrcat(
      p, "quarantine '", value, "' is not " NATPASV_DURATION_SYNTAX, NULL);
  }
  return NULL;
}

static const struct natpasv_option options[] = {
  { "external", set_external },
  { "listen", set_listen },
  { "quarantine", set_quarantine },
  { NULL, NULL },
};

const char *natpasv_pool_parse(
  pool *p, cmd_rec *cmd, struct natpasv_pool **result) {
  struct natpasv_pool *pool;
  const char *name, *ports;

  if (cmd->argc < 3) {
    return "wrong number of parameters, expected " POOL_SYNTAX;
  }

  name = cmd->argv[1];
  ports = cmd->argv[2];

  if (!natpasv_is_name(name, NATPASV_POOL_MAX)) {
    return pstrcat(p, "'", name,
      "' cannot name a pool: expected 1 to 31 of A-Z a-z 0-9 . _ -", NULL);
  }

  pool = pcalloc(p, sizeof(struct natpasv_pool));
  pool->name = pstrdup(p, name);
  pool->queue = natpasv_queue_of(name);
  pool->quarantine = NATPASV_DEFAULT_QUARANTINE;

  if (natpasv_ports_parse(&pool->ports, ports, NATPASV_MIN_PORT) < 0) {
    return pstrcat(p, "ports '", ports, "' of pool '", name, "' are not ",
      errno == E2BIG ? "at most 64 of " : "", NATPASV_PORTS_SYNTAX, NULL);
  }

  *result = pool;
  return natpasv_options_parse(p, cmd, 3, options, pool, POOL_SYNTAX);
}

struct natpasv_pool *natpasv_pool_of_passiveports(pool *p, xaset_t *conf) {
  struct natpasv_pool *pool;
  config_rec *c;
  char *name;

  c = find_config(conf, CONF_PARAM, "PassivePorts", FALSE);
  if (c == NULL) {
    return NULL;
  }

  name = palloc(p, NATPASV_POOL_MAX + 1);
  (void) pr_snprintf(name, NATPASV_POOL_MAX + 1, "%d-%d", *((int *) c->argv[0]),
    *((int *) c->argv[1]));

  pool = pcalloc(p, sizeof(struct natpasv_pool));
  pool->name = name;
  pool->queue = natpasv_queue_of(name);
  pool->quarantine = NATPASV_DEFAULT_QUARANTINE;
  return natpasv_ports_parse(&pool->ports, name, 1) < 0 ? NULL : pool;
}

struct natpasv_pool *natpasv_pool_find(const char *name) {
  server_rec *main = (server_rec *) server_list->xas_list;
  config_rec *c;

  for (c = find_config(main->conf, CONF_PARAM, "NATPasvPool", FALSE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvPool", FALSE)) {
    struct natpasv_pool *pool = c->argv[0];

    if (strcmp(pool->name, name) == 0) {
      return pool;
    }
  }
  return NULL;
}

/* Whether clients can come to a server that no rule gives a pool. */
static int needs_passiveports(xaset_t *conf) {
  config_rec *c;
  int for_all = FALSE;

  for (c = find_config(conf, CONF_PARAM, "NATPasvRule", TRUE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (rule->pool == NULL) {
      return TRUE;
    }
    for_all |= rule->class == NULL && c->set == conf;
  }
  return !for_all;
}

static void add_once(array_header *pools, struct natpasv_pool *pool) {
  struct natpasv_pool **all = pools->elts;
  unsigned i;

  for (i = 0; i < pools->nelts; i++) {
    if (strcmp(all[i]->name, pool->name) == 0) {
      return;
    }
  }
  *((struct natpasv_pool **) push_array(pools)) = pool;
}

array_header *natpasv_pools(pool *p) {
  array_header *pools = make_array(p, 4, sizeof(struct natpasv_pool *));
  server_rec *s = (server_rec *) server_list->xas_list;
  config_rec *c;

  for (c = find_config(s->conf, CONF_PARAM, "NATPasvPool", FALSE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvPool", FALSE)) {
    add_once(pools, c->argv[0]);
  }

  for (; s != NULL; s = s->next) {
    struct natpasv_pool *pool;

    if (!natpasv_engine(s->conf) || !needs_passiveports(s->conf)) {
      continue;
    }

    pool = natpasv_pool_of_passiveports(p, s->conf);
    if (pool != NULL) {
      add_once(pools, pool);
    }
  }
  return pools;
}

unsigned natpasv_pool_announced(
  const struct natpasv_pool *pool, unsigned port) {
  if (pool == NULL || pool->external == 0) {
    return port;
  }
  return pool->external + (unsigned) natpasv_ports_index(&pool->ports, port);
}

int natpasv_engine(xaset_t *conf) {
  config_rec *c = find_config(conf, CONF_PARAM, "NATPasvEngine", FALSE);

  return c != NULL && *((int *) c->argv[0]) == TRUE;
}
