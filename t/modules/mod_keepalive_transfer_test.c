/*
 * mod_keepalive_transfer_test - what is written during a transfer, and when.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "keepalive-session.h"

static void test_transfer(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t transfers = table->transfers, sent = table->sent[KEEPALIVE_REPLY];
  const cmd_rec *retr, *noop;
  int64_t began;

  log_in("127.0.0.1", "* method reply interval 20");
  run("CWD", true);
  ok(slot()->began == 0 && timer.running == 0, "CWD is no transfer");

  retr = begins("RETR");
  began = slot()->began;
  ok(began > 0 && began <= time(NULL), "RETR is one, from now on");
  is_str(slot()->command, "RETR", "... with its name in the slot");
  is_int(table->transfers, (long long) transfers + 1, "... and is counted");
  is_str(
    note("mod_keepalive.method"), "tcp", "there is no data connection yet");
  is_str(slot()->method, "tcp", "... says the slot as well");
  ok(timer.running == 1 && timer.seconds == 5, "the alarm is set");
  world.now += 100;
  run_schedule();
  is_str(wire(), "", "without a data connection nothing is written");

  open_data("127.0.0.1");
  turn(0);
  is_int(timer.running, 0, "with data ProFTPD's schedule does without an alarm");
  is_str(note("mod_keepalive.method"), "reply", "the method is in the note");
  is_str(slot()->method, "reply", "... and in the slot");
  turn(19.9);
  is_str(wire(), "", "less than the interval, and nothing is written");
  is_str(note("mod_keepalive.sent"), "0", "... nor counted");
  turn(0.1);
  is_str(wire(), "226-Transferring", "the interval has passed");
  is_str(note("mod_keepalive.sent"), "1", "... counted in the note");
  is_int(slot()->sent, 1, "... in the slot");
  is_int(slot()->skipped[KEEPALIVE_SENT], 1, "... as what went well");
  is_int(table->sent[KEEPALIVE_REPLY], (long long) sent + 1, "... in all");
  turn(19.9);
  is_str(wire(), "", "the next one needs an interval of its own");
  turn(0.1);
  is_str(wire(), ".", "... and has it");
  is_str(note("mod_keepalive.sent"), "2", "... counted");

  noop = begins("NOOP");
  ends(noop, true);
  ok(slot()->began == began, "a command within it does not end it");
  run("LIST", false);
  is_str(slot()->command, "RETR", "... and no other transfer begins in it");
  turn(20);
  is_str(wire(), ".", "... so it goes on");

  session.sf_flags |= SF_ABORT;
  turn(20);
  is_str(wire(), "", "nothing is written once it is aborted");
  session.sf_flags &= ~SF_ABORT;
  close_data();
  turn(20);
  is_str(wire(), "", "nor without a data connection");
  session.curr_cmd_rec = (cmd_rec *) retr;
  ends(retr, true);
  is_int(slot()->began, 0, "it ends with its command");
  is_int(slot()->sent, 3, "what was sent stays in the slot until the next");
  open_data("127.0.0.1");
  turn(20);
  turn(20);
  is_str(wire(), "", "data without a command are no transfer");
  close_data();

  retr = begins("STOR");
  is_int(slot()->sent, 0, "the next one begins with none");
  is_int(slot()->skipped[KEEPALIVE_SENT], 0, "... of any kind");
  is_str(note("mod_keepalive.sent"), "0", "... also in its note");
  open_data("127.0.0.1");
  turn(1);
  turn(20);
  is_str(note("mod_keepalive.sent"), "1", "... and counts anew");
  close_data();
  ends(retr, false);
  is_int(slot()->began, 0, "a command that fails ends it as well");
  is_int(timer.running, 0, "... and the alarm");
}

static void test_commands(void) {
  static const char *const transfers[] = { "RETR", "STOR", "STOU", "APPE",
    "LIST", "NLST", "MLSD" };
  static const char *const others[] = { "MLST", "STAT", "REST", "PASV",
    "SIZE" };

  log_in("127.0.0.1", NULL);
  for (size_t i = 0; i < sizeof(transfers) / sizeof(transfers[0]); i++) {
    const cmd_rec *cmd = begins(transfers[i]);

    ok(slot()->began != 0, "%s is a transfer", transfers[i]);
    ends(cmd, true);
  }
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    const cmd_rec *cmd = begins(others[i]);

    ok(slot()->began == 0, "%s is none", others[i]);
    ends(cmd, true);
  }
}

static void test_methods(void) {
  const cmd_rec *cmd;

  log_in("127.0.0.1", NULL);
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  turn(60);
  is_str(wire(), "", "method auto writes nothing without TLS 1.3");
  is_str(note("mod_keepalive.method"), "tcp", "... which is method tcp");
  is_int(timer.running, 0, "... and needs no alarm");
  ends(cmd, true);
  is_said("", "... about which nothing is said");

  arrive("127.0.0.1", NULL);
  use_tls("TLSv1.3");
  world.ticket_size = 300;
  run("PASS", true);
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  is_str(note("mod_keepalive.method"), "tcp+tls", "with it, it is both");
  turn(25);
  is_int(done.tickets, 1, "... and writes a ticket");
  is_int(session.total_raw_out, 300, "... that counts as written");
  world.control.room = 300 + 511;
  turn(25);
  is_int(done.tickets, 1, "none without room for another, and for the reply");
  is_int(slot()->skipped[KEEPALIVE_NO_ROOM], 1, "... which is counted");
  world.control.room = 300 + 512;
  turn(1);
  is_int(done.tickets, 2, "... and one with it");
  world.ticket_result = KEEPALIVE_HANDSHAKE;
  world.ticket_size = 0;
  turn(25);
  is_int(slot()->skipped[KEEPALIVE_HANDSHAKE], 1, "a handshake is counted");
  world.ticket_result = KEEPALIVE_SENT;
  world.ticket_size = 300;
  world.control.room = 300 + 511;
  turn(1);
  is_int(done.tickets, 3, "... and says nothing about the size of a ticket");
  ends(cmd, true);
  close_data();

  arrive("127.0.0.1", "* method tcp");
  use_tls("TLSv1.3");
  run("PASS", true);
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  turn(25);
  is_int(done.tickets, 0, "method tcp writes none");
  is_str(note("mod_keepalive.method"), "tcp", "... and is what its note says");
  ends(cmd, true);
  close_data();

  arrive("127.0.0.1", "* method tls");
  use_tls("TLSv1.3");
  run("PASS", true);
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  is_str(note("mod_keepalive.method"), "tls", "method tls is one");
  is_said("", "... about which nothing is said");
  ends(cmd, true);
  close_data();

  arrive("127.0.0.1", "* method tls");
  use_tls("TLSv1.2");
  run("PASS", true);
  cmd = begins("RETR");
  is_said(
    "method tls needs TLS 1.3 on the control connection of 127.0.0.1, this one has TLSv1.2: using tcp\n",
    "method tls without TLS 1.3 says so");
  ends(cmd, true);
  cmd = begins("RETR");
  is_said("", "... once");
  ends(cmd, true);

  log_in("127.0.0.1", "* method telnet");
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  turn(25);
  is_str(wire(), "\377\361", "method telnet writes IAC NOP");
  is_int(session.total_raw_out, 2, "... that counts as written");
  ends(cmd, true);
  close_data();
}

/* What keeps a keepalive back, and how soon it is tried again. */
static void test_skipped(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t unread = table->skipped[KEEPALIVE_UNREAD];
  pr_buffer_t reply = { .buf = "220 x\r\n", .buflen = 7, .remaining = 0 };
  const cmd_rec *cmd;

  log_in("127.0.0.1", "* method reply interval 20");
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);

  world.control.unread = 1;
  turn(20);
  is_str(wire(), "", "nothing is written on top of what was not read");
  is_int(slot()->skipped[KEEPALIVE_UNREAD], 1, "... which is counted");
  is_int(table->skipped[KEEPALIVE_UNREAD], (long long) unread + 1,
    "... in all as well");
  is_int(slot()->sent, 0, "... and not as sent");
  turn(0.9);
  is_int(slot()->skipped[KEEPALIVE_UNREAD], 1, "it is not tried at once");
  turn(0.1);
  is_int(slot()->skipped[KEEPALIVE_UNREAD], 2, "... but after a second");

  world.control.unread = 0;
  world.control.room = 511;
  turn(1);
  is_int(slot()->skipped[KEEPALIVE_NO_ROOM], 1, "no room for the reply");

  world.control.room = 512;
  world.blind = true;
  turn(1);
  is_int(slot()->skipped[KEEPALIVE_FAILED], 1, "TCP does not tell");
  world.blind = false;

  pr_event_generate("core.ctrl-write", &reply);
  turn(1);
  is_int(slot()->skipped[KEEPALIVE_BUSY], 1, "a reply is being written");
  turn(1);
  is_int(slot()->skipped[KEEPALIVE_BUSY], 2, "... still");
  session.total_raw_out += 7;
  turn(1);
  is_str(wire(), "226-Transferring", "... and then it is not");
  is_int(slot()->sent, 1, "with just enough room");
  is_int(session.total_raw_out, 7 + 16, "what is written counts as written");

  (void) shutdown(control_fd, SHUT_WR);
  pr_signals_block();
  (void) signal(SIGPIPE, SIG_IGN);
  turn(20);
  is_int(slot()->skipped[KEEPALIVE_FAILED], 2, "a write that fails");
  is_int(session.total_raw_out, 7 + 16, "... counts nothing as written");
  pr_signals_unblock();
  ends(cmd, false);
  close_data();
}

