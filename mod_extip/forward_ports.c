/*
 * mod_extip - which ports the router is to forward
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "forward_ports.h"
#include "log.h"

static const void *find_value(const char *name, const void *otherwise) {
  config_rec *c = find_config(main_server->conf, CONF_PARAM, name, FALSE);

  return c != NULL ? c->argv[0] : otherwise;
}

/* Each port once, as long as there is room. */
static void add(
  struct extip_router_task *router, unsigned int inside, unsigned int outside) {
  for (size_t i = 0; i < router->port_count; i++) {
    if (router->ports[i].inside == inside ||
        router->ports[i].outside == outside) {
      return;
    }
  }

  if (inside > 0 && router->port_count < router->forwards.max) {
    router->ports[router->port_count++] =
      (struct forward_port){ (uint16_t) inside, (uint16_t) outside };
  }
}

static void add_control_ports(
  const struct extip_plan *plan, struct extip_router_task *router) {
  for (size_t i = 0; i < plan->vhost_count; i++) {
    const server_rec *s = plan->vhosts[i].server;

    if (plan->vhosts[i].engine) {
      add(router, s->ServerPort, s->ServerPort);
    }
  }
}

/* The ports of mod_natpasv's pools; false if it has none. */
static bool add_pools(pool *p, struct extip_router_task *router) {
  cmdtable *hook =
    pr_stash_get_symbol2(PR_SYM_HOOK, "natpasv_ports", NULL, NULL, NULL);
  modret_t *answer = NULL;

  if (hook != NULL) {
    answer = pr_module_call(
      hook->m, hook->handler, pr_cmd_alloc(p, 1, "natpasv_ports"));
  }
  if (!MODRET_ISHANDLED(answer) || !MODRET_HASDATA(answer)) {
    return false;
  }

  const array_header *list = answer->data;
  const struct forward_port *ports = list->elts;

  for (unsigned int i = 0; i < (unsigned int) list->nelts; i++) {
    add(router, ports[i].inside, ports[i].outside);
  }
  return true;
}

static void add_passive_ports(
  const struct extip_plan *plan, struct extip_router_task *router) {
  for (size_t i = 0; i < plan->vhost_count; i++) {
    const server_rec *s = plan->vhosts[i].server;
    config_rec *c = plan->vhosts[i].engine
                      ? find_config(s->conf, CONF_PARAM, "PassivePorts", FALSE)
                      : NULL;

    if (c != NULL) {
      int first = *((int *) c->argv[0]), last = *((int *) c->argv[1]);

      for (int port = first; port <= last; port++) {
        add(router, (unsigned int) port, (unsigned int) port);
      }
    }
  }
}

void extip_forward_ports_read(
  pool *p, const struct extip_plan *plan, struct extip_router_task *router) {
  const struct in_addr any = { INADDR_ANY };
  pool *tmp_pool = make_sub_pool(p);

  router->gateway = *((const struct extip_gateway_conf *) find_value(
    "ExtIPGateway", &extip_gateway_default));
  router->forwards = *((const struct extip_forwards_conf *) find_value(
    "ExtIPForward", &extip_forwards_default));
  router->bind = *((const struct in_addr *) find_value("ExtIPBind", &any));
  router->port_count = 0;
  router->ports =
    pcalloc(p, router->forwards.max * sizeof(struct forward_port));

  if (router->forwards.control) {
    add_control_ports(plan, router);
  }
  if (router->forwards.passive && !add_pools(tmp_pool, router)) {
    add_passive_ports(plan, router);
  }
  destroy_pool(tmp_pool);

  if (router->forwards.control || router->forwards.passive) {
    if (ServerType != SERVER_STANDALONE) {
      router->port_count = 0;
      extip_log(EXTIP_LOG_WARNING,
        "ExtIPForward needs a daemon that keeps the forwards: nothing is forwarded with ServerType inetd");
    } else if (router->port_count == 0) {
      extip_log(EXTIP_LOG_WARNING,
        "ExtIPForward has no port to forward: passive ports are those of NATPasvPool or PassivePorts");
    }
  }
}
