/*
 * mod_natpasv_refused_test - PASV and EPSV that are refused or wait, listeners
 * that nobody reaches, transfers that fail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-pasv.h"

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
  is_int(timer.running, 1, "... is watched while it waits");
  (void) end_transfer();
  is_int(timer.running, 0, "... until it ends");

  (void) pasv();
  (void) begin_transfer();
  natpasv_listener_refuse();
  pr_response_add_err("425", "Unable to build data connection: x");
  natpasv_listener_close();
  is_int(timer.running, 0, "a wait that was given up");
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

static void run_tests(void) {
  void (*const tests[])(void) = { test_refused, test_former, test_fair,
    test_foreign, test_wait, test_unreached, test_failed, test_active };

  each_in_session(tests, sizeof(tests) / sizeof(tests[0]));
}

TEST_MODULE(natpasv_refused_test, hooks);