/* When the module runs */

static unsigned int looks_in(unsigned int turns, double seconds) {
  unsigned int before = done.looks;

  for (unsigned int i = 0; i < turns; i++) {
    turn(seconds);
  }
  return done.looks - before;
}

static void test_schedule(void) {
  const cmd_rec *cmd;

  log_in("127.0.0.1", "* method reply");
  cmd = begins("RETR");
  is_int(looks_in(100, 0), 0, "nothing runs before there are data");
  open_data("127.0.0.1");
  turn(0);
  is_int(looks_in(1000, 0), 66, "a thousand turns at once are 66 looks");
  (void) looks_in(16, 1);
  is_int(looks_in(20, 0.1), 20, "of those that come slowly, none is left out");
  errno = 4711;
  turn(30);
  is_int(errno, 4711, "errno stays as it is");
  is_str(wire(), "226-Transferring", "... also when something is written");
  close_data();
  is_int(looks_in(20, 1), 1, "it ends with the data");
  is_str(say(cmd, "226 Done\r\n"), "\r\n226 Done\r\n", "the reply ends");
  ends(cmd, true);

  log_in("127.0.0.1", "* method reply deadline 60s");
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  is_int(looks_in(100, 0), 100, "with a deadline no turn is left out");
  close_data();
  ends(cmd, true);

  arrive("127.0.0.1", NULL);
  use_tls("TLSv1.3");
  run("PASS", true);
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  world.owed = true;
  is_int(looks_in(100, 0), 100, "nor while the client owes an answer");
  ok(done.answers_taken >= 100, "... for which it looks each time");
  world.answer = true;
  turn(0);
  ok(!world.owed, "it comes");
  (void) looks_in(32, 0);
  is_int(looks_in(160, 0), 10, "... and then they are");
  world.owed = true;
  ends(cmd, true);
  close_data();
  cmd = begins("RETR");
  ok(!world.owed, "the next transfer waits for no answer of this one");
  ends(cmd, true);

  log_in("127.0.0.1", "* method reply");
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  turn(1);
  keepalive_session_stop();
  run("PASS", true);
  cmd = begins("RETR");
  turn(1);
  is_int(looks_in(20, 1), 20, "after HOST, one look each turn as before");
  ends(cmd, true);
  close_data();
}

