/*
 * mod_natpasv_say_test - what the operator is told of clients, and how often.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/say.h"
#include "natpasv-session.h"

static struct natpasv_row row;
static const struct natpasv_pool *a, *outside;

static void wait_s(unsigned int seconds) {
  world.now_ms += 1000 * (uint64_t) seconds;
}

static void test_unreached(void) {
  struct natpasv_unreached how = { .pool = a,
    .row = &row,
    .port = "30001",
    .announced = "198.51.100.7",
    .asked = true };

  arrive("203.0.113.9", "192.0.2.1");
  how.listened = session.c->local_addr;
  natpasv_say_unreached(&how);
  is_said(
    "NOTICE! client 203.0.113.9 never connected to port 30001 of pool 'a', announced with address 198.51.100.7: if no client can connect, forward TCP 30000-30009 to 192.0.2.1, and allow it in the firewall",
    "nobody connected, and what to do");
  wait_s(59);
  natpasv_say_unreached(&how);
  is_said(
    "DEBUG client 203.0.113.9 never connected to port 30001 of pool 'a', announced with address 198.51.100.7",
    "... aloud once a minute");
  wait_s(1);
  how.asked = false;
  how.announced = NULL;
  how.dropped = 3;
  natpasv_say_unreached(&how);
  is_said(
    "DEBUG client 203.0.113.9 never connected to port 30001 of pool 'a', announced by EPSV; 3 packets from other addresses were dropped: if the client comes from another address, see NATPasvRule ... from",
    "... and not of a client that did not want a transfer");
  how.asked = true;
  natpasv_say_unreached(&how);
  is_said(
    "NOTICE! client 203.0.113.9 never connected to port 30001 of pool 'a', announced by EPSV: if no client can connect, forward TCP 30000-30009 to 192.0.2.1, and allow it in the firewall; 3 packets from other addresses were dropped: if the client comes from another address, see NATPasvRule ... from",
    "... which takes no turn: EPSV, and packets of others");

  wait_s(60);
  how.dropped = 0;
  how.from_lan = true;
  natpasv_say_unreached(&how);
  is_said(
    "NOTICE! client 203.0.113.9 never connected to port 30001 of pool 'a', announced by EPSV: if no client can connect, allow TCP 30000-30009 to 192.0.2.1 in this server's firewall",
    "a client in the LAN has no router before it");
  wait_s(60);
  how.from_lan = false;
  how.pool = outside;
  natpasv_say_unreached(&how);
  is_said(
    "NOTICE! client 203.0.113.9 never connected to port 30001 of pool 'outside', announced by EPSV: if no client can connect, forward TCP 40000-40009 to 192.0.2.1, ports 31000-31009, and allow them in the firewall",
    "a pool with other ports outside");
  wait_s(60);
  how.pool = NULL;
  natpasv_say_unreached(&how);
  is_said(
    "NOTICE! client 203.0.113.9 never connected to port 30001 of pool '*', announced by EPSV: the kernel chose the port, so no firewall can allow it: configure a NATPasvPool or PassivePorts",
    "no pool");
}

static void test_pools(void) {
  for (unsigned int leased = 0; leased <= 8; leased++) {
    natpasv_say_leased(a, &row, leased, 10);
  }
  is_said("", "a pool of which four fifths are in use");
  natpasv_say_leased(a, &row, 9, 10);
  is_said(
    "NOTICE! pool 'a' is nearly full (9 of 10 ports in use): a client that finds no port waits, and is then refused; give the pool more ports",
    "... and one more");
  wait_s(3599);
  natpasv_say_leased(a, &row, 9, 10);
  is_said("", "... is said once an hour");
  wait_s(1);
  natpasv_say_leased(a, &row, 10, 10);
  ok(strstr(done.log, "(10 of 10 ports in use)") != NULL, "... and again");
  done.log[0] = '\0';

  natpasv_say_not_forwarded(a, &row);
  is_said(
    "WARNING! the router forwards no port of pool 'a': all are announced, as if they were forwarded by hand; see 'ftpdctl extip forwards'",
    "a router that forwards nothing");
  wait_s(59);
  natpasv_say_not_forwarded(a, &row);
  is_said("", "... is said once a minute");
  wait_s(1);
  natpasv_say_not_forwarded(a, NULL);
  natpasv_say_not_forwarded(a, NULL);
  ok(strncmp(done.log, "WARNING! the router", 19) == 0 &&
       strstr(done.log + 9, "WARNING") == NULL,
    "... and so it is without a row to count in");
  done.log[0] = '\0';
}

static void test_addresses(void) {
  struct natpasv_rule rule = { .section = NULL };

  arrive("10.0.0.5", "192.168.1.1");
  natpasv_say_local(&rule, &row, "192.168.1.1", "198.51.100.7");
  is_said(
    "NOTICE! client 10.0.0.5 is told the local address 192.168.1.1, not MasqueradeAddress 198.51.100.7: its own address is local, and the rule for all says 'address auto'; if such clients come from outside, through a proxy, use 'address 198.51.100.7'",
    "a local client, without a rule");
  wait_s(3599);
  natpasv_say_local(&rule, &row, "192.168.1.1", "198.51.100.7");
  is_said("", "... once an hour");
  wait_s(1);
  rule.section = main_server;
  natpasv_say_local(&rule, &row, "192.168.1.1", "198.51.100.7");
  ok(strstr(done.log, "is local, and NATPasvRule * says") != NULL,
    "... with a rule for all");
  done.log[0] = '\0';
  wait_s(3600);
  rule.class = "lan";
  natpasv_say_local(&rule, &row, "192.168.1.1", "198.51.100.7");
  ok(strstr(done.log, "is local, and NATPasvRule lan says") != NULL,
    "... with one for its class");
  done.log[0] = '\0';

  natpasv_say_proxy("192.168.1.1");
  is_said(
    "NOTICE! the last 20 sessions came from 10.0.0.5, a local address, and were told the local address 192.168.1.1: this looks like a proxy in front of this server, whose clients need the outside address; NATPasvLocal names the classes that are local, or none",
    "what looks like a proxy");
}

/* Each of these is said aloud once a minute, and else to the module's log. */
static void is_each_minute(void (*say)(void), const char *want) {
  char line[1024];

  done.log[0] = '\0';
  say();
  (void) snprintf(line, sizeof(line), "NOTICE! %s", want);
  is_said(line, "aloud: %.40s", want);
  wait_s(59);
  say();
  (void) snprintf(line, sizeof(line), "DEBUG %s", want);
  is_said(line, "... not twice in a minute");
  wait_s(1);
  say();
  ok(strncmp(done.log, "NOTICE! ", 8) == 0, "... and then again");
  done.log[0] = '\0';
}

