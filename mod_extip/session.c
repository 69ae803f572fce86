/*
 * mod_extip - a session: which address it announces, and to whom it tells it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "mod_extip.h"
#include "report.h"
#include "session.h"

#define NOTE_ADDRESS "mod_extip.address"
#define ENV_ADDRESS  "EXTIP_ADDRESS"

/* All that a session keeps. */
static const struct extip_vhost *vhost = NULL;
static const struct extip_table *table = NULL;
static int record = -1;
static struct in_addr announced = {
  INADDR_ANY
}; /* as in note and environment */

const pr_netaddr_t *extip_netaddr(pool *p, struct in_addr addr) {
  struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = addr };
  pr_netaddr_t *na = pr_netaddr_alloc(p);

  if (na == NULL || pr_netaddr_set_family(na, AF_INET) < 0 ||
      pr_netaddr_set_sockaddr(na, (struct sockaddr *) &sin) < 0) {
    return NULL;
  }

  return na;
}

/* Reads the record of our quest; where it is can change only when the helper
 * has given it to another, which the key in it tells. */
static int read_answer(struct extip_table_answer *answer) {
  const char *key = vhost->quest->key;

  for (int i = 0; i < 2; i++) {
    if (record >= 0 &&
        extip_table_read(table->read_fd, (size_t) record, answer) == 0 &&
        strcmp(answer->key, key) == 0) {
      return 0;
    }

    record = extip_table_find(table->read_fd, key);
    if (record < 0) {
      return -1;
    }
  }

  errno = ENOENT;
  return -1;
}

/* A clock that was set makes the age unknown, in either direction. */
static bool too_old(const struct extip_table_answer *answer) {
  int64_t age = time(NULL) - answer->confirmed;

  return vhost->max_age > 0 && (age < 0 ? -age : age) > vhost->max_age;
}

static int look_up(struct in_addr *addr) {
  struct extip_table_answer answer;

  if (vhost == NULL || vhost->quest == NULL || table->read_fd < 0 ||
      read_answer(&answer) < 0 || answer.addr == INADDR_ANY ||
      too_old(&answer)) {
    addr->s_addr = INADDR_ANY;
    errno = ENOENT;
    return -1;
  }

  addr->s_addr = answer.addr;
  return 0;
}

static void set_note(const char *text) {
  (void) pr_table_remove(session.notes, NOTE_ADDRESS, NULL);
  (void) pr_env_unset(session.pool, ENV_ADDRESS);
  if (text != NULL) {
    (void) pr_table_add_dup(session.notes, NOTE_ADDRESS, text, 0);
    (void) pr_env_set(session.pool, ENV_ADDRESS, text);
  }
}

/* Brings note and environment up to date. */
static void notice(struct in_addr addr, bool tell) {
  char old[INET_ADDRSTRLEN], new[INET_ADDRSTRLEN];

  if (addr.s_addr == announced.s_addr) {
    return;
  }

  (void) inet_ntop(AF_INET, &announced, old, sizeof(old));
  (void) inet_ntop(AF_INET, &addr, new, sizeof(new));
  announced = addr;
  set_note(addr.s_addr != INADDR_ANY ? new : NULL);

  if (tell && addr.s_addr != INADDR_ANY) {
    pr_log_debug(
      DEBUG1, MOD_EXTIP_VERSION ": address is now %s, was %s", new, old);
    pr_event_generate("mod_extip.address-changed", new);
  }
}

int extip_session_address(struct in_addr *addr) {
  int res = look_up(addr);

  notice(*addr, true);
  if (res < 0) {
    errno = ENOENT;
  }

  return res;
}

void extip_session_start(
  const struct extip_plan *plan, const struct extip_table *shared) {
  struct in_addr addr;

  vhost = extip_plan_find(plan, main_server);
  if (vhost != NULL && !vhost->engine) {
    vhost = NULL;
  }

  table = shared;
  record = -1;
  (void) look_up(&addr);
  notice(addr, false);
}

/* Announcing in ProFTPD's own PASV */

