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
#include "config.h"
#include "options.h"
#include "rules.h"

#define POOL_SYNTAX                                         \
  "<name> <ports> [external <first port>] [slice <k>/<n>] " \
  "[listen <local address>] [quarantine <duration>]"

static int set_external(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_pool *pool = target;
  struct natpasv_ports port;

  (void) p;
  if (natpasv_ports_parse(&port, value, NATPASV_MIN_PORT) < 0 ||
      port.count != 1 ||
      port.range[0].first + pool->ports.count - 1 > NATPASV_MAX_PORT) {
    return natpasv_options_refuse(reason, reason_size,
      "external '%s' is not a port from 1024 to %u, the last that leaves room for the pool",
      value, NATPASV_MAX_PORT + 1 - pool->ports.count);
  }

  pool->external = port.range[0].first;
  return 0;
}

static int set_slice(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_pool *pool = target;
  char hostname[256] = "";

  (void) p;
  (void) gethostname(hostname, sizeof(hostname) - 1);
  return natpasv_slice_parse(
    &pool->slice, value, hostname, reason, reason_size);
}

static int set_listen(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_pool *pool = target;

  if (pr_netaddr_is_v4(value) != TRUE && pr_netaddr_is_v6(value) != TRUE) {
    return natpasv_options_refuse(
      reason, reason_size, "listen '%s' is not an IPv4 or IPv6 address", value);
  }

  pool->listen = pr_netaddr_get_addr(p, value, NULL);
  return pool->listen != NULL ? 0
                              : natpasv_options_refuse(reason, reason_size,
                                  "listen '%s': %s", value, strerror(errno));
}

static int set_quarantine(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_pool *pool = target;

  (void) p;
  return natpasv_options_duration(
    "quarantine", value, &pool->quarantine, reason, reason_size);
}

static const struct natpasv_option options[] = {
  { "external", set_external },
  { "slice", set_slice },
  { "listen", set_listen },
  { "quarantine", set_quarantine },
  { NULL, NULL },
};

static struct natpasv_pool *make_pool(pool *p, const char *name) {
  struct natpasv_pool *pool = pcalloc(p, sizeof(struct natpasv_pool));

  pool->name = pstrdup(p, name);
  pool->quarantine = NATPASV_DEFAULT_QUARANTINE;
  return pool;
}

static int parse_pool(pool *p, cmd_rec *cmd, struct natpasv_pool *pool,
  char *reason, size_t reason_size) {
  const char *ports = cmd->argv[2];
  struct natpasv_ports *whole = palloc(p, sizeof(struct natpasv_ports));

  if (natpasv_ports_parse(&pool->ports, ports, NATPASV_MIN_PORT) < 0) {
    return natpasv_options_refuse(reason, reason_size,
      "ports '%s' of pool '%s' are not %s" NATPASV_PORTS_SYNTAX, ports,
      pool->name, errno == E2BIG ? "at most 64 of " : "");
  }

  *whole = pool->ports;
  pool->whole = whole;
  if (natpasv_options_parse(
        p, cmd, 3, options, pool, POOL_SYNTAX, reason, reason_size) < 0 ||
      natpasv_slice_cut(&pool->slice, &pool->ports, reason, reason_size) < 0) {
    return -1;
  }

  /* Outside, the whole range is mapped. */
  if (pool->external != 0 && pool->slice.n != 0) {
    pool->external += (pool->slice.k - 1) * pool->ports.count;
  }
  pool->key = natpasv_ports_key(&pool->ports);
  return 0;
}

struct natpasv_pool *natpasv_pool_parse(
  pool *p, cmd_rec *cmd, char *reason, size_t reason_size) {
  struct natpasv_pool *pool;

  if (cmd->argc < 3) {
    (void) natpasv_options_refuse(
      reason, reason_size, "wrong number of parameters, expected " POOL_SYNTAX);
    return NULL;
  }

  if (!natpasv_options_is_name(cmd->argv[1], NATPASV_POOL_MAX)) {
    (void) natpasv_options_refuse(reason, reason_size,
      "'%s' cannot name a pool: expected 1 to 31 of A-Z a-z 0-9 . _ -",
      (char *) cmd->argv[1]);
    return NULL;
  }

  pool = make_pool(p, cmd->argv[1]);
  return parse_pool(p, cmd, pool, reason, reason_size) < 0 ? NULL : pool;
}

