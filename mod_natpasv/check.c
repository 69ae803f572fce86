/*
 * mod_natpasv - checks the configuration before the first client is served
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "check.h"
#include "common_clients.h"
#include "config.h"
#include "hostports.h"
#include "options.h"
#include "rules.h"
#include "shared.h"

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

int natpasv_check_new_pool(pool *p, server_rec *main,
  const struct natpasv_pool *pool, char *reason, size_t reason_size) {
  for (config_rec *c =
         find_config(main->conf, CONF_PARAM, "NATPasvPool", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvPool", FALSE)) {
    const struct natpasv_pool *other = c->argv[0];
    unsigned int port = natpasv_ports_overlap(&pool->ports, &other->ports);

    if (strcmp(pool->name, other->name) == 0) {
      return natpasv_options_refuse(reason, reason_size,
        "there is already a pool '%s': each pool needs a name of its own",
        pool->name);
    }

    if (port != 0) {
      return natpasv_options_refuse(reason, reason_size,
        "ports '%s' of pool '%s' overlap pool '%s' (%s) at port %u: each port can be in one pool only",
        ports_text(p, &pool->ports), pool->name, other->name,
        ports_text(p, &other->ports), port);
    }
  }
  return 0;
}

/* Rules
 */

static int check_rule(pool *p, server_rec *s, const struct natpasv_rule *rule) {
  const char *class = rule->class != NULL ? rule->class : "*";

  if (rule->pool != NULL && natpasv_pool_find(rule->pool) == NULL) {
    return FAIL("NATPasvRule %s of server '%s': no NATPasvPool is named '%s'",
      class, s->ServerName, rule->pool);
  }

  if (rule->class != NULL && pr_class_find(rule->class) == NULL) {
    WARN(
      "NATPasvRule %s of server '%s': there is no <Class %s>, so this rule never applies",
      class, s->ServerName, class);
  }

  if (rule->from.whence == NATPASV_FROM_CLASS) {
    struct natpasv_filter filter = { 0 };
    char reason[NATPASV_REASON_SIZE];

    if (natpasv_from_class(
          p, rule->from.class, &filter, reason, sizeof(reason)) < 0) {
      return FAIL("NATPasvRule %s of server '%s': from %s: %s", class,
        s->ServerName, rule->from.class, reason);
    }
  }

  if (rule->address == NATPASV_EXTIP && !pr_module_exists("mod_extip.c")) {
    WARN(
      "NATPasvRule %s of server '%s': address extip without mod_extip loaded; MasqueradeAddress or the local address is announced",
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

      return FAIL(
        "NATPasvRule %s: there are two rules for '%s' in one section, expected one",
        class, class);
    }
  }
  return 0;
}

static int check_rules(pool *p, server_rec *s, xaset_t *conf) {
  int res = 0;

  if (conf == NULL) {
    return 0;
  }

  for (config_rec *c = (config_rec *) conf->xas_list; c != NULL; c = c->next) {
    if (c->config_type == CONF_PARAM && strcmp(c->name, "NATPasvRule") == 0) {
      if (check_rule(p, s, c->argv[0]) < 0 || check_twin(c, c->argv[0]) < 0) {
        res = -1;
      }

    } else if (check_rules(p, s, c->subset) < 0) {
      res = -1;
    }
  }
  return res;
}

/* Pools
 */

static int check_own_ports(const struct natpasv_pool *pool) {
  int res = 0;

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (s->ServerPort != 0 && natpasv_ports_have(&pool->ports, s->ServerPort)) {
      res = FAIL(
        "pool '%s' contains port %u, on which server '%s' listens: leave it out of the pool",
        pool->name, s->ServerPort, s->ServerName);
    }
  }
  return res;
}

static bool is_used(const struct natpasv_pool *pool, xaset_t *conf) {
  for (config_rec *c = find_config(conf, CONF_PARAM, "NATPasvRule", TRUE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (rule->pool != NULL && strcmp(rule->pool, pool->name) == 0) {
      return true;
    }
  }
  return false;
}

static void warn_if_unused(const struct natpasv_pool *pool) {
  if (natpasv_pool_find(pool->name) == NULL) {
    return; /* of PassivePorts */
  }

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (is_used(pool, s->conf)) {
      return;
    }
  }
  WARN("pool '%s' is used by no NATPasvRule: add 'pool %s' to one", pool->name,
    pool->name);
}

static void warn_if_small(const struct natpasv_pool *pool) {
  if (ServerMaxInstances > pool->ports.count) {
    WARN(
      "pool '%s' has %u ports, but MaxInstances allows %lu sessions: if all of them ask for a port at the same time, some have to wait or get 425; enlarge the pool or lower MaxInstances",
      pool->name, pool->ports.count, ServerMaxInstances);
  }
}

/* Outside: what a router or load balancer in front would have to forward
 */

