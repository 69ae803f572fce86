/*
 * mod_natpasv_pasv_test - PASV and EPSV: what is answered, what is leased,
 * counted and noted, and what is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/lease.h"
#include "../../mod_natpasv/listener.h"
#include "../../mod_natpasv/pasv.h"
#include "../../mod_natpasv/queue.h"
#include "natpasv-session.h"

extern pr_response_t *resp_err_list;

static cmd_rec *command(const char *name, const char *arg) {
  cmd_rec *cmd = arg != NULL ? pr_cmd_alloc(place, 2, name, arg)
                             : pr_cmd_alloc(place, 1, name);

  cmd->tmp_pool = cmd->pool;
  cmd->server = main_server;
  return cmd;
}

/* What came of a command. */
static const char *outcome(modret_t *res) {
  return MODRET_ISDECLINED(res)  ? "declined"
         : MODRET_ISHANDLED(res) ? "handled"
                                 : "error";
}

static const char *pasv(void) {
  return outcome(natpasv_pasv(command("PASV", NULL)));
}

static const char *epsv(const char *arg) {
  return outcome(natpasv_epsv(command("EPSV", arg)));
}

static const char *begin_transfer(void) {
  return outcome(natpasv_transfer(command("RETR", "file")));
}

static const char *end_transfer(void) {
  return outcome(natpasv_failed(command("RETR", "file")));
}

/* The port that a reply announces; 0 if it is none, or says anything else. */
static unsigned int told_port(void) {
  unsigned int a, b, c, d, high, low, port;
  const char *reply = wire();
  int length = 0;

  if (sscanf(reply, "227 Entering Passive Mode (%u,%u,%u,%u,%u,%u).\r\n%n", &a,
        &b, &c, &d, &high, &low, &length) == 6 &&
      length == (int) strlen(reply) && a == 127 && b == 0 && c == 0 && d == 1) {
    return high * 256 + low;
  }
  return sscanf(reply, "229 Entering Extended Passive Mode (|||%u|)\r\n%n",
           &port, &length) == 1 &&
             length == (int) strlen(reply)
           ? port
           : 0;
}

static struct natpasv_row *row_of(const struct natpasv_pool *pool) {
  return natpasv_count_row(natpasv_shared(), pool != NULL ? pool->key : 0, "");
}

static unsigned int leased(unsigned int port) {
  return natpasv_shared()->map->port[port].owner;
}

/* Another session. */
static struct natpasv_table other_table;
static struct natpasv_lessee other;

static void other_takes(
  const struct natpasv_pool *pool, unsigned int count, uint64_t from) {
  other_table = *natpasv_shared();
  other_table.self = 0;
  other = (struct natpasv_lessee){ .table = &other_table,
    .ports = &pool->ports,
    .key = pool->key,
    .client = from,
    .any = true };
  (void) natpasv_queue_enrol(&other);
  while (count-- > 0) {
    (void) natpasv_queue_claim(&other, true);
  }
}

static void log_in(const char *from, const char *to) {
  arrive(from, to);
  configure_number("NATPasvEngine", TRUE);
  (void) natpasv_login(command("USER", "ftp"));
}

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

/* No port is free. */
static void test_refused(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30002 quarantine 0s");
  struct natpasv_row *row = row_of(pool);
  cmd_rec *cmd;

  add_rule("* pool a wait 0s share any");
  log_in("127.0.0.1", "127.0.0.1");
  other_takes(pool, 3, 4711);
  session.sf_flags = SF_PORT;
  cmd = command("PASV", NULL);
  is_str(outcome(natpasv_pasv(cmd)), "error", "PASV, and no port is free");
  ok(errno == EBUSY && pr_cmd_get_errno(cmd) == EBUSY, "... for which reason");
  is_str(wire(),
    "425 Unable to build data connection: no free port in pool 'a' (3 of 3 in use)\r\n",
    "... is refused");
  is_said(
    "NOTICE! PASV of client 127.0.0.1 refused: no free port in pool 'a' (3 of 3 in use); see 'ftpdctl natpasv leases'",
    "... and said");
  ok(session.d == NULL && !(session.sf_flags & (SF_PORT | SF_PASSIVE)),
    "... and there is nothing to connect to any more");
  ok(counted(row, NATPASV_REFUSED) == 1 && counted(row, NATPASV_GRANTED) == 0 &&
       counted(row, NATPASV_WAITED) == 0,
    "... and counted");
  is_int((long long) row->peak, 3, "... with the ports in use");

  is_str(begin_transfer(), "error", "a transfer after that");
  session.sf_flags = SF_PORT;
  is_str(begin_transfer(), "declined", "... except after PORT");
  session.sf_flags = 0;

  (void) natpasv_queue_release(&other, 30001);
  is_str(pasv(), "handled", "a port that is free again");
  is_int(told_port(), 30001, "... is told");
  is_str(begin_transfer(), "declined", "... and transfers go on");
  (void) end_transfer();
}

