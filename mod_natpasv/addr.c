/*
 * mod_natpasv - which address a client is given
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "addr.h"

#define UNKNOWN "0.0.0.0"

static int is_local_ipv4(uint32_t host) {
  static const struct {
    uint32_t network;
    unsigned bits;
  } local[] = {
    { 0x7f000000, 8 },  /* 127.0.0.0/8 */
    { 0xa9fe0000, 16 }, /* 169.254.0.0/16 */
    { 0x0a000000, 8 },  /* 10.0.0.0/8 */
    { 0xac100000, 12 }, /* 172.16.0.0/12 */
    { 0xc0a80000, 16 }, /* 192.168.0.0/16 */
    { 0x64400000, 10 }, /* 100.64.0.0/10 */
  };
  unsigned i;

  for (i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
    if ((host ^ local[i].network) >> (32 - local[i].bits) == 0) {
      return TRUE;
    }
  }
  return FALSE;
}

int natpasv_is_local(const pr_netaddr_t *addr) {
  const unsigned char *bytes = pr_netaddr_get_inaddr(addr);

  if (bytes == NULL) {
    return FALSE;
  }

  if (pr_netaddr_get_family(addr) == AF_INET) {
    uint32_t host;

    memcpy(&host, bytes, sizeof(host));
    return is_local_ipv4(ntohl(host));
  }

  if (pr_netaddr_is_v4mappedv6(addr) == TRUE) {
    uint32_t host;

    memcpy(&host, bytes + 12, sizeof(host));
    return is_local_ipv4(ntohl(host));
  }

  return pr_netaddr_is_loopback(addr) == TRUE ||
         (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) || /* fe80::/10 */
         (bytes[0] & 0xfe) == 0xfc;                         /* fc00::/7 */
}

static const char *dotted(pool *p, const pr_netaddr_t *addr) {
  if (addr != NULL && pr_netaddr_is_v4mappedv6(addr) == TRUE) {
    addr = pr_netaddr_v6tov4(p, addr);
  }

  if (addr == NULL || pr_netaddr_get_family(addr) != AF_INET) {
    return NULL;
  }
  return pr_netaddr_get_ipstr(addr);
}

/* NULL when mod_extip is not there or knows nothing. */
static const char *from_extip(pool *p) {
  cmdtable *hook;
  modret_t *answer;
  cmd_rec *cmd;

  hook = pr_stash_get_symbol2(PR_SYM_HOOK, "extip_get_addr", NULL, NULL, NULL);
  if (hook == NULL) {
    return NULL;
  }

  cmd = pr_cmd_alloc(p, 1, pstrdup(p, "extip_get_addr"));
  answer = pr_module_call(hook->m, hook->handler, cmd);
  if (!MODRET_ISHANDLED(answer) || !MODRET_HASDATA(answer)) {
    return NULL;
  }
  return dotted(p, answer->data);
}

/* What stock PASV would announce; NULL without such a directive. */
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

const char *natpasv_address(pool *p, const struct natpasv_rule *rule) {
  const char *address = NULL;
  enum natpasv_address from = rule->address;

  if (from == NATPASV_FIXED) {
    address = rule->fixed;
    from = NATPASV_AUTO;
  }

  if (from == NATPASV_AUTO && natpasv_is_local(session.c->remote_addr)) {
    from = NATPASV_LOCAL;
  }

  if (address == NULL && from != NATPASV_LOCAL) {
    address = from_extip(p);
    if (address == NULL) {
      address = from_masquerade(p);
    }
  }

  if (address == NULL) {
    address = dotted(p, session.c->local_addr);
  }
  return address != NULL ? address : UNKNOWN;
}