/* The first port of first to last on which a server listens; 0 for none. */
static unsigned int control_port(unsigned int first, unsigned int last) {
  unsigned int found = 0;

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (s->ServerPort >= first && s->ServerPort <= last &&
        (found == 0 || s->ServerPort < found)) {
      found = s->ServerPort;
    }
  }
  return found;
}

static const char *range_text(
  pool *p, const char *before, unsigned int first, unsigned int last) {
  char range[16];

  if (first > last) {
    return before;
  }
  (void) pr_snprintf(range, sizeof(range), "%u-%u", first, last);
  return pstrcat(p, before, *before != '\0' ? "," : "", range, NULL);
}

struct natpasv_pool *natpasv_pool_of_passiveports(pool *p, xaset_t *conf) {
  struct natpasv_pool *pool;
  config_rec *c;
  unsigned int first, last, taken;
  const char *name, *text = "";

  c = find_config(conf, CONF_PARAM, "PassivePorts", FALSE);
  if (c == NULL) {
    return NULL;
  }

  first = (unsigned int) *((int *) c->argv[0]);
  last = (unsigned int) *((int *) c->argv[1]);
  name = range_text(p, "", first, last);
  pool = make_pool(p, name);
  pool->left_out = control_port(first, last);

  for (taken = pool->left_out; taken != 0; taken = control_port(first, last)) {
    text = range_text(p, text, first, taken - 1);
    first = taken + 1;
  }
  text = range_text(p, text, first, last);

  if (natpasv_ports_parse(&pool->ports, text, 1) < 0) {
    return NULL;
  }
  pool->whole = &pool->ports;
  pool->key = natpasv_ports_key(&pool->ports);
  return pool;
}

struct natpasv_pool *natpasv_pool_find(const char *name) {
  server_rec *main = (server_rec *) server_list->xas_list;

  for (config_rec *c =
         find_config(main->conf, CONF_PARAM, "NATPasvPool", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvPool", FALSE)) {
    struct natpasv_pool *pool = c->argv[0];

    if (strcmp(pool->name, name) == 0) {
      return pool;
    }
  }
  return NULL;
}

/* Whether a server can have clients to which no rule gives a pool. */
static bool needs_passiveports(xaset_t *conf) {
  bool for_all = false;

  for (config_rec *c = find_config(conf, CONF_PARAM, "NATPasvRule", TRUE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (rule->pool == NULL) {
      return true;
    }
    for_all = for_all || (rule->class == NULL && c->set == conf);
  }
  return !for_all;
}

static void add_once(array_header *pools, struct natpasv_pool *pool) {
  struct natpasv_pool **all = pools->elts;

  for (unsigned int i = 0; i < pools->nelts; i++) {
    if (all[i]->key == pool->key) {
      return;
    }
  }
  *((struct natpasv_pool **) push_array(pools)) = pool;
}

array_header *natpasv_pools(pool *p) {
  array_header *pools = make_array(p, 4, sizeof(struct natpasv_pool *));
  server_rec *s = (server_rec *) server_list->xas_list;

  for (config_rec *c = find_config(s->conf, CONF_PARAM, "NATPasvPool", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvPool", FALSE)) {
    add_once(pools, c->argv[0]);
  }

  for (; s != NULL; s = s->next) {
    struct natpasv_pool *pool;

    if (!natpasv_config_engine(s->conf) || !needs_passiveports(s->conf)) {
      continue;
    }

    pool = natpasv_pool_of_passiveports(p, s->conf);
    if (pool != NULL) {
      add_once(pools, pool);
    }
  }
  return pools;
}

unsigned int natpasv_pool_announced(
  const struct natpasv_pool *pool, unsigned int port) {
  if (pool == NULL || pool->external == 0) {
    return port;
  }
  return pool->external +
         (unsigned int) natpasv_ports_index(&pool->ports, port);
}
