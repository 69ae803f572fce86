/*
 * mod_natpasv_pasv_test - PASV and EPSV: what is answered, leased, counted and
 * noted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-pasv.h"

static void test_off(void) {
  arrive("127.0.0.1", "127.0.0.1");
  is_str(outcome(natpasv_login(command("USER", "ftp"))), "declined",
    "a login is ProFTPD's");
  is_str(pasv(), "declined", "without an engine PASV is ProFTPD's");
  is_str(epsv(NULL), "declined", "... and EPSV");
  is_str(outcome(natpasv_port(command("PORT", "127,0,0,1,195,80"))), "declined",
    "... and PORT");
  is_str(begin_transfer(), "declined", "... and a transfer");
  is_str(wire(), "", "... and nothing is said");
  configure_number("NATPasvEngine", TRUE);
  is_str(pasv(), "declined", "... for as long as the session lasts");
  pr_event_generate("core.session-reinit", NULL);
  is_str(pasv(), "handled", "... or until HOST");
}

/* Ports that the kernel chooses. */
static void test_no_pool(void) {
  unsigned int port;

  log_in("127.0.0.1", "127.0.0.1");
  ok(note("mod_natpasv.port") == NULL, "no note yet");
  is_str(pasv(), "handled", "PASV without a pool");
  port = told_port();
  ok(port >= 1024 && session.d != NULL && session.d->local_port == (int) port,
    "... is told the port that the kernel chose");
  ok((session.sf_flags & SF_PASSIVE) != 0 && session.data_port == port,
    "... and ProFTPD knows");
  is_str(note("mod_natpasv.pool"), "*", "... as a note: no pool");
  ok(note("mod_natpasv.port") != NULL &&
       strtoul(note("mod_natpasv.port"), NULL, 10) == port,
    "... the port");
  is_str(note("mod_natpasv.address"), "127.0.0.1", "... the address");
}

static void test_pool(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30009 external 40000");
  struct natpasv_row *row = row_of(pool);
  unsigned int port, former;

  add_rule("* pool a address local");
  log_in("127.0.0.1", "127.0.0.1");
  is_str(pasv(), "handled", "PASV with a pool");
  port = session.d->local_port;
  ok(port >= 30000 && port <= 30009, "... a port of it");
  is_int(told_port(), port + 10000, "... as it is outside");
  ok(leased(port) != 0, "... leased");
  ok(counted(row, NATPASV_GRANTED) == 1 && row->peak == 1, "... and counted");
  is_str(note("mod_natpasv.pool"), "a", "... and noted, with the pool");

  former = port;
  is_str(epsv(NULL), "handled", "EPSV after it");
  port = session.d->local_port;
  is_int(told_port(), port + 10000, "... has another port");
  ok(port != former && leased(port) != 0 && leased(former) == 0,
    "... and the former one is free");
  is_str(note("mod_natpasv.address"), "", "... and tells no address");
  is_int((long long) strtoul(note("mod_natpasv.port"), NULL, 10), port + 10000,
    "... but the port, in the same note");
  ok(counted(row, NATPASV_GRANTED) == 2 && row->peak >= 1, "... counted too");

  pr_event_generate("core.exit", NULL);
  ok(leased(port) == 0 && session.d == NULL, "a session that ends has none");
}

static void test_arguments(void) {
  static const struct {
    const char *arg, *want;
  } cases[] = {
    { NULL, "handled" },
    { "1", "handled" },
    { "2", "handled" },
    { "0", "declined" },
    { "3", "declined" },
    { "1x", "declined" },
    { "ALL", "declined" },
  };
  const pr_netaddr_t *ipv6;
  cmd_rec *cmd;

  log_in("127.0.0.1", "127.0.0.1");
  ipv6 = address(place, "::1");
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    is_str(epsv(cases[i].arg), cases[i].want, "EPSV %s",
      cases[i].arg != NULL ? cases[i].arg : "");
    is_int(told_port() != 0, cases[i].want[0] == 'h', "... is told a port");
  }
  pr_netaddr_disable_ipv6();
  is_str(epsv("2"), "declined", "EPSV 2 without IPv6");
  is_str(epsv("1"), "handled", "EPSV 1 without IPv6");
  is_str(epsv(NULL), "handled", "EPSV without IPv6, on an IPv4 socket");
  session.c->local_addr = session.c->remote_addr = ipv6;
  is_str(epsv(NULL), "declined", "... and on one of IPv6");
  pr_netaddr_enable_ipv6();
  is_str(epsv(NULL), "handled", "... with IPv6");
  ok(pr_netaddr_get_family(session.d->local_addr) == AF_INET6,
    "... on an IPv6 address");

  session.c->local_addr = address(place, "127.0.0.1");
  session.c->remote_addr = address(place, "127.0.0.1");
  (void) wire();
  is_str(outcome(natpasv_pasv(command("PASV", "x"))), "declined", "PASV x");
  session.sf_flags |= SF_EPSV_ALL;
  is_str(pasv(), "declined", "PASV after EPSV ALL");
  is_str(epsv(NULL), "handled", "... and EPSV");

  cmd = command("EPSV", NULL);
  cmd->argv[0] = pstrdup(place, "epsv");
  is_str(outcome(natpasv_epsv(cmd)), "handled", "epsv");
}