static void opened(void) {
  natpasv_say_opened(&row, 4);
}

static void refused(void) {
  natpasv_say_refused(&row, "EPSV", "no free port");
}

static void active_refused(void) {
  natpasv_say_active_refused(&row, "PORT", "it is off");
}

static void active_failed(void) {
  natpasv_say_active_failed(&row, "203.0.113.9", "Connection refused");
}

static void tls(void) {
  natpasv_say_tls(&row);
}

static void test_each_minute(void) {
  arrive("203.0.113.9", "192.0.2.1");
  is_each_minute(opened,
    "client 203.0.113.9 has not connected within five seconds, and 4 connections came from other addresses: the first of them is used; if this client's data connections come from another address, see NATPasvRule ... from");
  is_each_minute(refused,
    "EPSV of client 203.0.113.9 refused: no free port; see 'ftpdctl natpasv leases'");
  is_each_minute(active_refused,
    "PORT of client 203.0.113.9 refused: it is off; see NATPasvRule ... active");
  is_each_minute(active_failed,
    "client 203.0.113.9 is in active mode, and no connection to 203.0.113.9 can be made: Connection refused; a NAT or firewall in front of it, or this server's firewall, is in the way: let the client use passive mode");
  is_each_minute(tls,
    "client 203.0.113.9 has connected, and mod_tls refuses its data connection: if the client does not reuse the TLS session of the control connection, set TLSOptions NoSessionReuseRequired; see the TLSLog for the cause");
}

static void run_tests(void) {
  a = add_pool("a 30000-30009");
  outside = add_pool("outside 31000-31009 external 40000");
  in_session(test_unreached);
  in_session(test_pools);
  in_session(test_addresses);
  in_session(test_each_minute);
}

TEST_MODULE(natpasv_say_test, hooks);
