/*
 * mod_keepalive_watch_test - the watch over a silent client: what a network is
 * learned to forget, and when a client is given up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "keepalive-session.h"

/* A client of a network of its own, of which nothing is known. */
static const char *peer;
static int network = 0; /* 198.51.NETWORK.0/24 */

static void log_in_anew(const char *rule) {
  static char text[32];

  (void) snprintf(text, sizeof(text), "198.51.%d.1", ++network);
  peer = text;
  log_in(peer, rule);
}

static struct keepalive_facts facts(void) {
  struct keepalive_table *table = keepalive_shared_table();
  unsigned char address[4];
  struct keepalive_network *entry;

  (void) inet_pton(AF_INET, peer, address);
  entry = keepalive_network_find(
    table->network, keepalive_network_key(address, 4), (uint32_t) time(NULL));
  return keepalive_network_facts(entry);
}

static const cmd_rec *start_transfer(void) {
  const cmd_rec *cmd = begins("RETR");

  open_data(peer);
  turn(1);
  return cmd;
}

static void end_transfer(const cmd_rec *cmd, bool well) {
  close_data();
  ends(cmd, well);
}

/* Time goes on, and the client answers: this many segments. */
static void answer(double seconds, unsigned int segments) {
  world.control.heard = world.now + seconds;
  world.control.segs_in += segments;
  turn(seconds);
}

/* The connection is closed, as at the end of a session. */
static void close_control(void) {
  destroy_pool(session.c->pool);
  session.c = NULL;
  control_fd = dup(control_fd); /* which that has closed */
}

/* What the path survives: twice as long each time. */
static void test_measuring(void) {
  const cmd_rec *cmd;

  log_in_anew("* method tcp interval 20");
  cmd = start_transfer();
  is_probed(control_fd, "1 1 127 0 1", "a second of silence is tried first");
  answer(1, 1);
  is_probed(control_fd, "1 1 127 0 1", "a first answer is not enough");
  answer(1, 1);
  is_probed(control_fd, "2 1 127 0 1", "after an answer two seconds are");
  answer(1, 0);
  is_probed(control_fd, "2 1 127 0 1", "... until there is one");
  answer(2, 1);
  is_probed(control_fd, "4 1 127 0 1", "... then four");
  answer(4, 2);
  is_probed(
    control_fd, "4 1 127 0 1", "two answers in four seconds are no four");
  answer(4, 1);
  answer(8, 1);
  answer(16, 1);
  is_probed(control_fd, "20 1 127 0 1", "... up to the interval");
  is_int(facts().survived, 16, "the network's entry has what was survived");
  end_transfer(cmd, true);
  is_probed(
    control_fd, "20 20 45 0 1", "after the transfer it is the interval");

  log_in(peer, "* method tcp interval 20");
  cmd = start_transfer();
  is_probed(control_fd, "16 1 127 0 1", "the next session begins with that");
  answer(1, 1);
  answer(20, 1);
  is_int(facts().survived, 16, "what is longer than what was tried is no more");
  answer(16, 1);
  answer(20, 1);
  is_int(facts().survived, 20, "... and the interval is survived in the end");
  end_transfer(cmd, true);
  cmd = start_transfer();
  is_probed(control_fd, "20 20 45 0 1", "then there is nothing to be measured");
  end_transfer(cmd, true);

  log_in_anew("* method tcp interval 20");
  cmd = start_transfer();
  world.control.tries = 5;
  turn(1);
  is_probed(control_fd, "1 1 127 0 1", "five tries without an answer");
  world.control.tries = 6;
  turn(1);
  is_probed(control_fd, "20 20 45 0 1", "... with six nothing is measured");
  world.control.tries = 0;
  answer(1, 1);
  answer(7, 1);
  is_int(facts().survived, 0, "what is seen then");
  end_transfer(cmd, true);
  close_control();
  is_int(facts().survived, 7, "... is learned at the end of the session");

  log_in_anew("* method tcp interval 20");
  world.blind = true;
  cmd = start_transfer();
  answer(1, 1);
  answer(1, 1);
  is_probed(control_fd, "1 1 127 0 1", "what TCP does not tell is no answer");
  world.blind = false;
  world.control.closed = true;
  answer(1, 1);
  answer(1, 1);
  is_probed(control_fd, "1 1 127 0 1", "nor is what a closed connection tells");
  end_transfer(cmd, true);
}