static void test_families(void) {
  add_pool("a 30000-30009 listen 127.0.0.7");
  add_rule("* pool a");
  log_in("127.0.0.1", "127.0.0.1");
  (void) pasv();
  is_str(pr_netaddr_get_ipstr(session.d->local_addr), "127.0.0.7",
    "a pool that listens elsewhere");
  session.c->local_addr = address(place, "::1");
  session.c->remote_addr = address(place, "::1");
  (void) epsv(NULL);
  is_str(pr_netaddr_get_ipstr(session.d->local_addr), "::1",
    "... which is of the other family");
  session.c->local_addr = address(place, "::ffff:127.0.0.1");
  session.c->remote_addr = address(place, "127.0.0.1");
  (void) epsv(NULL);
  is_str(pr_netaddr_get_ipstr(session.d->local_addr), "127.0.0.7",
    "an IPv4 client on an IPv6 socket");
}

/* Of one client all sessions count, whatever it looks like. */
static uint64_t client_of(const char *from) {
  struct natpasv_table *table = natpasv_shared();

  log_in(from, "127.0.0.1");
  if (pr_netaddr_get_family(session.c->remote_addr) == AF_INET6 &&
      pr_netaddr_is_v4mappedv6(session.c->remote_addr) != TRUE) {
    session.c->local_addr = address(place, "::1");
  }
  pr_event_generate("core.session-reinit", NULL);
  (void) epsv(NULL);
  return table->map->owner[table->self].client;
}

static void test_clients(void) {
  static const unsigned char global[8] = { 0x20, 1, 0xd, 0xb8 };
  static const unsigned char ula[16] = { 0xfd, [15] = 9 };
  static const unsigned char ipv4[4] = { 127, 0, 0, 1 };
  uint64_t start;

  add_pool("a 30000-30009");
  add_rule("* pool a");
  start = NATPASV_HASH ^ natpasv_shared()->map->seed;
  ok(client_of("127.0.0.1") == natpasv_hash(start, ipv4, 4),
    "an IPv4 client is its address");
  ok(client_of("::ffff:127.0.0.1") == natpasv_hash(start, ipv4, 4),
    "... on an IPv6 socket too");
  ok(client_of("2001:db8::9") == natpasv_hash(start, global, 8),
    "a global IPv6 client is its network");
  ok(client_of("fd00::9") == natpasv_hash(start, ula, 16),
    "... one of a ULA its address");
}

static void test_class(void) {
  const struct natpasv_pool *a = add_pool("a 30000-30004"),
                            *b = add_pool("b 31000-31004");

  add_rule("lan pool a");
  add_rule("* pool b address 127.0.0.1");
  log_in("127.0.0.1", "127.0.0.1");
  be_in_class("wan");
  (void) pasv();
  ok(session.d->local_port >= 31000, "the rule for all");
  is_int((long long) counted(
           natpasv_count_row(natpasv_shared(), b->key, "wan"), NATPASV_GRANTED),
    1, "... is counted with the class");
  be_in_class("lan");
  (void) pasv();
  ok(session.d->local_port >= 31000, "... once for a session");
  pr_event_generate("core.session-reinit", NULL);
  (void) pasv();
  ok(session.d->local_port <= 30004, "... and then that of its class");
  is_int((long long) counted(
           natpasv_count_row(natpasv_shared(), a->key, "lan"), NATPASV_GRANTED),
    1, "... with a counter of its own");
}

static void test_passiveports(void) {
  add_passiveports(32000, 32001);
  log_in("127.0.0.1", "127.0.0.1");
  (void) pasv();
  ok(session.d->local_port == 32000 || session.d->local_port == 32001,
    "PassivePorts are a pool");
  is_str(note("mod_natpasv.pool"), "32000-32001", "... named after its ports");
}