static bool is_announced_outside(
  const struct natpasv_pool *pool, xaset_t *conf) {
  for (config_rec *c = find_config(conf, CONF_PARAM, "NATPasvRule", TRUE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (rule->address != NATPASV_LOCAL && rule->pool != NULL &&
        strcmp(rule->pool, pool->name) == 0) {
      return true;
    }
  }
  return false;
}

/* The ports that clients outside are told; NULL if none is. */
static struct natpasv_ports *outside_ports(
  pool *p, const struct natpasv_pool *pool) {
  struct natpasv_ports *ports = pcalloc(p, sizeof(struct natpasv_ports));
  char text[16];

  if (pool->external != 0) {
    (void) pr_snprintf(text, sizeof(text), "%u-%u", pool->external,
      pool->external + pool->ports.count - 1);
    (void) natpasv_ports_parse(ports, text, NATPASV_MIN_PORT);
    return ports;
  }

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (is_announced_outside(pool, s->conf)) {
      *ports = pool->ports;
      return ports;
    }
  }
  return NULL;
}

static int check_outside(
  pool *p, const struct natpasv_pool *pool, const struct natpasv_pool *other) {
  const struct natpasv_ports *a = outside_ports(p, pool),
                             *b = outside_ports(p, other);
  unsigned int port = a != NULL && b != NULL ? natpasv_ports_overlap(a, b) : 0;

  if (port == 0 || (pool->external == 0 && other->external == 0)) {
    return 0;
  }
  return FAIL(
    "outside port %u is announced for pool '%s' and for pool '%s', but can be forwarded to one of them only: change 'external'",
    port, pool->name, other->name);
}

static int check_outside_control(pool *p, const struct natpasv_pool *pool) {
  const struct natpasv_ports *ports = outside_ports(p, pool);
  int res = 0;

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (pool->external != 0 && s->ServerPort != 0 &&
        natpasv_ports_have(ports, s->ServerPort)) {
      res = FAIL(
        "outside port %u of pool '%s' is the control port of server '%s', which clients could then no longer reach: change 'external'",
        s->ServerPort, pool->name, s->ServerName);
    }
  }
  return res;
}

static int check_listen(const struct natpasv_pool *pool) {
  const pr_netaddr_t *addr = pool->listen;
  int fd, res, xerrno;

  if (addr == NULL) {
    return 0;
  }

  fd = socket(pr_netaddr_get_family(addr), SOCK_STREAM | SOCK_CLOEXEC, 0);
  res =
    bind(fd, pr_netaddr_get_sockaddr(addr), pr_netaddr_get_sockaddr_len(addr));
  xerrno = errno;
  if (fd >= 0) {
    (void) close(fd);
  }

  if (res < 0 && xerrno == EADDRNOTAVAIL) {
    return FAIL(
      "listen %s of pool '%s' is no address of this host: see 'ip address'",
      pr_netaddr_get_ipstr(addr), pool->name);
  }
  return 0;
}

static void warn_of_passiveports(
  pool *p, const struct natpasv_pool *pool, const struct natpasv_pool *other) {
  unsigned int port = natpasv_ports_overlap(&pool->ports, &other->ports);

  if (port != 0 && natpasv_pool_find(pool->name) != NULL &&
      natpasv_pool_find(other->name) == NULL) {
    WARN(
      "PassivePorts %s overlap pool '%s' (%s) at port %u: clients of both share these ports; keep them apart",
      other->name, pool->name, ports_text(p, &pool->ports), port);
  }
}

static int check_pairs(pool *p, array_header *pools) {
  struct natpasv_pool **all = pools->elts;
  int res = 0;

  for (unsigned int i = 0; i < pools->nelts; i++) {
    for (unsigned int j = i + 1; j < pools->nelts; j++) {
      warn_of_passiveports(p, all[i], all[j]);
      if (check_outside(p, all[i], all[j]) < 0) {
        res = -1;
      }
    }

    if (all[i]->left_out != 0) {
      WARN(
        "PassivePorts %s contain port %u, on which a server listens: it is left out",
        all[i]->name, all[i]->left_out);
    }
    if (check_listen(all[i]) < 0 || check_outside_control(p, all[i]) < 0) {
      res = -1;
    }
  }
  return res;
}

/* mod_proxy opens listeners of its own. */
static void warn_of_proxy(void) {
  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (natpasv_config_is_on(s->conf, "ProxyEngine") &&
        natpasv_config_engine(s->conf)) {
      WARN(
        "server '%s' has ProxyEngine on: mod_proxy takes its passive ports from the kernel, so no pool applies to its clients; set PassivePorts for it",
        s->ServerName);
    }
  }
}

/* The class of a rule by which a balancer, whose address is not the client's,
 * cannot connect at once; NULL if there is none. */
static const char *shut_out(const server_rec *s) {
  const struct natpasv_from unset = { .whence = NATPASV_FROM_UNSET };
  bool for_all = false;

  for (config_rec *c = find_config(s->conf, CONF_PARAM, "NATPasvRule", TRUE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", TRUE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (!natpasv_from_admits_others(&rule->from, s->conf)) {
      return rule->class != NULL ? rule->class : "*";
    }
    for_all = for_all || (rule->class == NULL && c->set == s->conf);
  }
  return for_all || natpasv_from_admits_others(&unset, s->conf) ? NULL : "*";
}