/* An earlier listener is given up for the next, if nothing else is free. */
static void test_former(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30001 quarantine 0s");

  add_rule("* pool a wait 0s share any");
  log_in("127.0.0.1", "127.0.0.1");
  other_takes(pool, 1, 4711);
  is_str(pasv(), "handled", "the last port");
  (void) wire();
  is_str(pasv(), "handled", "... and again");
  ok(told_port() != 0, "... is told once more");
  ok(session.d != NULL, "... and open");
}

static void test_fair(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30003");
  static const unsigned char bytes[4] = { 127, 0, 0, 1 };

  add_rule("* pool a wait 0s");
  log_in("127.0.0.1", "127.0.0.1");
  other_takes(pool, 1,
    natpasv_hash(NATPASV_HASH ^ natpasv_shared()->map->seed, bytes, 4));
  is_str(pasv(), "handled", "a client with two sessions and four ports");
  natpasv_listener_close();
  (void) wire();
  (void) natpasv_queue_claim(&other, true);
  is_str(pasv(), "error", "... has half of them");
  is_str(wire(),
    "425 Unable to build data connection: no further port of pool 'a' for this client: it has 2 of 4, and the last 2 are kept for others\r\n",
    "... which is said");
  forget("NATPasvRule");
  add_rule("* pool a wait 0s share any");
  pr_event_generate("core.session-reinit", NULL);
  is_str(pasv(), "handled", "... or all, with share any");
}

