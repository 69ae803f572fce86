/*
 * mod_natpasv - which address a client is told
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "addr.h"
#include "common_clients.h"

#define UNKNOWN "0.0.0.0"

static const char *dotted(pool *p, const pr_netaddr_t *addr) {
  if (addr != NULL && pr_netaddr_is_v4mappedv6(addr) == TRUE) {
    addr = pr_netaddr_v6tov4(p, addr);
  }

  if (addr == NULL || pr_netaddr_get_family(addr) != AF_INET) {
    return NULL;
  }
  return pr_netaddr_get_ipstr(addr);
}

/* The answer of a hook; NULL when it has none, or nobody has the hook. */
static modret_t *ask(pool *p, cmdtable *hook) {
  modret_t *answer = NULL;

  if (hook != NULL) {
    answer = pr_module_call(
      hook->m, hook->handler, pr_cmd_alloc(p, 1, pstrdup(p, hook->command)));
  }
  return MODRET_ISHANDLED(answer) ? answer : NULL;
}

/* NULL if mod_extip is not loaded or knows no address. */
static const char *from_extip(pool *p) {
  modret_t *answer = ask(
    p, pr_stash_get_symbol2(PR_SYM_HOOK, "extip_get_addr", NULL, NULL, NULL));

  return MODRET_HASDATA(answer) ? dotted(p, answer->data) : NULL;
}

static bool extip_announces_to_all(pool *p) {
  return ask(p, pr_stash_get_symbol2(PR_SYM_HOOK, "extip_announce_to_all", NULL,
                  NULL, NULL)) != NULL;
}

/* What ProFTPD's own PASV would announce; NULL without such a directive. */
static const char *from_masquerade(pool *p) {
  config_rec *c = NULL;

  if (strcmp(pr_session_get_protocol(0), "ftps") == 0) {
    c =
      find_config(main_server->conf, CONF_PARAM, "TLSMasqueradeAddress", FALSE);
  }
  if (c == NULL) {
    c = find_config(main_server->conf, CONF_PARAM, "MasqueradeAddress", FALSE);
  }
  return c != NULL ? dotted(p, c->argv[0]) : NULL;
}

/* Whether nobody has asked for anything else than what stock announces. */
static bool is_as_stock(pool *p, const struct natpasv_rule *rule) {
  return rule->section == NULL && clients_config(main_server->conf) == NULL &&
         from_extip(p) == NULL;
}

/* For address auto: what a local client is told; NULL if this one is not. */
static const char *for_local(
  pool *p, const struct natpasv_rule *rule, struct natpasv_told *told) {
  const char *masquerade;

  if (!clients_local() || extip_announces_to_all(p)) {
    return NULL;
  }

  masquerade = from_masquerade(p);
  if (masquerade != NULL && is_as_stock(p, rule)) {
    return masquerade;
  }

  told->as_local = true;
  told->passed_over = masquerade;
  return dotted(p, session.c->local_addr);
}

static const char *by_rule(
  pool *p, const struct natpasv_rule *rule, struct natpasv_told *told) {
  if (rule->address == NATPASV_LOCAL) {
    return dotted(p, session.c->local_addr);
  }

  if (rule->address == NATPASV_EXTIP) {
    return NULL;
  }
  return rule->fixed != NULL ? rule->fixed : for_local(p, rule, told);
}

struct natpasv_told natpasv_address(pool *p, const struct natpasv_rule *rule) {
  struct natpasv_told told = { .as_local = false };
  const char *local = dotted(p, session.c->local_addr);

  if (local == NULL) {
    told.address = UNKNOWN;
    return told;
  }

  told.address = by_rule(p, rule, &told);
  if (told.address == NULL) {
    told.address = from_extip(p);
  }
  if (told.address == NULL) {
    told.address = from_masquerade(p);
  }
  if (told.address == NULL) {
    told.address = local;
  }
  return told;
}

bool natpasv_address_is_local(void) {
  return clients_local();
}

bool natpasv_address_looks_like_proxy(
  struct local_run *run, const struct natpasv_told *told) {
  return clients_look_like_proxy(run, told->as_local);
}