/* A client on this side of the NAT: loopback, link-local, RFC 1918 or the
 * shared address space of RFC 6598, and what is like it in IPv6. */
static bool is_local_client(pool *p) {
  static const struct {
    uint32_t net, mask;
  } nets[] = {
    { 0x7f000000, 0xff000000 },
    { 0xa9fe0000, 0xffff0000 },
    { 0x0a000000, 0xff000000 },
    { 0xac100000, 0xfff00000 },
    { 0xc0a80000, 0xffff0000 },
    { 0x64400000, 0xffc00000 },
  };
  const pr_netaddr_t *na = session.c->remote_addr;
  const struct in6_addr *in6;
  uint32_t addr;

  if (pr_netaddr_is_v4mappedv6(na) == TRUE) {
    na = pr_netaddr_v6tov4(p, na);
  }

  if (pr_netaddr_get_family(na) != AF_INET) {
    in6 = pr_netaddr_get_inaddr(na);
    return IN6_IS_ADDR_LOOPBACK(in6) || IN6_IS_ADDR_LINKLOCAL(in6) ||
           (in6->s6_addr[0] & 0xfe) == 0xfc;
  }

  addr = ntohl(((const struct in_addr *) pr_netaddr_get_inaddr(na))->s_addr);
  for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
    if ((addr & nets[i].mask) == nets[i].net) {
      return true;
    }
  }

  return false;
}

/* PASV over IPv6 is answered by ProFTPD with what it listens on there. */
static bool listens_on_ipv4(void) {
  const pr_netaddr_t *na = session.c->local_addr;

  return pr_netaddr_get_family(na) == AF_INET ||
         pr_netaddr_is_v4mappedv6(na) == TRUE;
}

static bool natpasv_answers(cmd_rec *cmd) {
  cmdtable *hook =
    pr_stash_get_symbol2(PR_SYM_HOOK, "natpasv_active", NULL, NULL, NULL);
  modret_t *res = NULL;

  if (hook != NULL) {
    res = pr_module_call(hook->m, hook->handler, cmd);
  }

  return res != NULL && MODRET_ISHANDLED(res);
}

/* One directive whose value is lent to us for the time of a command. */
struct loan {
  config_rec *c;
  void *value; /* what was in argv[0] */
  bool ours;   /* the whole directive is: there was none */
};

static void give_back(void *data) {
  struct loan *loan = data;

  if (loan->ours) {
    (void) xaset_remove(loan->c->set, (xasetmember_t *) loan->c);
    destroy_pool(loan->c->pool);

  } else {
    loan->c->argv[0] = loan->value;
  }
}

/* ProFTPD's handler takes the address from argv[0] of the first such directive,
 * and writes commas into the text that is cached in it: it gets a copy. */
static void lend(
  cmd_rec *cmd, const char *directive, const pr_netaddr_t *addr, bool add) {
  struct loan *loan = pcalloc(cmd->pool, sizeof(*loan));

  loan->c = find_config(main_server->conf, CONF_PARAM, directive, FALSE);
  if (loan->c == NULL) {
    if (!add) {
      return;
    }

    loan->c = add_config_param_set(&main_server->conf, directive, 1, NULL);
    loan->ours = true;
  }

  loan->value = loan->c->argv[0];
  loan->c->argv[0] = pr_netaddr_dup(cmd->pool, addr);
  register_cleanup2(cmd->pool, loan, give_back);
}

void extip_session_prepare_pasv(cmd_rec *cmd) {
  const pr_netaddr_t *na;
  struct in_addr addr;
  int known = extip_session_address(&addr);

  if (vhost == NULL || !listens_on_ipv4() || natpasv_answers(cmd)) {
    return;
  }

  if (is_local_client(cmd->tmp_pool) && !vhost->announce_to_all) {
    na = session.c->local_addr;

  } else if (known == 0) {
    na = extip_netaddr(cmd->pool, addr);

  } else {
    return;
  }

  if (na != NULL) {
    lend(cmd, "MasqueradeAddress", na, true);
    lend(cmd, "TLSMasqueradeAddress", na, false);
  }
}
