/*
 * mod_natpasv_addr_test - which address a client is told, and who is local.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/addr.h"
#include "natpasv-session.h"

#define OUT   "203.0.113.9"  /* a client */
#define LAN   "10.0.0.5"     /* a client */
#define HERE  "192.168.1.1"  /* the address that it has reached */
#define FOUND "198.51.100.8" /* by mod_extip */
#define MASQ  "198.51.100.7" /* MasqueradeAddress */
#define TLS   "198.51.100.6" /* TLSMasqueradeAddress */

/* Who asks, what is configured, and what is told: */
static const struct told {
  const char *client, *server;
  const char *rule; /* NULL for none */
  const char *extip, *masquerade, *tls, *local, *protocol;
  bool to_all;
  const char *want;
  bool as_local;
  const char *passed_over;
} cases[] = {
  { OUT, HERE, .want = HERE },
  { OUT, HERE, .masquerade = MASQ, .want = MASQ },
  { OUT, HERE, .extip = FOUND, .want = FOUND },
  { OUT, HERE, .extip = FOUND, .masquerade = MASQ, .want = FOUND },
  { OUT, HERE, .extip = "::ffff:" FOUND, .want = FOUND },
  { OUT, HERE, .extip = "2001:db8::8", .masquerade = MASQ, .want = MASQ },
  { OUT, HERE, .masquerade = "2001:db8::7", .want = HERE },
  { OUT, "::ffff:" HERE, .want = HERE },
  { OUT, "2001:db8::1", .extip = FOUND, .want = "0.0.0.0" },
  { OUT, "2001:db8::1", "* address 192.0.2.1", .want = "0.0.0.0" },

  { OUT, HERE, .masquerade = MASQ, .tls = TLS, .want = MASQ },
  { OUT, HERE, .masquerade = MASQ, .tls = TLS, .protocol = "ftps",
    .want = TLS },
  { OUT, HERE, .masquerade = MASQ, .protocol = "ftps", .want = MASQ },

  { OUT, HERE, "* address local", .extip = FOUND, .want = HERE },
  { OUT, HERE, "* address 192.0.2.1", .extip = FOUND, .want = "192.0.2.1" },
  { LAN, HERE, "* address 192.0.2.1", .extip = FOUND, .want = "192.0.2.1" },
  { LAN, HERE, "* address extip", .extip = FOUND, .want = FOUND },
  { LAN, HERE, "* address extip", .masquerade = MASQ, .want = MASQ },
  { LAN, HERE, "* address extip", .want = HERE },

  { LAN, HERE, .want = HERE, .as_local = true },
  { LAN, HERE, .extip = FOUND, .want = HERE, .as_local = true },
  { LAN, HERE, .extip = FOUND, .to_all = true, .want = FOUND },
  { LAN, HERE, .masquerade = MASQ, .want = MASQ },
  { LAN, HERE, .extip = FOUND, .masquerade = MASQ, .want = HERE,
    .as_local = true, .passed_over = MASQ },
  { LAN, HERE, "* address auto", .masquerade = MASQ, .want = HERE,
    .as_local = true, .passed_over = MASQ },
  { LAN, HERE, .masquerade = MASQ, .local = "auto", .want = HERE,
    .as_local = true, .passed_over = MASQ },
  { LAN, HERE, .masquerade = MASQ, .local = "none", .want = MASQ },
  { LAN, HERE, .extip = FOUND, .local = "none", .want = FOUND },
  { OUT, HERE, .extip = FOUND, .local = "lan", .want = HERE, .as_local = true },
  { OUT, HERE, .extip = FOUND, .local = "wan", .want = FOUND },
  { LAN, HERE, .extip = FOUND, .local = "wan", .want = FOUND },
};

static const struct told *tried;

static void test_told(void) {
  static const struct natpasv_rule none;
  const struct natpasv_rule *rule;
  struct natpasv_told told;
  char name[256];

  arrive(tried->client, tried->server);
  be_in_class("lan");
  rule = tried->rule != NULL ? add_rule(tried->rule) : &none;
  world.extip = tried->extip;
  world.to_all = tried->to_all;
  if (tried->masquerade != NULL) {
    add_address("MasqueradeAddress", tried->masquerade);
  }
  if (tried->tls != NULL) {
    add_address("TLSMasqueradeAddress", tried->tls);
  }
  if (tried->local != NULL) {
    add_local(tried->local);
  }
  (void) pr_session_set_protocol(
    tried->protocol != NULL ? tried->protocol : "ftp");

  told = natpasv_address(place, rule);
  (void) snprintf(name, sizeof(name),
    "client %s at %s, rule '%s', extip %s%s, masquerade %s, local %s",
    tried->client, tried->server, tried->rule != NULL ? tried->rule : "",
    tried->extip != NULL ? tried->extip : "none",
    tried->to_all ? " to all" : "",
    tried->masquerade != NULL ? tried->masquerade : "none",
    tried->local != NULL ? tried->local : "not set");
  is_str(told.address, tried->want, "%s", name);
  is_int(told.as_local, tried->as_local, "... as a local client or not");
  is_str(told.passed_over, tried->passed_over, "... instead of what");
}

static void test_name(void) {
  const struct natpasv_rule unresolved = { .address = NATPASV_FIXED,
    .section = main_server };

  arrive(LAN, HERE);
  world.extip = FOUND;
  is_str(natpasv_address(place, &unresolved).address, HERE,
    "a name without an address: as auto, for a local client");
  session.c->remote_addr = address(place, OUT);
  is_str(
    natpasv_address(place, &unresolved).address, FOUND, "... and for another");
}

static void test_local(void) {
  arrive(LAN, HERE);
  ok(natpasv_address_is_local(), "a client in the LAN is local");
  session.c->remote_addr = address(place, "::ffff:" LAN);
  ok(natpasv_address_is_local(), "... on an IPv6 socket too");
  session.c->remote_addr = address(place, "fd00::5");
  ok(natpasv_address_is_local(), "... and so is one with a ULA");
  session.c->remote_addr = address(place, OUT);
  ok(!natpasv_address_is_local(), "one outside is not");
  session.c->remote_addr = address(place, "2001:db8::5");
  ok(!natpasv_address_is_local(), "... with IPv6 neither");
}

/* Twenty in a row from one local address. */
static void test_proxy(void) {
  struct natpasv_told local = { .as_local = true }, other = { NULL };
  struct local_run run = { 0 };
  int times = 0;

  arrive(LAN, HERE);
  for (int i = 1; i < 20; i++) {
    times += natpasv_address_looks_like_proxy(&run, &local);
  }
  is_int(times, 0, "19 sessions from one local address are no proxy");
  ok(natpasv_address_looks_like_proxy(&run, &local), "20 may be one");
  ok(!natpasv_address_looks_like_proxy(&run, &local), "... which is said once");

  run = (struct local_run){ 0 };
  for (int i = 1; i < 20; i++) {
    (void) natpasv_address_looks_like_proxy(&run, &local);
  }
  (void) natpasv_address_looks_like_proxy(&run, &other);
  ok(!natpasv_address_looks_like_proxy(&run, &local),
    "one that was told another address, and the count begins anew");

  run = (struct local_run){ 0 };
  add_local("lan");
  for (int i = 0; i < 25; i++) {
    times += natpasv_address_looks_like_proxy(&run, &local);
  }
  is_int(times, 0, "who is local is configured: nothing to say");
}

static void run_tests(void) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    tried = &cases[i];
    in_session(test_told);
  }
  in_session(test_name);
  in_session(test_local);
  in_session(test_proxy);
}

TEST_MODULE(natpasv_addr_test, hooks);
