/*
 * mod_keepalive_reply_test - the reply that is started before the transfer
 * ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "keepalive-session.h"

static void test_reply(void) {
  const cmd_rec *retr, *noop;

  log_in("127.0.0.1", "* method reply");
  retr = start_reply();
  noop = begins("NOOP");
  is_str(say(noop, "200 NOOP\r\n"), "", "the reply to NOOP is held");
  is_str(say(retr, "226 early\r\n"), "", "... as all is while data flow");
  close_data();
  is_str(say(noop, "200 two\r\n"), "", "... and within another command");
  is_str(say(retr, "226-Quota\r\n"), "\r\n226-Quota\r\n", "the reply goes on");
  is_str(say(retr, " 12 bytes\r\n"), " 12 bytes\r\n", "... line by line");
  is_str(say(retr, "226 Done\r\n"),
    "226 Done\r\n200 NOOP\r\n226 early\r\n200 two\r\n",
    "... and when it ends the others follow");
  is_str(say(retr, "226 Done\r\n"), "226 Done\r\n", "the next one is its own");
  ends(retr, true);
  begins("NOOP");
  is_int(done.disconnect, 0, "all is well");

  retr = start_reply();
  is_str(say(noop, "200 NOOP\r\n"), "", "once more");
  close_data();
  is_str(say(retr, "226 Done\r\n"), "\r\n226 Done\r\n200 NOOP\r\n",
    "... what was held comes once");
  ends(retr, true);
  keepalive_session_stop();
  is_str(say(noop, "200 NOOP\r\n"), "200 NOOP\r\n", "HOST ends it");

  log_in("127.0.0.1", "* method reply");
  retr = start_reply();
  keepalive_session_stop();
  is_str(say(retr, "550 No\r\n"), "550 No\r\n", "... also while it is open");
  close_data();
}

/* A reply that was started as a success, and is none. */
static void test_broken(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t broken = table->broken;
  const cmd_rec *retr, *noop;
  char *much;

  log_in("127.0.0.1", "* method reply");
  retr = start_reply();
  session.sf_flags |= SF_ABORT;
  is_str(say(retr, "426 Transfer aborted. Data connection closed here\r\nx"),
    "", "another reply than 226 is not written");
  is_int(
    done.disconnect, PR_SESS_DISCONNECT_BY_APPLICATION, "the session ends");
  is_str(done.details, "transfer failed after its reply was started",
    "... with the reason");
  is_said(
    "127.0.0.1: transfer failed after its 226 was started: closing instead of '426 Transfer aborted. Data connection closed her'\n",
    "... and the log says instead of what, at most 48 characters");
  is_int(table->broken, (long long) broken + 1, "... and it is counted");
  is_str(say(retr, "221 Bye\r\n"), "", "nothing else is written");
  is_said(
    "127.0.0.1: transfer failed after its 226 was started: closing instead of '221 Bye'\n",
    "... and of a line, no more than the line");
  (void) say(retr, "\r\n");
  is_said(
    "127.0.0.1: transfer failed after its 226 was started: closing instead of ''\n",
    "... which may be empty");
  close_data();

  log_in("127.0.0.1", "* method reply");
  retr = start_reply();
  close_data();
  ends(retr, false);
  is_int(done.disconnect, 0, "a reply that is not completed");
  noop = begins("NOOP");
  is_int(done.disconnect, PR_SESS_DISCONNECT_BY_APPLICATION,
    "... is broken by the next command");
  ok(strstr(done.log, "instead of 'NOOP'\n") != NULL, "... says the log");
  ends(noop, true);

  log_in("127.0.0.1", "* method reply");
  (void) start_reply();
  begins("STAT");
  is_int(done.disconnect, 0, "STAT within the transfer breaks nothing");
  begins("ABOR");
  is_int(done.disconnect, PR_SESS_DISCONNECT_BY_APPLICATION, "ABOR does");
  close_data();

  log_in("127.0.0.1", "* method reply");
  retr = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  begins("ABOR");
  is_int(done.disconnect, 0, "nothing is broken before a reply is started");
  turn(30);
  is_str(wire(), "", "... and none is started after ABOR");
  ends(retr, false);
  close_data();

  log_in("127.0.0.1", "* method telnet");
  retr = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  begins("ABOR");
  turn(30);
  is_str(wire(), "\377\361", "method telnet goes on after ABOR");
  ends(retr, false);
  close_data();

  log_in("127.0.0.1", "* method reply");
  retr = start_reply();
  noop = begins("NOOP");
  much = palloc(place, 65537);
  memset(much, 'x', 65536);
  much[65536] = '\0';
  is_str(say(noop, much), "", "64 kB are held");
  is_str(say(noop, much), "", "... and another 64 kB");
  is_int(done.disconnect, 0, "... without harm");
  is_str(say(noop, "x"), "", "a byte more");
  is_int(done.disconnect, PR_SESS_DISCONNECT_BY_APPLICATION, "... is too much");
  close_data();
}

/* A module of ProFTPD that writes, as mod_tls. */
static char through_netio[64];

static int netio_write(pr_netio_stream_t *stream, char *text, size_t len) {
  (void) stream;
  memcpy(through_netio, text, len);
  through_netio[len] = '\0';
  return (int) len;
}

static void test_netio(void) {
  pr_netio_t *netio = pr_alloc_netio(permanent_pool);
  const cmd_rec *cmd;

  log_in("127.0.0.1", "* method telnet");
  cmd = begins("RETR");
  open_data("127.0.0.1");
  turn(0);
  netio->write = netio_write;
  (void) pr_register_netio(netio, PR_NETIO_STRM_CTRL);
  turn(25);
  (void) pr_unregister_netio(PR_NETIO_STRM_CTRL);
  is_str(
    through_netio, "\377\361", "it is written through the module that writes");
  is_str(wire(), "", "... and not past it");
  ends(cmd, true);
  close_data();
}

static void run_tests(void) {
  keepalive_shared_start();
  test_reply();
  test_broken();
  test_netio();
}

TEST_MODULE(keepalive_reply_test, NULL);
