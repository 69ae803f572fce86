/*
 * mod_keepalive_login_test - what a login begins, and the advice about proxies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "keepalive-session.h"

/* There was no memory to share. */
static void test_no_memory(void) {
  const cmd_rec *cmd;

  arrive("127.0.0.1", "* method reply deadline 60s");
  configure_number("ProxyProtocolEngine", TRUE);
  run("USER", true);
  run("PASS", true);
  is_probed(control_fd, "25 7 5 59500 1", "without a table there are probes");
  cmd = start_reply();
  turn(25);
  is_str(wire(), ".", "... and keepalives");
  is_str(note("mod_keepalive.sent"), "2", "... which are counted in the note");
  close_data();
  is_str(say(cmd, "550 No\r\n"), "", "... and a failure");
  is_int(done.disconnect, PR_SESS_DISCONNECT_BY_APPLICATION, "... is one");
  ends(cmd, false);
  leave();
}

static void test_login(void) {
  static const unsigned char mapped[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };
  static const unsigned char ipv6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 7 };
  const struct class_struc lan = { .cls_name = "lan" };
  struct keepalive_network *network;
  uint64_t key;

  log_in("127.0.0.1", "* method reply");
  leave();
  is_int(slot() == NULL, 1, "a session that ends leaves its slot");

  arrive("127.0.0.1", "* method reply");
  forget("KeepaliveEngine");
  run("PASS", true);
  begins("RETR");
  ok(slot() == NULL && note("mod_keepalive.method") == NULL,
    "without KeepaliveEngine nothing is done");
  is_probed(control_fd, "7200 75 9 0 0", "... not even a probe");

  arrive("127.0.0.1", NULL);
  configure_number("KeepaliveEngine", FALSE);
  forget("KeepaliveEngine");
  configure_number("KeepaliveEngine", FALSE);
  run("PASS", true);
  ok(slot() == NULL, "... and so it is when it is off");

  arrive("127.0.0.1", NULL);
  run("USER", true);
  ok(slot() == NULL, "USER is no login");
  run("PASS", false);
  ok(slot() == NULL, "nor is a PASS that fails");
  is_probed(control_fd, "7200 75 9 0 0", "... and no probes are asked for");
  run("PASS", true);
  ok(slot() != NULL, "a PASS that succeeds is one");
  is_probed(control_fd, "25 25 36 0 1", "... from which on there are probes");
  ok(memcmp(slot()->client, mapped, 16) == 0 && slot()->interval == 25,
    "the slot has the client's address and the interval");
  ok(note("mod_keepalive.method") == NULL, "there is no note yet");
  keepalive_session_stop();
  is_probed(control_fd, "7200 75 9 0 0", "HOST ends that");

  arrive("127.0.0.1", NULL);
  session.user = "ftp";
  run("NOOP", false);
  ok(slot() != NULL, "a user that is known is logged in, by whatever command");

  arrive("127.0.0.1", "* method none");
  run("PASS", true);
  ok(slot() == NULL, "method none takes no slot");
  is_str(note("mod_keepalive.method"), "none", "... and says so in its note");
  is_str(note("mod_keepalive.sent"), "0", "... with nothing sent");

  arrive("127.0.0.1", NULL);
  (void) pr_session_set_protocol("sftp");
  run("PASS", true);
  ok(slot() == NULL && strcmp(note("mod_keepalive.method"), "none") == 0,
    "SFTP has keepalives of its own");
  arrive("127.0.0.1", NULL);
  (void) pr_session_set_protocol("ftps");
  run("PASS", true);
  ok(slot() != NULL, "FTPS has not");
  (void) pr_session_set_protocol("ftp");

  arrive("2001:db8::7", NULL);
  run("PASS", true);
  ok(memcmp(slot()->client, ipv6, 16) == 0, "an IPv6 address as it is");

  arrive("127.0.0.1", "* interval 20");
  add_rule("lan interval 10");
  add_rule("wan interval 15");
  session.conn_class = &lan;
  run("PASS", true);
  is_int(slot()->interval, 10, "the rule of the client's class applies");
  arrive("127.0.0.1", "* interval 20");
  add_rule("lan interval 10");
  run("PASS", true);
  is_int(slot()->interval, 20, "... and that for all applies to others");

  key = keepalive_network_key(mapped, 16);
  network = keepalive_network_find(
    keepalive_shared_table()->network, key, (uint32_t) time(NULL));
  (void) keepalive_network_learn(network, key, 5, 12);
  log_in("127.0.0.1", "* interval 20");
  is_int(slot()->interval, 5, "a network that forgets has a shorter interval");
  is_probed(control_fd, "5 5 127 0 1", "... in the probes");
  network->facts = 0;
}

/* 50 clients in a row with one address are a proxy. */
static void test_advice(void) {
  struct keepalive_table *table = keepalive_shared_table();
  const char *const same =
    "all clients have one address: a proxy may end the TCP connections and forward no probes, and this client has no TLS: consider 'KeepaliveRule * method reply'\n";

  table->first = 0;
  table->same = 0;
  for (int i = 1; i < 50; i++) {
    log_in("192.0.2.1", NULL);
  }
  is_said("", "49 clients from one address are no proxy");
  log_in("192.0.2.1", NULL);
  is_said(same, "50 may be one");
  log_in("192.0.2.1", NULL);
  is_said("", "... which is said once");

  table->advised = 0;
  log_in("192.0.2.1", "* method reply");
  log_in("192.0.2.1", "* method telnet");
  is_said("", "whoever has the method is not told of it");
  arrive("192.0.2.1", NULL);
  use_tls("TLSv1.3");
  run("PASS", true);
  is_said("", "nor is it with TLS 1.3");
  arrive("192.0.2.1", NULL);
  use_tls("TLSv1.2");
  run("PASS", true);
  ok(
    strstr(done.log, "this client has TLSv1.2:") != NULL, "with TLS 1.2 it is");

  table->advised = 0;
  table->first = 0;
  table->same = 0;
  for (int i = 1; i < 50; i++) {
    log_in("192.0.2.1", NULL);
  }
  log_in("192.0.2.2", NULL);
  log_in("192.0.2.1", NULL);
  is_said("", "a client from elsewhere, and it is no proxy");

  table->first = 0;
  table->same = 0;
  for (int i = 1; i < 50; i++) {
    log_in("2001:db8:0:1:100::1", NULL);
  }
  log_in("2001:db8:0:1:200::1", NULL);
  is_said("", "hosts of one network are not one");
  table->first = 0;
  table->same = 0;
  for (int i = 1; i < 50; i++) {
    log_in("2001:db8:0:1::1", NULL);
  }
  log_in("2001:db8:0:2::1", NULL);
  ok(done.log[0] != '\0', "... and one host may be in two");
  table->advised = 0;

  arrive("192.0.2.3", NULL);
  configure_number("ProxyProtocolEngine", FALSE);
  run("PASS", true);
  is_said("", "ProxyProtocolEngine off");
  arrive("192.0.2.3", NULL);
  configure_number("ProxyProtocolEngine", TRUE);
  run("PASS", true);
  ok(strncmp(done.log, "ProxyProtocolEngine is on: ", 27) == 0,
    "ProxyProtocolEngine on is a proxy for the first client");
  table->advised = 0;
}

static void run_tests(void) {
  test_no_memory();
  keepalive_shared_start();
  test_login();
  test_advice();
}

TEST_MODULE(keepalive_login_test, NULL);