/* Ports that a router forwards. */
static void test_forwarded(void) {
  static struct forward one[] = {
    { .inside = 30003, .outside = 50003, .open = true },
    { .inside = 30004, .open = false },
  };
  static struct forwards list = { 1, 2, one }, none = { 2, 0, one };

  add_pool("a 30000-30009");
  add_rule("* pool a address 127.0.0.1");
  add_rule("near pool a address local");
  log_in("203.0.113.9", "127.0.0.1");
  world.forwards = &list;
  is_str(pasv(), "handled", "a client outside");
  is_int(session.d->local_port, 30003, "... gets the port that is forwarded");
  is_int(told_port(), 50003, "... under its number outside");
  is_begun("NOTICE! pool 'a' is nearly full (1 of 1 ports",
    "... all that there are are in use");

  world.forwards = &none;
  (void) pasv();
  is_int(told_port(), session.d->local_port,
    "no port is forwarded: all are told as they are");
  is_begun(
    "WARNING! the router forwards no port of pool 'a'", "... and that is said");

  world.forwards = &list;
  session.c->remote_addr = address(place, "10.0.0.5");
  for (int i = 0, others = 0; i < 20; i++) {
    (void) pasv();
    others += session.d->local_port != 30003;
    if (i == 19) {
      ok(others > 0, "a client in the LAN gets any port");
    }
  }
  is_int(told_port() != 50003, 1, "... as it is");
}

static void test_near(void) {
  static struct forward one[] = {
    { .inside = 30003, .outside = 50003, .open = true },
  };
  static struct forwards list = { 1, 1, one };
  int others = 0;

  add_pool("a 30000-30009");
  add_rule("* pool a address local");
  log_in("203.0.113.9", "127.0.0.1");
  world.forwards = &list;
  for (int i = 0; i < 20; i++) {
    (void) pasv();
    others += session.d->local_port != 30003;
  }
  ok(others > 0, "a rule with address local needs no forwarded port");
}

static void test_local(void) {
  add_address("MasqueradeAddress", "198.51.100.7");
  add_pool("a 30000-30009");
  add_rule("* pool a");
  log_in("10.0.0.5", "127.0.0.1");
  (void) pasv();
  ok(told_port() != 0, "a local client is told the local address");
  is_begun("NOTICE! client 10.0.0.5 is told the local address",
    "... and the operator that it is not MasqueradeAddress");
  (void) pasv();
  is_said("", "... once");
}

/* Twenty sessions with one local address. */
static void test_proxy_session(void) {
  log_in("10.0.0.5", "127.0.0.1");
  (void) pasv();
  (void) pasv();
}

static void test_proxy(void) {
  for (int i = 1; i < 20; i++) {
    in_session(test_proxy_session);
  }
  log_in("10.0.0.5", "127.0.0.1");
  is_said("", "19 sessions from a local address");
  (void) pasv();
  is_begun(
    "NOTICE! the last 20 sessions came from 10.0.0.5,", "... and one more");
}

static void test_full(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30009");

  add_rule("* pool a share any");
  log_in("127.0.0.1", "127.0.0.1");
  other_takes(pool, 7, 4711);
  (void) pasv();
  is_said("", "eight of ten ports");
  natpasv_listener_close();
  other_takes(pool, 1, 4711);
  (void) pasv();
  is_begun("NOTICE! pool 'a' is nearly full (9 of 10 ports", "... and nine");
}

/* Without a table there is no port from a pool. */
static void test_no_table(void) {
  add_pool("a 30000-30009");
  add_rule("* pool a");
  natpasv_shared_stop();
  log_in("127.0.0.1", "127.0.0.1");
  is_str(pasv(), "error", "a pool and no table");
  is_str(wire(),
    "425 Unable to build data connection: the table of leases is not available\r\n",
    "... which is said");
  is_said(
    "ERR PASV of client 127.0.0.1 refused: the table of leases is not available",
    "... as an error");
  forget("NATPasvRule");
  pr_event_generate("core.session-reinit", NULL);
  is_str(pasv(), "handled", "... the kernel's ports need none");
}

static void test_damaged(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30009");
  unsigned int port;

  add_rule("* pool a");
  log_in("127.0.0.1", "127.0.0.1");
  (void) pasv();
  port = session.d->local_port;
  natpasv_shared()->map->port[port].owner = 77;
  natpasv_listener_close();
  is_begun("NOTICE the table of leases was damaged: the lease of port 300",
    "a port with another owner");
  natpasv_shared()->map->magic = 7;
  world.step_ms = 1;
  (void) pasv();
  is_said(
    "NOTICE the table of leases was damaged and has been initialised: ports that are in use are skipped when a session tries them",
    "a table that is none");
  ok(session.d != NULL && pool != NULL, "... and it goes on");
}

static void run_tests(void) {
  void (*const tests[])(void) = { test_off, test_no_pool, test_pool,
    test_arguments, test_families, test_clients, test_class, test_passiveports,
    test_forwarded, test_near, test_local, test_proxy, test_full, test_no_table,
    test_damaged };

  each_in_session(tests, sizeof(tests) / sizeof(tests[0]));
}

TEST_MODULE(natpasv_pasv_test, hooks);
