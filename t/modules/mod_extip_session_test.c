/*
 * mod_extip_session_test - which address a session announces, to whom, and what
 * it tells the helper.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

#define OUT  "203.0.113.9" /* a client */
#define LAN  "10.0.0.5"    /* a client */
#define HERE "192.168.1.1" /* the address that it has reached */

static struct {
  unsigned int count;
  char addr[64];
} event;

static bool natpasv_has_it; /* mod_natpasv answers PASV */

static void changed_ev(const void *event_data, void *user_data) {
  (void) user_data;
  event.count++;
  sstrncpy(event.addr, event_data, sizeof(event.addr));
}

static void is_announced(const char *want, const char *name) {
  struct in_addr addr = { .s_addr = 1 };
  char text[INET_ADDRSTRLEN];
  int res;

  errno = 0;
  res = extip_session_address(&addr);
  is_int(res, want != NULL ? 0 : -1, "%s", name);
  ok(res == 0 || errno == ENOENT, "... errno");
  is_str(inet_ntop(AF_INET, &addr, text, sizeof(text)),
    want != NULL ? want : "0.0.0.0", "... %s", want != NULL ? want : "none");
  is_str(note("mod_extip.address"), want, "... in the note");
  is_str(pr_env_get(session.pool, "EXTIP_ADDRESS"), want,
    "... and in the environment");
}

static void test_no_plan(void) {
  arrive(OUT, HERE);
  extip_session_start(NULL);
  is_announced(NULL, "a session without a plan");
  ok(!extip_session_announces_to_all(), "... announces nothing to all");
}

static void test_engine_off(void) {
  start_daemon();
  know("198.51.100.1");
  vhosts[0].engine = false;
  vhosts[0].announce_to_all = true;
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_announced(NULL, "a server with the engine off");
  ok(!extip_session_announces_to_all(), "... announces nothing to all");
}

static void test_no_source(void) {
  start_daemon();
  know("198.51.100.1");
  vhosts[0].discovery = NULL;
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_announced(NULL, "a server without a source");
}

static void test_no_table(void) {
  start_daemon();
  extip_shared_free();
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_announced(NULL, "no table");
}

static void test_changes(void) {
  start_daemon();
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_announced(NULL, "before an address is known");
  know("198.51.100.1");
  is_announced("198.51.100.1", "the first one");
  is_int(event.count, 1, "... is an event");
  is_announced("198.51.100.1", "the same again");
  is_int(event.count, 1, "... is none");
  know("198.51.100.2");
  is_announced("198.51.100.2", "another one");
  is_int(event.count, 2, "... is an event");
  is_str(event.addr, "198.51.100.2", "... that tells it");
  know("0.0.0.0");
  is_announced(NULL, "no address any more");
  is_int(event.count, 2, "... is no event");
  ok(!extip_session_announces_to_all(), "it is not announced to all");
}

static void test_at_start(void) {
  start_daemon();
  know("198.51.100.1");
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_str(note("mod_extip.address"), "198.51.100.1",
    "an address that is known at the start is in the note");
  is_announced("198.51.100.1", "... and announced");
  is_int(event.count, 0, "... without an event: nothing has changed");
}

static void test_age(void) {
  start_daemon();
  know("198.51.100.1");
  vhosts[0].max_age = 100;
  world.age = 100;
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_announced("198.51.100.1", "as old as ExtIPMaxAge");
  world.age = 101;
  is_announced(NULL, "older");
  vhosts[0].max_age = 0;
  is_announced("198.51.100.1", "no ExtIPMaxAge");
}

static void test_moved(void) {
  start_daemon();
  know("198.51.100.1");
  arrive(OUT, HERE);
  extip_session_start(&plan);
  (void) memset(extip_shared_table(), 0, sizeof(struct extip_table));
  know_at(3, "198.51.100.3");
  is_announced("198.51.100.3", "a record that a reload has moved");
  (void) memset(extip_shared_table(), 0, sizeof(struct extip_table));
  is_announced(NULL, "a record that is gone");
}

/* mod_autohost adds servers after the plan was made. */
static void test_late_server(void) {
  static server_rec other;

  start_daemon();
  know("198.51.100.1");
  vhosts[0].server = &other;
  vhosts[0].announce_to_all = true;
  arrive(OUT, HERE);
  extip_session_start(&plan);
  is_announced(
    "198.51.100.1", "a server that is not in the plan: as the first");
  ok(extip_session_announces_to_all(), "... as it announces");
  plan.vhost_count = 0;
  extip_session_start(&plan);
  is_announced(NULL, "a plan without servers");
}

