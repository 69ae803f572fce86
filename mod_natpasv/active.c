/*
 * mod_natpasv - active mode: PORT and EPRT
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "active.h"
#include "common_local.h"
#include "failure.h"
#include "portarg.h"
#include "say.h"

#include <arpa/inet.h>

/* RFC 2577, 3: no data connection to a well-known port. */
#define LOWEST_PORT 1024

#define REMEDY "use passive mode (PASV or EPSV)"

static bool is_eprt(const cmd_rec *cmd) {
  return strcasecmp(cmd->argv[0], C_EPRT) == 0;
}

/* An address of ProFTPD's, an IPv4 address as such even on an IPv6 socket. */
static void address_of(const pr_netaddr_t *addr, struct natpasv_portarg *arg) {
  const unsigned char *bytes = pr_netaddr_get_inaddr(addr);
  size_t size = pr_netaddr_get_inaddr_len(addr);

  arg->family = pr_netaddr_get_family(addr);
  if (pr_netaddr_is_v4mappedv6(addr) == TRUE) {
    arg->family = AF_INET;
    bytes += size - 4;
    size = 4;
  }
  memcpy(arg->address.bytes, bytes, size);
}

static bool is_same(
  const struct natpasv_portarg *a, const struct natpasv_portarg *b) {
  return a->family == b->family &&
         memcmp(&a->address, &b->address, a->family == AF_INET ? 4 : 16) == 0;
}

/* An address that means another host, or none, where it is not at home. Only
 * loopback is local everywhere. */
static bool is_private(const struct natpasv_portarg *arg) {
  bool loopback = arg->family == AF_INET
                    ? arg->address.bytes[0] == 127
                    : IN6_IS_ADDR_LOOPBACK(&arg->address.ipv6);

  return local_address(arg->family, &arg->address) && !loopback;
}

static const char *text_of(pool *p, const struct natpasv_portarg *arg) {
  char text[INET6_ADDRSTRLEN] = "";

  (void) inet_ntop(arg->family, &arg->address, text, sizeof(text));
  return pstrdup(p, text);
}

/* Whether the operator lets the server connect to other hosts (FXP): all of
 * them, or those of a class. */
static bool allows_all(void) {
  const config_rec *c =
    find_config(TOPLEVEL_CONF, CONF_PARAM, "AllowForeignAddress", FALSE);

  return c != NULL && *((const int *) c->argv[0]) == TRUE;
}

static bool allows_class(pool *p, const struct natpasv_portarg *arg) {
  const config_rec *c =
    find_config(TOPLEVEL_CONF, CONF_PARAM, "AllowForeignAddress", FALSE);
  const pr_class_t *class;
  const pr_netaddr_t *addr;

  if (c == NULL || *((const int *) c->argv[0]) != -1) {
    return false;
  }

  class = pr_class_find(c->argv[1]);
  addr = pr_netaddr_get_addr(p, text_of(p, arg), NULL);
  return class != NULL && addr != NULL &&
         pr_class_satisfied(p, class, addr) == TRUE;
}

static modret_t *refuse(cmd_rec *cmd, const struct natpasv_active *active,
  const char *code, const char *text) {
  natpasv_count(active->row, NATPASV_ACTIVE_REFUSED);
  natpasv_say_active_refused(active->row, cmd->argv[0], text);
  pr_cmd_set_errno(cmd, EPERM);
  errno = EPERM;
  pr_response_add_err(code, "%s", text);
  return PR_ERROR(cmd);
}

static void replace(cmd_rec *cmd, const struct natpasv_active *active,
  const struct natpasv_portarg *client, const struct natpasv_portarg *arg) {
  struct natpasv_portarg replaced = *client;
  char text[NATPASV_PORTARG_MAX];

  natpasv_count(active->row, NATPASV_ACTIVE_REPLACED);
  pr_log_debug(DEBUG1,
    MOD_NATPASV_VERSION
    ": %s with the private address %s is taken for the client's address here, %s",
    (char *) cmd->argv[0], text_of(cmd->tmp_pool, arg),
    text_of(cmd->tmp_pool, client));

  replaced.port = arg->port;
  natpasv_portarg_print(&replaced, text, is_eprt(cmd));
  cmd->argv[1] = pstrdup(cmd->pool, text);
  cmd->arg = pstrdup(cmd->pool, text);
}

/* For an address that is not the client's. */
static modret_t *foreign(cmd_rec *cmd, const struct natpasv_active *active,
  const struct natpasv_portarg *client, const struct natpasv_portarg *arg) {
  bool private = is_private(arg) && client->family == arg->family;

  /* Between two servers of one LAN the private address is the one meant. */
  if (allows_class(cmd->tmp_pool, arg) ||
      (allows_all() && (!private || is_private(client)))) {
    return PR_DECLINED(cmd);
  }

  if (active->mode == NATPASV_ACTIVE_PEER && private) {
    replace(cmd, active, client, arg);
    return PR_DECLINED(cmd);
  }

  return refuse(cmd, active, R_500,
    pstrcat(cmd->tmp_pool, "Your address is ", text_of(cmd->tmp_pool, client),
      " here, and no data connection is made to ", text_of(cmd->tmp_pool, arg),
      ": " REMEDY, NULL));
}

modret_t *natpasv_active_command(
  cmd_rec *cmd, const struct natpasv_active *active) {
  struct natpasv_portarg arg, client;

  if (active->mode == NATPASV_ACTIVE_OFF) {
    return refuse(cmd, active, R_500, "Active mode is off here: " REMEDY);
  }

  if (cmd->argc != 2 || session.sf_flags & SF_EPSV_ALL ||
      natpasv_portarg_parse(&arg, cmd->argv[1], is_eprt(cmd)) < 0 ||
      (arg.family == AF_INET6 && !pr_netaddr_use_ipv6())) {
    return PR_DECLINED(cmd);
  }

  if (arg.port < LOWEST_PORT) {
    return refuse(cmd, active, R_500,
      "No data connection is made to a port below 1024: " REMEDY);
  }

  address_of(session.c->remote_addr, &client);
  return is_same(&arg, &client) ? PR_DECLINED(cmd)
                                : foreign(cmd, active, &client, &arg);
}

modret_t *natpasv_active_transfer(
  cmd_rec *cmd, const struct natpasv_active *active) {
  if (active->mode == NATPASV_ACTIVE_OFF) {
    return refuse(cmd, active, R_425, "Active mode is off here: " REMEDY);
  }

  natpasv_count(active->row, NATPASV_ACTIVE);
  return PR_DECLINED(cmd);
}

void natpasv_active_failed(cmd_rec *cmd, const struct natpasv_active *active) {
  /* No connection could be made; and not, for example, TLS failed on one. */
  static const int errors[] = { ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH,
    ENETUNREACH, EACCES, EADDRNOTAVAIL };
  const char *text = natpasv_failure(),
             *addr = pr_netaddr_get_ipstr(&session.data_addr);
  int error = text != NULL ? natpasv_failure_errno(
                               text, errors, sizeof(errors) / sizeof(errors[0]))
                           : 0;

  if (error == 0) {
    return;
  }

  natpasv_count(active->row, NATPASV_ACTIVE_FAILED);
  natpasv_say_active_failed(active->row, addr, strerror(error));
  natpasv_failure_replace(
    pstrcat(cmd->tmp_pool, text, " (", addr, "): " REMEDY, NULL));
}
