/*
 * mod_keepalive - the life of a session
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Nothing is done before the login. Then the probes are set, once, and the
 * watch over transfers begins. */

#include "session.h"
#include "control.h"
#include "log.h"
#include "probes.h"
#include "shared.h"
#include "terms.h"
#include "transfer.h"
#include "watch.h"

static struct {
  bool begun; /* with the first command */
  bool engine;
  bool settled; /* the login has chosen the terms */
  uint64_t owner;
  struct keepalive_terms terms;
} sess;

/* The rule is chosen after the login, because mod_ifsession then merges its
 * sections. */
static void choose_rule(struct keepalive_rule *rule) {
  const struct keepalive_rule *best = NULL;
  const char *class_name = NULL;
  char text[128];
  config_rec *c;

  if (session.conn_class != NULL) {
    class_name = session.conn_class->cls_name;
  }

  for (c = find_config(main_server->conf, CONF_PARAM, "KeepaliveRule", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "KeepaliveRule", FALSE)) {
    best = keepalive_rule_choose(best, c->argv[0], class_name);
  }

  *rule = best != NULL ? *best : keepalive_rule_default;
  pr_trace_msg(KEEPALIVE_TRACE, 5, "class '%s': KeepaliveRule %s",
    class_name != NULL ? class_name : "(none)",
    keepalive_rule_print(rule, text, sizeof(text)));
}

/* As an IPv6 address, IPv4 mapped. */
static void get_client(unsigned char address[16]) {
  const pr_netaddr_t *addr = session.c->remote_addr;
  size_t len = pr_netaddr_get_inaddr_len(addr);

  memset(address, 0, 16);
  if (len == 4) {
    address[10] = address[11] = 0xff;
  }
  memcpy(address + 16 - len, pr_netaddr_get_inaddr(addr), len);
}

static void enter_table(struct keepalive_terms *terms) {
  unsigned char client[16];

  get_client(client);
  terms->interval = terms->rule.interval;
  terms->network_key = keepalive_network_key(client, sizeof(client));
  terms->table = keepalive_shared_table();
  if (terms->table == NULL) {
    return;
  }

  terms->network = keepalive_network_find(
    terms->table->network, terms->network_key, (uint32_t) time(NULL));
  terms->interval = keepalive_network_interval(
    keepalive_network_facts(terms->network), terms->rule.interval);

  terms->slot = keepalive_table_claim(terms->table, sess.owner);
  if (terms->slot != NULL) {
    memcpy(terms->slot->client, client, sizeof(client));
    terms->slot->interval = terms->interval;
  }
}

/* This many sessions in a row from one address mean a proxy, or one busy
 * client. */
#define SAME_CLIENT 50

static bool all_have_one_address(struct keepalive_terms *terms) {
  uint64_t first = 0, client;

  if (terms->slot == NULL) {
    return false;
  }

  /* Of IPv6 the host within its network. */
  memcpy(&client, terms->slot->client + 8, sizeof(client));
  if (atomic_compare_exchange_strong(&terms->table->first, &first, client) ||
      first == client) {
    return atomic_fetch_add(&terms->table->same, 1) + 1 >= SAME_CLIENT;
  }

  atomic_store(&terms->table->first, UINT64_MAX);
  return false;
}

/* If a proxy that ends TCP is likely, and the connection has no TLS 1.3, one
 * line is logged, once for each daemon. */
static void advise(struct keepalive_terms *terms) {
  const int *engine =
    get_param_ptr(main_server->conf, "ProxyProtocolEngine", FALSE);
  bool proxy = engine != NULL && *engine == TRUE;
  enum keepalive_method method = terms->rule.method;
  uint32_t never = 0;

  if (!(all_have_one_address(terms) || (proxy && terms->table != NULL)) ||
      method == KEEPALIVE_REPLY || method == KEEPALIVE_TELNET ||
      keepalive_control_has_tickets() ||
      !atomic_compare_exchange_strong(&terms->table->advised, &never, 1)) {
    return;
  }

  keepalive_log(
    "%s: a proxy may end the TCP connections and forward no probes, and this client has %s: consider 'KeepaliveRule * method reply'",
    proxy ? "ProxyProtocolEngine is on" : "all clients have one address",
    keepalive_control_protocol());
}

/* Other protocols of ProFTPD have keepalives of their own. The protocol is
 * known late, because mod_sftp may be initialised after this module. */
static bool is_ftp(void) {
  const char *protocol = pr_session_get_protocol(0);

  return strcmp(protocol, "ftp") == 0 || strcmp(protocol, "ftps") == 0;
}

static void settle(void) {
  struct keepalive_terms *terms = &sess.terms;

  sess.settled = true;
  choose_rule(&terms->rule);
  if (!is_ftp() || terms->rule.method == KEEPALIVE_NONE ||
      keepalive_probes_start() < 0) {
    keepalive_transfer_none();
    return;
  }

  enter_table(terms);
  keepalive_probes_idle(terms->interval, terms->rule.deadline);
  keepalive_watch_start(terms);
  keepalive_transfer_start(terms);
  advise(terms);
}

static void release(void) {
  if (sess.terms.slot != NULL) {
    keepalive_table_release(sess.terms.table, sess.terms.slot, sess.owner);
    sess.terms.slot = NULL;
  }
}

void keepalive_session_stop(void) {
  keepalive_transfer_stop();
  keepalive_watch_stop();
  keepalive_probes_stop();
  keepalive_log_stop();
  release();
  memset(&sess, 0, sizeof(sess));
}

/* The process ends. */
static void exit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  release();
}

/* HOST has chosen another server. */
static void sess_reinit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  keepalive_session_stop();
}

/* At the first command, because a session may change its root directory later,
 * and not before the greeting, for which a client waits. */
static void begin(void) {
  const int *engine =
    get_param_ptr(main_server->conf, "KeepaliveEngine", FALSE);
  struct keepalive_table *table = keepalive_shared_table();

  sess.begun = true;
  pr_event_register(&keepalive_module, "core.exit", exit_ev, NULL);
  pr_event_register(
    &keepalive_module, "core.session-reinit", sess_reinit_ev, NULL);
  sess.engine = engine != NULL && *engine;
  if (!sess.engine) {
    return;
  }

  keepalive_log_start();
  sess.owner = keepalive_table_owner((int) session.pid);
  if (table != NULL) {
    keepalive_table_inspect(table, 2);
  }
}

void keepalive_session_command(const cmd_rec *cmd) {
  if (!sess.begun) {
    begin();
  }

  if (sess.settled) {
    keepalive_transfer_command(cmd);
  }
}

/* mod_proxy logs users in that this host does not know. */
static bool is_logged_in(const cmd_rec *cmd, bool well) {
  return session.user != NULL || (well && strcmp(cmd->argv[0], C_PASS) == 0);
}

void keepalive_session_command_end(const cmd_rec *cmd, bool well) {
  if (!sess.engine) {
    return;
  }

  keepalive_transfer_command_end(cmd, well);
  if (!sess.settled && is_logged_in(cmd, well)) {
    settle();
  }
}