/* Between what is known to be survived and what is not. */
static void test_usefulness(void) {
  static const struct {
    unsigned int survived, forgotten;
    const char *probes, *name;
  } cases[] = {
    { 5, 12, "5 1 127 0 1", "5 s of less than 12 s: more may be survived" },
    { 5, 11, "5 1 127 0 1", "5 s of less than 11 s" },
    { 5, 10, "5 5 127 0 1", "5 s of less than 10 s: twice that is too long" },
    { 0, 12, "1 1 127 0 1", "nothing is known to be survived" },
    { 19, 0, "19 1 127 0 1", "19 s: less than the interval" },
    { 20, 0, "20 20 45 0 1", "20 s: the interval" },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct keepalive_network *entry;
    unsigned char address[4];
    const cmd_rec *cmd;
    uint64_t key;

    log_in_anew("* method tcp interval 20");
    (void) inet_pton(AF_INET, peer, address);
    key = keepalive_network_key(address, 4);
    entry = keepalive_network_find(
      keepalive_shared_table()->network, key, (uint32_t) time(NULL));
    (void) keepalive_network_learn(
      entry, key, cases[i].survived, cases[i].forgotten);
    log_in(peer, "* method tcp interval 20");
    cmd = start_transfer();
    is_probed(control_fd, cases[i].probes, cases[i].name);
    end_transfer(cmd, true);
  }
}

/* The data connection shows that the client is there; the control connection
 * does not answer. */
static void test_forgotten(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t forgotten = table->forgotten;
  const cmd_rec *cmd;
  char want[256];

  log_in_anew("* method tcp interval 20");
  cmd = start_transfer();
  answer(1, 1);
  answer(1, 1);
  answer(2, 1);
  is_probed(control_fd, "4 1 127 0 1", "four seconds are tried");
  turn(4);
  for (unsigned int i = 1; i <= 3; i++) {
    is_said("", "so far nothing is said");
    world.control.tries = i;
    world.data.heard = world.now + 3;
    turn(3);
  }
  (void) snprintf(want, sizeof(want),
    "RETR by %s: path forgets idle connections within 4s (2s survived): 198.51.%d.0/24 now has interval 2s\n",
    peer, network);
  is_said(want, "three probes in vain, and the path has forgotten");
  is_int(table->forgotten, (long long) forgotten + 1, "... which is counted");
  is_probed(control_fd, "4 1 127 0 0", "... and no probe ends the connection");
  world.control.tries = 4;
  world.data.heard = world.now + 3;
  turn(3);
  is_said("", "it is said once");
  is_int(table->forgotten, (long long) forgotten + 1, "... and counted once");
  is_int(facts().forgotten, 4, "the network's entry has it");
  end_transfer(cmd, true);
  cmd = start_transfer();
  is_probed(control_fd, "20 20 45 0 0", "the session measures no more");
  end_transfer(cmd, true);
  close_control();
  is_said("", "nor says so at its end");

  log_in_anew("* method tcp interval 20");
  cmd = begins("RETR");
  open_data("203.0.113.9");
  turn(1);
  answer(1, 1);
  for (unsigned int i = 1; i <= 5; i++) {
    world.control.tries = i;
    world.data.heard = world.now + 3;
    turn(3);
  }
  is_said("", "data from another host show nothing of the client");
  end_transfer(cmd, true);

  log_in_anew("* method tcp interval 20");
  cmd = start_transfer();
  answer(1, 1);
  for (unsigned int i = 1; i <= 5; i++) {
    world.data.closed = true;
    world.control.tries = i;
    world.data.heard = world.now + 3;
    turn(3);
  }
  is_said("", "nor does a data connection that is closed");
  end_transfer(cmd, true);
}