static void test_doubt(void) {
  struct extip_wake wake = { 0, 0 };
  struct in_addr ours = { inet_addr("198.51.100.1") },
                 other = { inet_addr("198.51.100.2") };

  start_daemon();
  discovery.record = 2;
  know("198.51.100.1");
  arrive(OUT, HERE);
  extip_session_start(&plan);
  extip_session_doubt(other);
  ok(!woken(), "another address than ours is not doubted");
  extip_session_doubt(ours);
  ok(was_woken(&wake), "ours is: the helper is woken");
  is_int(wake.addr, ours.s_addr, "... with the address");
  is_int(wake.record, 2, "... and its record");
  know("0.0.0.0");
  extip_session_doubt((struct in_addr){ INADDR_ANY });
  ok(!woken(), "no address cannot be doubted");
}

/* PASV */

static const char *lent(const char *directive) {
  config_rec *c = find_config(main_server->conf, CONF_PARAM, directive, FALSE);

  return c != NULL ? pr_netaddr_get_ipstr(c->argv[0]) : NULL;
}

static cmd_rec *command(void) {
  return pr_cmd_alloc(session.pool, 1, "PASV");
}

/* What ProFTPD's own handler finds; and that it was lent. */
static void is_lent(void (*prepare)(cmd_rec *), const char *want,
  const char *tls, const char *name) {
  cmd_rec *cmd = command();
  char before[2][64];

  sstrncpy(before[0],
    lent("MasqueradeAddress") ? lent("MasqueradeAddress") : "",
    sizeof(before[0]));
  sstrncpy(before[1],
    lent("TLSMasqueradeAddress") ? lent("TLSMasqueradeAddress") : "",
    sizeof(before[1]));
  prepare(cmd);
  is_str(lent("MasqueradeAddress"), want, "%s", name);
  is_str(lent("TLSMasqueradeAddress"), tls, "... with TLS");
  destroy_pool(cmd->pool);
  is_str(lent("MasqueradeAddress") ? lent("MasqueradeAddress") : "", before[0],
    "... and then the configuration is as before");
  is_str(lent("TLSMasqueradeAddress") ? lent("TLSMasqueradeAddress") : "",
    before[1], "... also with TLS");
}

static void be_known(const char *client_addr, const char *server_addr) {
  start_daemon();
  know("198.51.100.1");
  arrive(client_addr, server_addr);
  extip_session_start(&plan);
}

static void test_pasv(void) {
  config_rec *first;
  cmd_rec *cmd;

  be_known(OUT, HERE);
  is_lent(extip_session_prepare_pasv, "198.51.100.1", NULL,
    "PASV announces the address");
  cmd = command();
  extip_session_prepare_pasv(cmd);
  first =
    find_config(main_server->conf, CONF_PARAM, "MasqueradeAddress", FALSE);
  destroy_pool(cmd->pool);
  cmd = command();
  extip_session_prepare_pasv(cmd);
  ok(find_config(main_server->conf, CONF_PARAM, "MasqueradeAddress", FALSE) ==
       first,
    "... always with the same directive");
  destroy_pool(cmd->pool);

  natpasv_has_it = true;
  is_lent(extip_session_prepare_pasv, NULL, NULL,
    "... but not when mod_natpasv answers");
  is_lent(extip_session_prepare_port, "198.51.100.1", NULL,
    "... PORT has it all the same");
  natpasv_has_it = false;

  add_address("MasqueradeAddress", "192.0.2.1");
  add_address("TLSMasqueradeAddress", "192.0.2.2");
  is_lent(extip_session_prepare_pasv, "198.51.100.1", "198.51.100.1",
    "it replaces what is configured");
  is_lent(extip_session_prepare_port, "198.51.100.1", "198.51.100.1",
    "... for PORT as well");

  know("0.0.0.0");
  is_lent(extip_session_prepare_pasv, "192.0.2.1", "192.0.2.2",
    "without an address, what is configured stays");
  is_lent(extip_session_prepare_port, "192.0.2.1", "192.0.2.2",
    "... for PORT as well");
}

