/*
 * common_clients.h - which clients are local: NATPasvLocal
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Include it after "conf.h". Both modules that answer PASV have the directive,
 * because each is useful without the other. ProFTPD gives the line to both, and
 * each adds the same parameter. */

#ifndef COMMON_CLIENTS_H
#define COMMON_CLIENTS_H

#include "common_gateway.h"
#include "common_local.h"

#define CLIENTS_DIRECTIVE "NATPasvLocal"
#define CLIENTS_EXPECTED  "expected auto, none, or names of classes"

/* usage: NATPasvLocal auto|none|<class>... */
static inline modret_t *set_natpasvlocal(cmd_rec *cmd) {
  unsigned int count = (unsigned int) cmd->argc - 1;
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);
  if (count == 0) {
    CONF_ERROR(cmd, CLIENTS_EXPECTED);
  }

  for (unsigned int i = 1; count > 1 && i <= count; i++) {
    if (strcasecmp(cmd->argv[i], "auto") == 0 ||
        strcasecmp(cmd->argv[i], "none") == 0) {
      CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", (char *) cmd->argv[i],
                        "' stands alone: " CLIENTS_EXPECTED, NULL));
    }
  }

  c = add_config_param(cmd->argv[0], 0);
  c->argc = count;
  c->argv = pcalloc(c->pool, (count + 1) * sizeof(void *));
  for (unsigned int i = 0; i < count; i++) {
    c->argv[i] = pstrdup(c->pool, cmd->argv[i + 1]);
  }
  return PR_HANDLED(cmd);
}

static inline const config_rec *clients_config(xaset_t *conf) {
  return find_config(conf, CONF_PARAM, CLIENTS_DIRECTIVE, FALSE);
}

static inline bool clients_are_auto(const config_rec *c) {
  return c == NULL || strcasecmp(c->argv[0], "auto") == 0;
}

static inline bool clients_are_none(const config_rec *c) {
  return c != NULL && strcasecmp(c->argv[0], "none") == 0;
}

/* Warns of classes in a server's configuration that do not exist. */
static inline void clients_check(const char *module_version, server_rec *s) {
  const config_rec *c = clients_config(s->conf);

  if (clients_are_auto(c) || clients_are_none(c)) {
    return;
  }

  for (unsigned int i = 0; i < c->argc; i++) {
    if (pr_class_find(c->argv[i]) == NULL) {
      pr_log_pri(PR_LOG_WARNING,
        "%s: warning: NATPasvLocal %s of server '%s': there is no <Class %s>, so it makes no client local",
        module_version, (char *) c->argv[i], s->ServerName,
        (char *) c->argv[i]);
    }
  }
}

/* The address of this session's client, an IPv4 address as such even on an IPv6
 * socket. */
static inline const void *clients_address(int *family) {
  const pr_netaddr_t *client = session.c->remote_addr;
  const unsigned char *bytes = pr_netaddr_get_inaddr(client);

  *family = pr_netaddr_get_family(client);
  if (pr_netaddr_is_v4mappedv6(client) == TRUE) {
    *family = AF_INET;
    bytes += 12;
  }
  return bytes;
}

/* Whether the client of this session is on this side of the NAT. By itself that
 * is a client with a local address; but a proxy that rewrites addresses, such
 * as Docker's, and a router that lets hosts of the LAN reach its outside
 * address (hairpin), look like the default gateway. */
static inline bool clients_local(void) {
  static struct gateway_memory memory[2];
  const config_rec *c = clients_config(main_server->conf);
  const void *address;
  int family;

  if (clients_are_none(c)) {
    return false;
  }

  if (!clients_are_auto(c)) {
    for (unsigned int i = 0; session.conn_class != NULL && i < c->argc; i++) {
      if (strcmp(session.conn_class->cls_name, c->argv[i]) == 0) {
        return true;
      }
    }
    return false;
  }

  address = clients_address(&family);
  return local_address(family, address) &&
         !gateway_is(&memory[family == AF_INET6], family, address);
}

/* Counts this session in the run of sessions with one local address. True if
 * the notice is due that this looks like a proxy. */
static inline bool clients_look_like_proxy(struct local_run *run, bool local) {
  const void *address;
  int family;

  address = clients_address(&family);
  return local_run_add(run, family,
    local && clients_are_auto(clients_config(main_server->conf)) ? address
                                                                 : NULL);
}

#endif