/* A transfer by sendfile(2) has ended, and nobody comes for its reply. */
static void suspect(
  const char *from, unsigned int tries, double alive, bool well, bool again) {
  const cmd_rec *cmd;

  log_in_anew("* method tcp interval 20");
  cmd = begins("RETR");
  open_data(from != NULL ? from : peer);
  session.xfer.total_bytes = 1;
  world.control.tries = tries;
  world.control.heard = world.now;
  world.data.heard = world.now + alive;
  turn(alive);
  turn(0);
  end_transfer(cmd, well);
  if (again) {
    run("LIST", true);
  }
  close_control();
}

static void test_suspicion(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t forgotten = table->forgotten;
  char want[256];

  suspect(NULL, 3, 21.5, true, false);
  (void) snprintf(want, sizeof(want),
    "RETR by %s: path forgets idle connections within 20s: 198.51.%d.0/24 now has interval 10s\n",
    peer, network);
  is_said(want, "data came after a probe that had no answer");
  is_int(facts().forgotten, 20, "... which is learned");
  is_int(table->forgotten, (long long) forgotten + 1, "... and counted");
  suspect(NULL, 2, 21.5, true, false);
  is_said("", "two tries in vain are too few");
  suspect(NULL, 3, 20.9, true, false);
  is_said("", "data that came before the answer would be too late are no sign");
  suspect("203.0.113.9", 3, 21.5, true, false);
  is_said("", "data to another host are none");
  suspect(NULL, 3, 21.5, false, false);
  is_said("", "nor is a transfer that failed");
  suspect(NULL, 3, 21.5, true, true);
  is_said("", "nor one after which there was another");
  is_int(table->forgotten, (long long) forgotten + 1, "... so none is counted");
}

/* The deadline of the rule */

