/*
 * mod_extip - a session: which address it announces to which client
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "common_clients.h"
#include "log.h"
#include "mod_extip.h"
#include "session.h"
#include "shared.h"

#define NOTE_ADDRESS "mod_extip.address"

/* The state of a session. */
static const struct extip_vhost *vhost = NULL;
static bool counted = false; /* with what its client was told */
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

/* Reads the record of this server, whose place can change with each reload of
 * the daemon. */
static bool read_answer(struct extip_table_answer *answer) {
  const struct extip_table *table = extip_shared_view();

  if (table == NULL) {
    return false;
  }

  record = extip_table_find(table, record, vhost->asked, vhost->id);
  return record >= 0 && extip_table_read(table, (size_t) record, answer);
}

static bool too_old(const struct extip_table_answer *answer) {
  return vhost->max_age > 0 &&
         extip_moment_age(&answer->confirmed) > vhost->max_age;
}

static int look_up(struct in_addr *addr) {
  struct extip_table_answer answer;

  if (vhost == NULL || vhost->discovery == NULL || !read_answer(&answer) ||
      answer.addr == INADDR_ANY || too_old(&answer)) {
    addr->s_addr = INADDR_ANY;
    errno = ENOENT;
    return -1;
  }

  addr->s_addr = answer.addr;
  return 0;
}

static void set_note(const char *text) {
  (void) pr_table_remove(session.notes, NOTE_ADDRESS, NULL);
  (void) pr_env_unset(session.pool, EXTIP_ENV_ADDRESS);
  if (text != NULL) {
    (void) pr_table_add_dup(session.notes, NOTE_ADDRESS, text, 0);
    (void) pr_env_set(session.pool, EXTIP_ENV_ADDRESS, text);
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

void extip_session_doubt(struct in_addr addr) {
  struct in_addr ours;

  if (extip_session_address(&ours) == 0 && addr.s_addr == ours.s_addr) {
    struct extip_wake wake = { addr.s_addr, (uint32_t) record };

    (void) extip_shared_wake(&wake);
  }
}

void extip_session_start(const struct extip_plan *plan) {
  struct in_addr addr;

  vhost = extip_plan_find(plan, main_server);

  /* A server that has come after the plan was made (mod_autohost) is answered
   * as the first one, "server config". */
  if (vhost == NULL && plan != NULL && plan->vhost_count > 0) {
    vhost = &plan->vhosts[0];
  }

  if (vhost != NULL && !vhost->engine) {
    vhost = NULL;
  }

  /* Where it was when the daemon read its configuration. */
  record = vhost != NULL && vhost->discovery != NULL
             ? (int) vhost->discovery->record
             : -1;
  (void) look_up(&addr);
  notice(addr, false);
}

/* Announcing in ProFTPD's own PASV */

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

/* A directive whose value is replaced for the time of a command. */
struct loan {
  config_rec *c;
  void *value; /* what was in argv[0] */
  bool ours;   /* the whole directive is: there was none */
};

static void give_back(void *data) {
  struct loan *loan = data;

  if (loan->ours) {
    (void) xaset_remove(loan->c->set, (xasetmember_t *) loan->c);
  } else {
    loan->c->argv[0] = loan->value;
  }
}

/* ProFTPD keeps some bytes of each directive that is added, which a client that
 * asks without end would make many: so there is one in each session. */
static config_rec *add_masquerade_address(void) {
  static config_rec *kept = NULL;

  if (kept != NULL && kept->set == main_server->conf) {
    (void) xaset_insert_end(kept->set, (xasetmember_t *) kept);
  } else {
    kept =
      add_config_param_set(&main_server->conf, "MasqueradeAddress", 1, NULL);
  }
  return kept;
}

/* ProFTPD's handler takes the address from argv[0] of the first such directive,
 * and writes commas into its cached text. So it gets a copy. */
static void lend(
  cmd_rec *cmd, const char *directive, const pr_netaddr_t *addr, bool add) {
  struct loan *loan = pcalloc(cmd->pool, sizeof(*loan));

  loan->c = find_config(main_server->conf, CONF_PARAM, directive, FALSE);
  if (loan->c == NULL) {
    if (!add) {
      return;
    }

    loan->c = add_masquerade_address();
    loan->ours = true;
  }

  loan->value = loan->c->argv[0];
  loan->c->argv[0] = pr_netaddr_dup(cmd->pool, addr);
  register_cleanup2(cmd->pool, loan, give_back);
}

/* Counts the session, and tells the operator if its client looks like a
 * proxy. */
static void count_session(bool local) {
  struct local_run *run = extip_shared_run();

  if (counted || run == NULL) {
    return;
  }

  counted = true;
  if (clients_look_like_proxy(run, local)) {
    extip_log(EXTIP_LOG_NOTICE, LOCAL_RUN_NOTICE, LOCAL_RUN_LENGTH,
      pr_netaddr_get_ipstr(session.c->remote_addr),
      pr_netaddr_get_ipstr(session.c->local_addr));
  }
}

void extip_session_prepare_pasv(cmd_rec *cmd) {
  const pr_netaddr_t *na;
  struct in_addr addr;
  int known = extip_session_address(&addr);
  bool local;

  if (vhost == NULL || !listens_on_ipv4() || natpasv_answers(cmd)) {
    return;
  }

  local = !vhost->announce_to_all && clients_local();
  count_session(local);
  if (local) {
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

/* ProFTPD replaces a private address in PORT or EPRT by the client's own only
 * if it has a masquerade address that is not private. */
void extip_session_prepare_port(cmd_rec *cmd) {
  const pr_netaddr_t *na;
  struct in_addr addr;

  if (extip_session_address(&addr) < 0 || !listens_on_ipv4()) {
    return;
  }

  na = extip_netaddr(cmd->pool, addr);
  if (na != NULL) {
    lend(cmd, "MasqueradeAddress", na, true);
    lend(cmd, "TLSMasqueradeAddress", na, false);
  }
}

bool extip_session_announces_to_all(void) {
  return vhost != NULL && vhost->announce_to_all;
}
