/*
 * mod_natpasv - what of the configuration concerns the thing in front
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "exported.h"
#include "config.h"
#include "forwards.h"
#include "options.h"

#include <netinet/in.h>

/* Any address outside: the kernel tells from which one it would connect to it.
 * Nothing is sent. */
static const char *source_address(pool *p) {
  struct sockaddr_in addr = { .sin_family = AF_INET,
    .sin_port = htons(9),
    .sin_addr.s_addr = htonl(0xc0000201) }; /* 192.0.2.1, RFC 5737 */
  socklen_t size = sizeof(addr);
  char text[INET_ADDRSTRLEN];
  const char *found = NULL;
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd >= 0 && connect(fd, (struct sockaddr *) &addr, size) == 0 &&
      getsockname(fd, (struct sockaddr *) &addr, &size) == 0 &&
      inet_ntop(AF_INET, &addr.sin_addr, text, sizeof(text)) != NULL) {
    found = pstrdup(p, text);
  }
  if (fd >= 0) {
    (void) close(fd);
  }
  return found;
}

/* Whether a text is an address at which another host could reach this one. */
static bool is_reachable(const char *text) {
  return text != NULL &&
         ((pr_netaddr_is_v4(text) == TRUE && strncmp(text, "127.", 4) != 0 &&
            strcmp(text, "0.0.0.0") != 0) ||
           (pr_netaddr_is_v6(text) == TRUE && strcmp(text, "::1") != 0 &&
             strcmp(text, "::") != 0));
}

/* With SocketBindTight the server listens on its address alone. Otherwise that
 * is the one in DefaultAddress, or that of the host's name, which is a loopback
 * one on many hosts. */
static const char *server_address(pool *p, const server_rec *s) {
  const char *address = pr_netaddr_get_ipstr(s->addr), *source;

  if (SocketBindTight || is_reachable(address)) {
    return address;
  }
  if (is_reachable(s->ServerAddress)) {
    return s->ServerAddress;
  }
  source = source_address(p);
  return source != NULL ? source : "127.0.0.1";
}

static bool has_port(array_header *ports, unsigned int port) {
  const struct natpasv_export_control *all = ports->elts;

  for (unsigned int i = 0; i < (unsigned int) ports->nelts; i++) {
    if (all[i].port == port) {
      return true;
    }
  }
  return false;
}

/* The control ports of servers whose clients get ports of pools. The address is
 * that of the first of these servers. */
static void find_control(pool *p, struct natpasv_export *what) {
  array_header *ports = make_array(p, 2, sizeof(*what->control));

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (!natpasv_config_may_engage(s->conf) || s->ServerPort == 0 ||
        has_port(ports, s->ServerPort)) {
      continue;
    }

    *((struct natpasv_export_control *) push_array(ports)) =
      (struct natpasv_export_control){ s->ServerPort,
        natpasv_config_behind_balancer(s->conf) };
    if (what->address == NULL) {
      what->address = server_address(p, s);
    }
  }
  what->control = ports->elts;
  what->ncontrol = (unsigned int) ports->nelts;
}

static struct natpasv_export_pool describe(
  const struct natpasv_pool *pool, const char *address) {
  unsigned int before =
    pool->slice.n != 0 ? (pool->slice.k - 1) * pool->ports.count : 0;

  return (struct natpasv_export_pool){ .name = pool->name,
    .address =
      pool->listen != NULL ? pr_netaddr_get_ipstr(pool->listen) : address,
    .ports = pool->whole,
    .external = pool->external != 0 ? pool->external - before : 0,
    .slice = pool->slice };
}

int natpasv_exported(
  pool *p, struct natpasv_export *what, char *reason, size_t reason_size) {
  array_header *pools, *list = make_array(p, 4, sizeof(*what->pools));
  struct natpasv_pool **all;

  memset(what, 0, sizeof(*what));
  what->who = MOD_NATPASV_VERSION;
  find_control(p, what);
  if (!natpasv_config_any_engine() || what->ncontrol == 0) {
    return natpasv_options_refuse(
      reason, reason_size, "NATPasvEngine is on for no server with a port");
  }

  pools = natpasv_pools(p);
  all = pools->elts;
  for (unsigned int i = 0; i < (unsigned int) pools->nelts; i++) {
    if (natpasv_forwards_need(all[i])) {
      *((struct natpasv_export_pool *) push_array(list)) =
        describe(all[i], what->address);
    }
  }

  what->pools = list->elts;
  what->npools = (unsigned int) list->nelts;
  if (what->npools == 0) {
    return natpasv_options_refuse(reason, reason_size,
      "there is neither PassivePorts nor a NATPasvPool with a NATPasvRule for clients outside");
  }
  return 0;
}