/* mod_proxy_protocol knows the client's address from the control connection;
 * data connections still come from the balancer. */
static void warn_of_balancer(void) {
  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    const char *class = shut_out(s);

    if (class != NULL && natpasv_config_engine(s->conf) &&
        natpasv_config_behind_balancer(s->conf)) {
      WARN(
        "server '%s' has ProxyProtocolEngine on, and its data connections come from the balancer, not from the client: each would wait five seconds or be refused; let them in with the line 'From <the balancer's address>' in a <Class balancer>, and 'from balancer' in the line NATPasvRule %s",
        s->ServerName, class);
    }
  }
}

/* A longer line would be cut off in the log, and pasted so. */
#define LIST_MAX 400

/* How the pools that need it are reserved and the present reservations kept. */
static const char *reservation(pool *p, array_header *pools,
  const uint64_t *ephemeral, const char *reserved) {
  struct natpasv_pool **all = pools->elts;
  const char *list = "";

  for (unsigned int i = 0; i < pools->nelts; i++) {
    if (natpasv_ports_marked(&all[i]->ports, ephemeral) != 0) {
      list = pstrcat(
        p, list, *list != '\0' ? "," : "", ports_text(p, &all[i]->ports), NULL);
    }
  }

  if (strlen(reserved) > LIST_MAX) {
    return pstrcat(p,
      "append this to the value of net.ipv4.ip_local_reserved_ports, which is too long to repeat here: ,",
      list, NULL);
  }
  return pstrcat(p,
    "reserve it with this line in /etc/sysctl.d/proftpd.conf, then 'sysctl --system': net.ipv4.ip_local_reserved_ports = ",
    reserved, *reserved != '\0' ? "," : "", list, NULL);
}

static void warn_of_ephemeral(pool *p, array_header *pools) {
  struct natpasv_pool **all = pools->elts;
  struct natpasv_range range;
  uint64_t ephemeral[NATPASV_WORDS];
  char *reserved = NULL;

  if (natpasv_hostports_ephemeral(&range, ephemeral, &reserved) < 0) {
    return;
  }

  for (unsigned int i = 0; i < pools->nelts; i++) {
    if (natpasv_ports_marked(&all[i]->ports, ephemeral) != 0) {
      WARN(
        "pool '%s' (%s) is inside the kernel's ephemeral ports %u-%u, which any outgoing connection may take; %s",
        all[i]->name, ports_text(p, &all[i]->ports), range.first, range.last,
        reservation(p, pools, ephemeral, reserved != NULL ? reserved : ""));
    }
  }
  free(reserved);
}

/* Removes the ports on which our own sessions listen. */
static void forget_own_listeners(uint64_t *listeners) {
  const struct natpasv_table *table = natpasv_shared();

  for (unsigned int i = 0; table != NULL && i < NATPASV_WORDS; i++) {
    listeners[i] &= ~table->map->taken[i];
  }
}

static void warn_of_strangers(array_header *pools) {
  struct natpasv_pool **all = pools->elts;
  uint64_t used[NATPASV_WORDS];

  if (natpasv_hostports_listeners(used) < 0) {
    return;
  }
  forget_own_listeners(used);

  for (unsigned int i = 0; i < pools->nelts; i++) {
    unsigned int port = natpasv_ports_marked(&all[i]->ports, used);

    if (port != 0) {
      WARN(
        "another program listens on port %u of pool '%s' (see 'ss -tlnp sport = :%u'): such ports are skipped; stop the program or leave the port out of the pool",
        port, all[i]->name, port);
    }
  }
}

static int check_pools(pool *p) {
  array_header *pools = natpasv_pools(p);
  struct natpasv_pool **all = pools->elts;
  int res = 0;

  for (unsigned int i = 0; i < pools->nelts; i++) {
    if (check_own_ports(all[i]) < 0) {
      res = -1;
    }
    warn_if_unused(all[i]);
    warn_if_small(all[i]);
  }

  if (pools->nelts == 0) {
    WARN("%s",
      "NATPasvEngine is on, but there is neither a NATPasvPool nor PassivePorts: the kernel chooses the ports, which a firewall or router in front of this server does not let through");
  }

  if (check_pairs(p, pools) < 0) {
    res = -1;
  }
  warn_of_proxy();
  warn_of_balancer();
  warn_of_ephemeral(p, pools);
  warn_of_strangers(pools);
  return res;
}

int natpasv_check_configuration(void) {
  pool *p = make_sub_pool(permanent_pool);
  int res = 0;

  pr_pool_tag(p, MOD_NATPASV_VERSION " checks");
  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (check_rules(p, s, s->conf) < 0) {
      res = -1;
    }
    clients_check(MOD_NATPASV_VERSION, s);
  }

  if (natpasv_config_any_engine()) {
    if (check_pools(p) < 0) {
      res = -1;
    }
    if (!natpasv_shared_is_possible()) {
      res =
        FAIL("NATPasvTable %s: sessions of inetd share no memory: name a file",
          "none");
    }
  }
  destroy_pool(p);
  return res;
}
