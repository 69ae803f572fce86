/*
 * mod_natpasv - the configuration checked before anybody is served
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "check.h"
#include "host.h"
#include "rules.h"

#define WARN(fmt, ...) \
  pr_log_pri(PR_LOG_WARNING, MOD_NATPASV_VERSION ": warning: " fmt, __VA_ARGS__)
#define FAIL(fmt, ...) \
  (pr_log_pri(PR_LOG_ERR, MOD_NATPASV_VERSION ": error: " fmt, __VA_ARGS__), -1)

static const char *ports_text(pool *p, const struct natpasv_ports *ports) {
  int length = natpasv_ports_print(ports, NULL, 0);
  char *text = palloc(p, (size_t) length + 1);

  (void) natpasv_ports_print(ports, text, (size_t) length + 1);
  return text;
}

const char *natpasv_check_new_pool(
  pool *p, server_rec *main, const struct natpasv_pool *pool) {
  config_rec *c;

  for (c = find_config(main->conf, CONF_PARAM, "NATPasvPool", FALSE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvPool", FALSE)) {
    const struct natpasv_pool *other = c->argv[0];
    unsigned port = natpasv_ports_overlap(&pool->ports, &other->ports);
    char *number;

    if (strcmp(pool->name, other->name) == 0) {
      return pstrcat(p, "there is already a pool '", pool->name,
        "', each pool needs a name of its own", NULL);
    }

    if (port != 0) {
      number = palloc(p, 8);
      (void) pr_snprintf(number, 8, "%u", port);
      return pstrcat(p, "ports '", ports_text(p, &pool->ports), "' of pool '",
        pool->name, "' overlap pool '", other->name, "' (",
        ports_text(p, &other->ports), ") at port ", number,
        ", each port can be in one pool only", NULL);
    }
  }
  return NULL;
}

static int any_engine(xaset_t *conf) {
  config_rec *c;

  for (c = find_config(conf, CONF_PARAM, "NATPasvEngine", TRUE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvEngine", TRUE)) {
    if (*((int *) c->argv[0]) == TRUE) {
      return TRUE;
    }
  }
  return FALSE;
}

int natpasv_check_any_engine(void) {
  server_rec *s;

  for (s = (server_rec *) server_list->xas_list; s != NULL; s = s->next) {
    if (any_engine(s->conf)) {
      return TRUE;
    }
  }
  return FALSE;
}

/* Rules
 */

static int check_rule(server_rec *s, const struct natpasv_rule *rule) {
  const char *class = rule->class != NULL ? rule->class : "*";

  if (rule->pool != NULL && natpasv_pool_find(rule->pool) == NULL) {
    return FAIL("NATPasvRule %s of server '%s': no NATPasvPool is named '%s'",
      class, s->ServerName, rule->pool);
  }

  if (rule->class != NULL && pr_class_find(rule->class) == NULL) {
    WARN("NATPasvRule %s of server '%s': there is no <Class %s>, so the rule "
         "is never used",
      class, s->ServerName, class);
  }

  if (rule->address == NATPASV_EXTIP && !pr_module_exists("mod_extip.c")) {
    WARN("NATPasvRule %s of server '%s': address extip without mod_extip "
         "loaded; MasqueradeAddress or the local address is announced",
      class, s->ServerName);
  }
  return 0;
}

static int check_twin(config_rec *c, const struct natpasv_rule *rule) {
  for (c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", FALSE)) {
    const struct natpasv_rule *other = c->argv[0];

    if (other != rule && other->section == rule->section &&
        (rule->class != NULL
            ? other->class != NULL && strcmp(rule->class, other->class) == 0
            : other->class == NULL)) {
      const char *class = rule->class != NULL ? rule->class : "*";

      return FAIL("NATPasvRule %s: there are two rules for '%s' in one "
                  "section, expected one",
        class, class);
    }
  }
  return 0;
}

static int check_rules(server_rec *s, xaset_t *conf) {
  config_rec *c;
  int res = 0;

  if (conf == NULL) {
    return 0;
  }

  for (c = (config_rec *) conf->xas_list; c != NULL; c = c->next) {
    if (c->config_type == CONF_PARAM && strcmp(c->name, "NATPasvRule") == 0) {
      if (check_rule(s, c->argv[0]) < 0 || check_twin(c, c->argv[0]) < 0) {
        res = -1;
      }

    } else if (check_rules(s, c->subset) < 0) {
      res = -1;
    }
  }
  return res;
}

/* Pools
 */

static int check_own_ports(const struct natpasv_pool *pool) {
  server_rec *s;
  int res = 0;

  for (s = (server_rec *) server_list->xas_list; s != NULL; s = s->next) {
    if (s->ServerPort != 0 && natpasv_ports_have(&pool->ports, s->ServerPort)) {
      res = FAIL("pool '%s' contains port %u, on which server '%s' listens: "
                 "leave it out of the pool",
        pool->name, s->ServerPort, s->ServerName);
    }
  }
  return res;
}