static void test_deadline(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t gone = table->gone;
  const cmd_rec *cmd;
  double since;
  char want[256];

  log_in_anew("* method tcp interval 20 deadline 60");
  is_probed(
    control_fd, "20 8 5 59500 1", "between commands TCP has a deadline");
  cmd = begins("RETR");
  is_probed(control_fd, "20 20 45 0 1", "in a transfer it has none");
  open_data(peer);
  is_probed(data_fd, "7200 75 9 0 0", "the data connection");
  turn(1);
  is_probed(data_fd, "20 20 45 0 1", "... is probed as well");
  world.control.unanswered = 1;
  since = world.control.heard = world.data.heard = world.now;
  turn(59);
  is_int(done.disconnect, 0, "a minute is not over after 59 s");
  turn(0.6);
  is_int(done.disconnect, 0, "... when it is, it was looked at just before");
  turn(0.4);
  is_int(done.disconnect, PR_SESS_DISCONNECT_TIMEOUT, "... and then it ends");
  is_str(done.details, "KeepaliveRule deadline", "... by the rule");
  (void) snprintf(want, sizeof(want),
    "RETR by %s: no answer for %us, so the session ends: the client is gone\n",
    peer, (unsigned int) (world.now - since + 0.5));
  is_said(want, "... as the log says");
  is_int(table->gone, (long long) gone + 1, "... and is counted");
  turn(1);
  is_said("", "... once");
  end_transfer(cmd, false);

  log_in_anew("* method tcp interval 20 deadline 60");
  cmd = start_transfer();
  world.control.heard = world.data.heard = world.now;
  turn(59.4);
  turn(1);
  is_int(done.disconnect, 0, "nobody is given up who owes no answer");
  world.control.unanswered = 1;
  world.data.heard = world.now - 58;
  turn(1);
  is_int(done.disconnect, 0, "nor whose data connection answers");
  world.control.heard = world.now;
  world.data.heard = world.now - 100;
  turn(59.4);
  is_int(done.disconnect, 0, "nor whose control connection does");
  turn(0.9);
  ok(done.disconnect != 0, "but who answers on neither");
  end_transfer(cmd, false);

  log_in_anew("* method tcp interval 20 deadline 60");
  cmd = start_transfer();
  world.control.unanswered = 1;
  world.control.heard = world.now;
  world.data.heard = world.now + 60;
  world.data.closed = true;
  turn(60);
  ok(done.disconnect != 0, "a data connection that is closed shows nothing");
  end_transfer(cmd, false);

  log_in_anew("* method tcp interval 20");
  cmd = start_transfer();
  world.control.unanswered = 1;
  world.control.heard = world.now;
  turn(5000);
  is_int(done.disconnect, 0, "without a deadline nobody is given up");
  end_transfer(cmd, false);

  log_in_anew("* method tcp interval 20 deadline 60");
  cmd = start_transfer();
  world.control.unsent = 1;
  end_transfer(cmd, true);
  is_probed(control_fd, "20 20 45 0 1",
    "a client whose window is closed is not given up by TCP");
  cmd = start_transfer();
  world.control.unsent = 0;
  end_transfer(cmd, true);
  is_probed(control_fd, "20 8 5 59500 1", "... and one with an open one is");
  cmd = start_transfer();
  answer(1, 1);
  for (unsigned int i = 1; i <= 3; i++) {
    world.control.tries = i;
    world.data.heard = world.now + 4;
    turn(4);
  }
  ok(strstr(done.log, "path forgets") != NULL, "a path that forgets");
  world.control.unsent = 1;
  end_transfer(cmd, true);
  is_probed(control_fd, "20 8 5 59500 1", "... ends the session in any case");
}

/* How a connection has ended. */
static void end_after(
  const char *rule, double silent, bool closed, bool within) {
  log_in_anew(rule);
  if (within) {
    (void) begins("STOR");
  }
  world.control.heard = world.now;
  world.control.closed = closed;
  world.now += silent;
  close_control();
}

static void test_end(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t gone = table->gone;
  char want[256];

  end_after("* method tcp interval 20 deadline 60", 59.25, true, false);
  (void) snprintf(want, sizeof(want),
    "silence by %s: no answer for 59s, so the session ends: the client is gone\n",
    peer);
  is_said(want, "TCP has given the client up");
  is_int(table->gone, (long long) gone + 1, "... which is counted");
  end_after("* method tcp interval 20 deadline 60", 59.2, true, false);
  is_said("", "a client that resets the connection a little earlier is there");
  end_after("* method tcp interval 20 deadline 60", 100, false, false);
  is_said("", "and so is one whose connection is not closed");
  end_after("* method tcp interval 20", 59.25, true, true);
  (void) snprintf(want, sizeof(want),
    "STOR by %s: no answer for 59s, so the session ends: the client is gone\n",
    peer);
  is_said(want, "without a deadline three intervals are one");
  end_after("* method tcp interval 20", 59.2, true, true);
  is_said("", "... and not less");
  is_int(table->gone, (long long) gone + 2, "those two are counted");

  log_in_anew("* method tcp");
  keepalive_session_stop();
  world.control.closed = true;
  world.now += 1000;
  close_control();
  is_said("", "after HOST nobody watches");
  log_in_anew("* method tcp");
  world.control.closed = world.blind = true;
  world.now += 1000;
  close_control();
  is_said("", "nothing is said of what TCP does not tell");
}

static void run_tests(void) {
  keepalive_shared_start();
  test_measuring();
  test_usefulness();
  test_forgotten();
  test_suspicion();
  test_deadline();
  test_end();
}

TEST_MODULE(keepalive_watch_test, NULL);