/* sendfile(2) runs no schedule. */
static void test_alarm(void) {
  struct keepalive_table *table = keepalive_shared_table();
  const cmd_rec *cmd;
  uint32_t used;

  log_in("127.0.0.1", "* method reply interval 20");
  cmd = begins("RETR");
  alarm_rings(5);
  is_str(note("mod_keepalive.method"), "tcp", "before there are data");
  open_data("127.0.0.1");
  session.xfer.total_bytes = 1;
  turn(0);
  is_int(timer.running, 1, "once data flow past ProFTPD the alarm stays");
  alarm_rings(5);
  is_str(note("mod_keepalive.method"), "reply", "... which finds them");
  alarm_rings(5);
  alarm_rings(5);
  is_str(wire(), "", "since five seconds before, it takes for granted");
  alarm_rings(5);
  is_str(wire(), "226-Transferring", "... and counts the interval from there");
  session.xfer.total_bytes = 0;
  turn(0);
  is_int(timer.running, 0, "it ends when ProFTPD has the data itself");
  turn(20);
  is_str(wire(), ".", "... and the interval goes on");
  close_data();
  is_str(say(cmd, "226 Done\r\n"), "\r\n226 Done\r\n", "the reply ends");
  ends(cmd, true);

  cmd = begins("RETR");
  is_int(timer.running, 1, "the next transfer has its own");
  errno = 4711;
  alarm_rings(5);
  is_int(errno, 4711, "errno stays as it is");
  ends(cmd, true);
  is_int(timer.running, 0, "... and ends it");

  timer.refused = true;
  cmd = begins("RETR");
  is_said(
    "cannot start a timer: Cannot allocate memory; keepalives of this transfer may be missing\n",
    "an alarm that cannot be had");
  ends(cmd, true);
  is_int(timer.running, 0, "... is not ended");

  log_in("127.0.0.1", "* method tcp deadline 60s");
  cmd = begins("RETR");
  is_int(timer.running, 1, "a deadline needs one");
  ends(cmd, true);

  leave();
  used = table->used;
  table->used = KEEPALIVE_SLOTS;
  table->free = 0;
  log_in("127.0.0.1", "* method reply");
  cmd = start_reply();
  turn(25);
  is_str(wire(), ".", "without a free slot all is as before");
  close_data();
  is_str(say(cmd, "226 Done\r\n"), "\r\n226 Done\r\n", "... to the end");
  ends(cmd, true);
  leave();
  table->used = used;
}

static void run_tests(void) {
  keepalive_shared_start();
  test_transfer();
  test_commands();
  test_methods();
  test_skipped();
  test_schedule();
  test_alarm();
}

TEST_MODULE(keepalive_transfer_test, NULL);