static void test_pasv_late(void) {
  be_known(OUT, HERE);
  know("198.51.100.2");
  is_lent(extip_session_prepare_pasv, "198.51.100.2", NULL,
    "PASV announces the address that is known now");
  is_int(event.count, 1, "... and that it is another one is told");
}

static void test_pasv_local(void) {
  be_known(LAN, HERE);
  is_lent(extip_session_prepare_pasv, HERE, NULL,
    "a local client is told the address it has reached");
  is_lent(extip_session_prepare_port, "198.51.100.1", NULL,
    "... and PORT is the same for all");
  know("0.0.0.0");
  is_lent(extip_session_prepare_pasv, HERE, NULL,
    "... also before an address is known");
  is_lent(extip_session_prepare_port, NULL, NULL, "... PORT has none then");
  know("198.51.100.1");
  vhosts[0].announce_to_all = true;
  is_lent(extip_session_prepare_pasv, "198.51.100.1", NULL,
    "with AnnounceToAll a local client is told what all are");
  vhosts[0].announce_to_all = false;
  add_local("none");
  is_lent(extip_session_prepare_pasv, "198.51.100.1", NULL,
    "... and with NATPasvLocal none");
}

static void test_pasv_off(void) {
  start_daemon();
  vhosts[0].engine = false;
  arrive(LAN, HERE);
  extip_session_start(&plan);
  is_lent(extip_session_prepare_pasv, NULL, NULL,
    "with the engine off nothing is announced");
}

static void test_pasv_ipv6(void) {
  be_known("2001:db8::9", "2001:db8::1");
  is_lent(extip_session_prepare_pasv, NULL, NULL, "PASV over IPv6");
  is_lent(extip_session_prepare_port, NULL, NULL, "PORT over IPv6");
  session.c->local_addr = address(place, "::ffff:" HERE);
  session.c->remote_addr = address(place, "::ffff:" OUT);
  is_lent(extip_session_prepare_pasv, "198.51.100.1", NULL,
    "PASV over IPv4 on an IPv6 socket");
  is_lent(extip_session_prepare_port, "198.51.100.1", NULL,
    "PORT over IPv4 on an IPv6 socket");
}

static void prepare_and_end(void) {
  cmd_rec *cmd = command();

  extip_session_prepare_pasv(cmd);
  destroy_pool(cmd->pool);
}

/* The session that completes a run of local clients. */
static void test_proxy(void) {
  struct local_run *run;

  be_known(LAN, HERE);
  run = extip_shared_run();
  for (int i = 2; i < LOCAL_RUN_LENGTH; i++) {
    (void) local_run_add(run, AF_INET, &(struct in_addr){ inet_addr(LAN) });
  }
  prepare_and_end();
  prepare_and_end();
  is_said("", "a session before the last of a run, which counts once");
}

static void test_proxy_complete(void) {
  struct local_run *run;

  be_known(LAN, HERE);
  run = extip_shared_run();
  for (int i = 1; i < LOCAL_RUN_LENGTH; i++) {
    (void) local_run_add(run, AF_INET, &(struct in_addr){ inet_addr(LAN) });
  }
  prepare_and_end();
  is_begun("NOTICE the last 20 sessions came from " LAN
           ", a local address, and were told the local address " HERE ": ",
    "a run of local clients looks like a proxy");
}

static void run_tests(void) {
  (void) pr_event_register(
    &extip_module, "mod_extip.address-changed", changed_ev, NULL);
  in_session(test_no_plan);
  in_session(test_engine_off);
  in_session(test_no_source);
  in_session(test_no_table);
  in_session(test_changes);
  in_session(test_at_start);
  in_session(test_age);
  in_session(test_moved);
  in_session(test_late_server);
  in_session(test_doubt);
  in_session(test_pasv);
  in_session(test_pasv_late);
  in_session(test_pasv_local);
  in_session(test_pasv_off);
  in_session(test_pasv_ipv6);
  in_session(test_proxy);
  in_session(test_proxy_complete);
}

MODRET natpasv_active(cmd_rec *cmd) {
  return natpasv_has_it ? PR_HANDLED(cmd) : PR_DECLINED(cmd);
}

static cmdtable hooks[] = {
  { HOOK, "natpasv_active", G_NONE, natpasv_active, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

TEST_MODULE(extip_session_test, hooks);