static int is_used(const struct natpasv_pool *pool, xaset_t *conf) {
  config_rec *c;

  for (c = find_config(conf, CONF_PARAM, "NATPasvRule", TRUE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (rule->pool != NULL && strcmp(rule->pool, pool->name) == 0) {
      return TRUE;
    }
  }
  return FALSE;
}

static void warn_if_unused(const struct natpasv_pool *pool) {
  server_rec *s;

  if (natpasv_pool_find(pool->name) == NULL) {
    return; /* of PassivePorts */
  }

  for (s = (server_rec *) server_list->xas_list; s != NULL; s = s->next) {
    if (is_used(pool, s->conf)) {
      return;
    }
  }
  WARN("pool '%s' is used by no NATPasvRule: add 'pool %s' to one", pool->name,
    pool->name);
}

static void warn_if_small(const struct natpasv_pool *pool) {
  if (ServerMaxInstances > pool->ports.count) {
    WARN("pool '%s' has %u ports but MaxInstances allows %lu sessions: when "
         "all want one at once some wait or get 425; enlarge the pool or lower "
         "MaxInstances",
      pool->name, pool->ports.count, ServerMaxInstances);
  }
}

/* The value that reserves what is reserved now and all pools that need it. */
static const char *reservation(pool *p, array_header *pools,
  const struct natpasv_ports *ephemeral, const char *reserved) {
  struct natpasv_pool **all = pools->elts;
  const char *text = reserved;
  unsigned i;

  for (i = 0; i < pools->nelts; i++) {
    if (natpasv_ports_overlap(&all[i]->ports, ephemeral) != 0) {
      text = pstrcat(
        p, text, *text != '\0' ? "," : "", ports_text(p, &all[i]->ports), NULL);
    }
  }
  return text;
}

static void warn_of_ephemeral(pool *p, array_header *pools) {
  struct natpasv_ports ephemeral;
  struct natpasv_pool **all = pools->elts;
  char reserved[NATPASV_RESERVED_MAX];
  unsigned i;

  if (natpasv_host_ephemeral(&ephemeral, reserved) < 0) {
    return;
  }

  for (i = 0; i < pools->nelts; i++) {
    if (natpasv_ports_overlap(&all[i]->ports, &ephemeral) != 0) {
      WARN("pool '%s' (%s) is inside the kernel's ephemeral ports %u-%u, which "
           "any outgoing connection may take; reserve it with this line in "
           "/etc/sysctl.d/proftpd.conf, then 'sysctl --system': "
           "net.ipv4.ip_local_reserved_ports = %s",
        all[i]->name, ports_text(p, &all[i]->ports), ephemeral.range[0].first,
        ephemeral.range[0].last, reservation(p, pools, &ephemeral, reserved));
    }
  }
}

/* What our sessions listen on is no stranger's. */
static void forget_own_listeners(uint64_t *listeners) {
  struct natpasv_table table;
  unsigned port;

  if (access(natpasv_table_path(), F_OK) < 0 ||
      natpasv_table_open_as_root(&table) < 0) {
    return;
  }

  for (port = NATPASV_MIN_PORT; port <= NATPASV_MAX_PORT; port++) {
    uint64_t owner;

    if (natpasv_lease_state(&table, port, &owner) == NATPASV_IS_LEASED) {
      listeners[natpasv_word(port)] &= ~natpasv_bit(port);
    }
  }
  natpasv_table_close(&table);
}

static void warn_of_strangers(array_header *pools) {
  struct natpasv_ports used;
  struct natpasv_pool **all = pools->elts;
  unsigned i, port;

  if (natpasv_host_listeners(used.mask) < 0) {
    return;
  }
  forget_own_listeners(used.mask);

  for (i = 0; i < pools->nelts; i++) {
    port = natpasv_ports_overlap(&all[i]->ports, &used);
    if (port != 0) {
      WARN(
        "something listens on port %u of pool '%s' already (see 'ss -tlnp "
        "sport = :%u'): such ports are skipped; stop it or leave the port out "
        "of the pool",
        port, all[i]->name, port);
    }
  }
}

static int check_pools(pool *p) {
  array_header *pools = natpasv_pools(p);
  struct natpasv_pool **all = pools->elts;
  unsigned i;
  int res = 0;

  for (i = 0; i < pools->nelts; i++) {
    if (check_own_ports(all[i]) < 0) {
      res = -1;
    }
    warn_if_unused(all[i]);
    warn_if_small(all[i]);
  }

  if (pools->nelts == 0) {
    WARN("%s",
      "the engine is on but there is neither a NATPasvPool nor "
      "PassivePorts: the kernel chooses any port, which a firewall or router "
      "in front of this server does not let through");
  }

  warn_of_ephemeral(p, pools);
  warn_of_strangers(pools);
  return res;
}

int natpasv_check_configuration(void) {
  server_rec *s;
  int res = 0;

  for (s = (server_rec *) server_list->xas_list; s != NULL; s = s->next) {
    if (check_rules(s, s->conf) < 0) {
      res = -1;
    }
  }

  if (natpasv_check_any_engine()) {
    pool *p = make_sub_pool(permanent_pool);

    pr_pool_tag(p, MOD_NATPASV_VERSION " checks");
    if (check_pools(p) < 0) {
      res = -1;
    }
    destroy_pool(p);
  }
  return res;
}