/* Ports on which another program listens. */
static void test_foreign(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30001");
  struct natpasv_row *row = row_of(pool);
  struct sockaddr_in addr = { .sin_family = AF_INET,
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int fd;

  add_rule("* pool a wait 0s");
  log_in("127.0.0.1", "127.0.0.1");
  for (unsigned int port = 30000; port <= 30001; port++) {
    addr.sin_port = htons((uint16_t) port);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    (void) bind(fd, (struct sockaddr *) &addr, sizeof(addr));
    (void) listen(fd, 1);
  }
  is_str(pasv(), "error", "all ports have another program");
  is_str(wire(),
    "425 Unable to build data connection: no free port in pool 'a' (2 of 2 in use, 2 of them by other programs)\r\n",
    "... which is said");
  is_int((long long) counted(row, NATPASV_FOREIGN), 2, "... and counted");
  (void) close(fd);
  world.now_ms += 2000;
  is_str(pasv(), "handled", "one has gone");
  is_int(told_port(), 30001, "... and its port is told");
}

/* Waiting: the clock goes on by itself. */
static void test_wait(void) {
  const struct natpasv_pool *pool = add_pool("a 30000 quarantine 0s");
  struct natpasv_row *row = row_of(pool);
  uint64_t begun;

  add_rule("* pool a wait 3s share any");
  log_in("127.0.0.1", "127.0.0.1");
  other_takes(pool, 1, 4711);
  world.step_ms = 200;
  begun = world.now_ms;
  is_str(epsv(NULL), "error", "EPSV waits for a port");
  ok(world.now_ms - begun >= 3000 && world.now_ms - begun < 5000,
    "... for three seconds");
  is_int((long long) counted(row, NATPASV_WAITED), 1, "... is counted");
  world.step_ms = 1;
  begun = world.now_ms;
  is_str(pasv(), "error", "PASV at once after it");
  ok(world.now_ms - begun < 1000, "... does not wait");
  is_int((long long) counted(row, NATPASV_WAITED), 1, "... and is not counted");
  world.step_ms = 200;
  is_str(pasv(), "error", "PASV after PASV");
  is_int((long long) counted(row, NATPASV_WAITED), 2, "... does");
  (void) epsv(NULL);
  world.step_ms = 0;
  world.now_ms += 1000;
  world.step_ms = 200;
  (void) pasv();
  is_int((long long) counted(row, NATPASV_WAITED), 4,
    "... and so does PASV a second after EPSV");

  begun = world.now_ms;
  (void) !send(client, "QUIT\r\n", 6, 0);
  (void) wire();
  is_str(epsv(NULL), "error", "a client that leaves");
  ok(world.now_ms - begun < 2500, "... is not waited for");
  ok(strncmp(wire(), "425 ", 4) == 0, "... and refused");
}

/* A listener that nobody reached. */
static int unreached_events;
static char unreached_address[64];

static void unreached_ev(const void *event_data, void *user_data) {
  (void) user_data;
  unreached_events++;
  unreached_address[0] = '\0';
  if (event_data != NULL) {
    sstrncpy(unreached_address, event_data, sizeof(unreached_address));
  }
}

static void test_unreached(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30009");
  struct natpasv_row *row = row_of(pool);

  pr_event_register(
    &natpasv_module, "mod_natpasv.unreached", unreached_ev, NULL);
  add_rule("* pool a address 127.0.0.1");
  log_in("203.0.113.9", "127.0.0.1");
  (void) pasv();
  session.d->mode = CM_ACCEPT;
  natpasv_listener_close();
  is_int((long long) counted(row, NATPASV_UNREACHED), 1,
    "a listener that nobody reached is counted");
  is_begun(
    "NOTICE! client 203.0.113.9 never connected to port 300", "... and said");
  is_int(unreached_events, 1, "... and told to other modules");
  is_str(unreached_address, "127.0.0.1", "... with the address");
  (void) epsv(NULL);
  session.d->mode = CM_ACCEPT;
  natpasv_listener_close();
  ok(unreached_events == 2 && unreached_address[0] == '\0',
    "... which EPSV has not told");

  (void) pasv();
  natpasv_listener_turned_away();
  natpasv_listener_close();
  is_int((long long) counted(row, NATPASV_UNREACHED), 2,
    "one that was not tried is not");
  is_int((long long) counted(row, NATPASV_DROPPED), 1,
    "... but who was turned away");
  is_int(unreached_events, 2, "... and nobody is told");

  session.c->remote_addr = address(place, "10.0.0.5");
  (void) pasv();
  session.d->mode = CM_ACCEPT;
  natpasv_listener_close();
  is_int((long long) counted(row, NATPASV_UNREACHED), 3,
    "a client in the LAN that does not connect is counted");
  is_int(unreached_events, 2, "... but says nothing of the address outside");
}

/* Failed transfers */

static const char *failure(void) {
  return resp_err_list != NULL ? resp_err_list->msg : "none";
}

static void test_failed(void) {
  log_in("127.0.0.1", "127.0.0.1");
  is_str(end_transfer(), "declined", "a command that failed is ProFTPD's");
  is_str(failure(), "none", "... whatever it was");

  (void) pasv();
  is_str(begin_transfer(), "declined", "a transfer");
  is_int(done.timers, 1, "... is watched while it waits");
  (void) end_transfer();
  is_int(done.timers, 0, "... until it ends");

  (void) pasv();
  (void) begin_transfer();
  natpasv_listener_refuse();
  pr_response_add_err("425", "Unable to build data connection: x");
  natpasv_listener_close();
  is_int(done.timers, 0, "a wait that was given up");
  (void) end_transfer();
  is_str(failure(),
    "Unable to build data connection: the client no longer waits for it",
    "... is named to the client");
  pr_response_clear(&resp_err_list);
  pr_response_add_err("425", "Unable to build data connection: x");
  (void) end_transfer();
  is_str(failure(), "Unable to build data connection: x", "... once");
  pr_response_clear(&resp_err_list);
  done.log[0] = '\0';

  pr_response_add_err(
    "425", "Unable to build data connection: Operation not permitted");
  (void) end_transfer();
  is_said("", "EPERM without TLS");
  session.rfc2228_mech = "TLS";
  (void) end_transfer();
  is_begun("NOTICE! client 127.0.0.1 has connected, and mod_tls",
    "... with TLS it is mod_tls's");
  world.now_ms += 60000;
  pr_response_clear(&resp_err_list);
  pr_response_add_err(
    "425", "Unable to build data connection: Connection reset");
  (void) end_transfer();
  is_said("", "... but no other error is");
}

static void test_active(void) {
  const struct natpasv_pool *pool = add_pool("a 30000-30009");
  struct natpasv_row *row = row_of(pool);

  add_rule("* pool a active off");
  log_in("127.0.0.1", "127.0.0.1");
  is_str(outcome(natpasv_port(command("PORT", "127,0,0,1,195,80"))), "error",
    "PORT where active mode is off");
  is_int((long long) counted(row, NATPASV_ACTIVE_REFUSED), 1, "... is counted");
  is_str(begin_transfer(), "error", "... a transfer without PORT as well");
  session.sf_flags = SF_EPSV_ALL;
  is_str(begin_transfer(), "declined", "... after EPSV ALL it is ProFTPD's");
  session.sf_flags = SF_PASSIVE;
  is_str(begin_transfer(), "declined", "... and in passive mode");

  forget("NATPasvRule");
  add_rule("* pool a");
  pr_event_generate("core.session-reinit", NULL);
  session.sf_flags = SF_PORT;
  is_str(begin_transfer(), "declined", "a transfer in active mode");
  is_int((long long) counted(row, NATPASV_ACTIVE), 1, "... is counted");
  memcpy(
    &session.data_addr, address(place, "127.0.0.1"), sizeof(session.data_addr));
  pr_response_clear(&resp_err_list);
  pr_response_add_err(
    "425", "Unable to build data connection: Connection refused");
  (void) end_transfer();
  is_int((long long) counted(row, NATPASV_ACTIVE_FAILED), 1,
    "... and so is one that fails");
  is_str(failure(),
    "Unable to build data connection: Connection refused (127.0.0.1): use passive mode (PASV or EPSV)",
    "... which the client is told");
  (void) end_transfer();
  is_int((long long) counted(row, NATPASV_ACTIVE_FAILED), 1, "... once");
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
    test_refused, test_former, test_fair, test_foreign, test_wait,
    test_unreached, test_failed, test_active, test_forwarded, test_near,
    test_local, test_proxy, test_full, test_no_table, test_damaged };

  natpasv_shared_begin(true);
  for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
    natpasv_table_clear(natpasv_shared());
    in_session(tests[i]);
  }
}

TEST_MODULE(natpasv_pasv_test, hooks);
