/*
 * mod_natpasv_from_test - from which addresses a data connection may come.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/from.h"
#include "natpasv-session.h"

static const char *parsed(const char *value) {
  static const char *const names[] = { "unset", "auto", "client", "class",
    "any" };
  static char text[600];
  struct natpasv_from from = { .whence = NATPASV_FROM_UNSET };

  if (natpasv_from_parse(permanent_pool, value, &from, text, sizeof(text)) ==
      0) {
    (void) snprintf(text, sizeof(text), "%s %u %s", names[from.whence],
      from.bits, from.class != NULL ? from.class : "-");
  }
  return text;
}

static void test_parse(void) {
  static const struct {
    const char *value, *want;
  } cases[] = {
    { "auto", "auto 0 -" },
    { "Any", "any 0 -" },
    { "client", "client 0 -" },
    { "CLIENT/24", "client 24 -" },
    { "client/1", "client 1 -" },
    { "client/128", "client 128 -" },
    { "lan.1", "class 0 lan.1" },
    { "clients", "class 0 clients" },
    { "client/0",
      "from 'client/0' does not end with a number of bits from 1 to 128" },
    { "client/129",
      "from 'client/129' does not end with a number of bits from 1 to 128" },
    { "client/",
      "from 'client/' does not end with a number of bits from 1 to 128" },
    { "client/024",
      "from 'client/024' does not end with a number of bits from 1 to 128" },
    { "client/1000",
      "from 'client/1000' does not end with a number of bits from 1 to 128" },
    { "client/2x",
      "from 'client/2x' does not end with a number of bits from 1 to 128" },
    { "a,b", "from 'a,b' is not " NATPASV_FROM_SYNTAX },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    is_str(parsed(cases[i].value), cases[i].want, "from %s", cases[i].value);
  }
}

static bool passes(const struct natpasv_filter *filter, const char *text) {
  const pr_netaddr_t *addr = address(permanent_pool, text);

  return natpasv_filter_passes(
    filter, pr_netaddr_get_family(addr), pr_netaddr_get_inaddr(addr));
}

/* Which of these a filter admits. */
static const char *admitted(const struct natpasv_filter *filter) {
  static const char *const all[] = { "203.0.113.9", "203.0.113.200",
    "203.0.114.1", "10.1.2.3", "192.0.2.7", "192.0.2.8", "2001:db8::9",
    "2001:db8::1:9", "2001:db8:0:1::9", "2001:db8:1::9", "fd00::1" };
  static char text[256];

  text[0] = '\0';
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
    if (passes(filter, all[i])) {
      sstrcat(text, text[0] != '\0' ? " " : "", sizeof(text));
      sstrcat(text, all[i], sizeof(text));
    }
  }
  return text;
}

static const char *of_class(const char *name) {
  static char reason[600];
  struct natpasv_filter filter = { .count = 0 };

  return natpasv_from_class(
           permanent_pool, name, &filter, reason, sizeof(reason)) == 0
           ? admitted(&filter)
           : reason;
}

static void test_class(void) {
  char many[1024] = "192.0.2.7";

  place = permanent_pool;
  add_class("one", "192.0.2.7");
  is_str(of_class("one"), "192.0.2.7", "an address");
  add_class("some", "10.0.0.0/8 192.0.2.8 2001:db8::/64");
  is_str(of_class("some"), "10.1.2.3 192.0.2.8 2001:db8::9 2001:db8::1:9",
    "networks");
  add_class("six", "2001:db8::9 fd00::/8");
  is_str(of_class("six"), "2001:db8::9 fd00::1", "an IPv6 address, a network");
  add_class("zero", "0.0.0.0/0");
  is_str(of_class("zero"),
    "203.0.113.9 203.0.113.200 203.0.114.1 10.1.2.3 192.0.2.7 192.0.2.8",
    "all of IPv4");
  add_class("all", "ALL");
  is_str(of_class("all"),
    "203.0.113.9 203.0.113.200 203.0.114.1 10.1.2.3 192.0.2.7 192.0.2.8 2001:db8::9 2001:db8::1:9 2001:db8:0:1::9 2001:db8:1::9 fd00::1",
    "all of both");
  add_class("none", "NONE 192.0.2.7");
  is_str(of_class("none"), "192.0.2.7", "none adds nothing");

  is_str(of_class("where"), "there is no <Class where>", "no such class");
  add_class("not", "192.0.2.7 !192.0.2.8");
  is_str(of_class("not"),
    "'From !192.0.2.8' of <Class not> is not an address or a network, or there are more than 64",
    "a line that excludes");
  add_class("names", "*.example");
  is_str(of_class("names"),
    "'From *.example' of <Class names> is not an address or a network, or there are more than 64",
    "a name");
  (void) pr_class_open(permanent_pool, "both");
  (void) pr_class_add_acl(
    pr_netacl_create(permanent_pool, pstrdup(permanent_pool, "192.0.2.7")));
  (void) pr_class_set_satisfy(PR_CLASS_SATISFY_ALL);
  (void) pr_class_close();
  is_str(of_class("both"), "<Class both> has 'Satisfy all'", "all lines");

  for (int i = 0; i < 63; i++) {
    sstrcat(many, " 192.0.2.8", sizeof(many));
  }
  add_class("full", many);
  is_str(of_class("full"), "192.0.2.7 192.0.2.8", "64 lines");
  add_class(
    "fuller", pstrcat(place, many + strlen("192.0.2.7 "), " ALL", NULL));
  is_str(of_class("fuller"),
    "'From all' of <Class fuller> is not an address or a network, or there are more than 64",
    "... of which one is two networks");
  sstrcat(many, " 10.0.0.0/8", sizeof(many));
  add_class("more", many);
  is_str(of_class("more"),
    "'From 10.0.0.0/8' of <Class more> is not an address or a network, or there are more than 64",
    "... and one more");
}

/* AllowForeignAddress, as ProFTPD has it: on, off, or a class. */
static void allow_foreign(int what, const char *class) {
  config_rec *c = add_config_param_set(
    &main_server->conf, "AllowForeignAddress", 2, NULL, NULL);

  c->argv[0] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = what;
  c->argv[1] = pstrdup(c->pool, class);
}

static bool others_may(enum natpasv_whence whence) {
  const struct natpasv_from from = { .whence = whence };

  return natpasv_from_admits_others(&from, main_server->conf);
}

static void test_others(void) {
  ok(!others_may(NATPASV_FROM_UNSET), "nothing said: others may not at once");
  ok(!others_may(NATPASV_FROM_AUTO), "... nor with from auto");
  ok(!others_may(NATPASV_FROM_CLIENT), "... nor with from client");
  ok(others_may(NATPASV_FROM_CLASS), "with a class they may");
  ok(others_may(NATPASV_FROM_ANY), "... and with any");
  allow_foreign(TRUE, "");
  ok(others_may(NATPASV_FROM_UNSET), "AllowForeignAddress on");
  ok(!others_may(NATPASV_FROM_AUTO), "... which from overrules");
  forget("AllowForeignAddress");
  allow_foreign(FALSE, "");
  ok(!others_may(NATPASV_FROM_UNSET), "AllowForeignAddress off");
  forget("AllowForeignAddress");
  allow_foreign(-1, "friends");
  ok(others_may(NATPASV_FROM_UNSET), "AllowForeignAddress of a class");
}

static const char *guard(
  enum natpasv_whence whence, unsigned int bits, const char *class) {
  static char text[512];
  const struct natpasv_from from = { whence, bits, class };
  const struct natpasv_guard *g = natpasv_from_guard(place, &from);

  (void) snprintf(text, sizeof(text), "%s%s: %s", g->closed ? "closed" : "open",
    g->opens ? ", opens" : "", admitted(&g->filter));
  return text;
}

static void test_guard(void) {
  arrive("203.0.113.9", "192.168.1.1");
  add_class("lan", "192.0.2.7");
  is_str(guard(NATPASV_FROM_AUTO, 0, NULL), "closed, opens: 203.0.113.9",
    "auto: the client, and others later");
  is_str(guard(NATPASV_FROM_CLIENT, 0, NULL), "closed: 203.0.113.9",
    "client: nobody else");
  is_str(guard(NATPASV_FROM_CLIENT, 24, NULL),
    "closed: 203.0.113.9 203.0.113.200", "client/24");
  is_str(
    guard(NATPASV_FROM_CLIENT, 32, NULL), "closed: 203.0.113.9", "client/32");
  is_str(guard(NATPASV_FROM_CLIENT, 33, NULL), "closed: 203.0.113.9",
    "client/33 is for IPv6");
  is_str(guard(NATPASV_FROM_ANY, 0, NULL), "open: 203.0.113.9", "any");
  is_str(guard(NATPASV_FROM_CLASS, 0, "lan"), "closed: 203.0.113.9 192.0.2.7",
    "a class, and the client");
  is_str(guard(NATPASV_FROM_CLASS, 0, "where"), "open: 203.0.113.9",
    "a class that does not exist is for ProFTPD to compare");

  is_str(guard(NATPASV_FROM_UNSET, 0, NULL), "closed, opens: 203.0.113.9",
    "nothing said: as auto");
  allow_foreign(TRUE, "");
  is_str(guard(NATPASV_FROM_UNSET, 0, NULL), "open: 203.0.113.9",
    "AllowForeignAddress on");
  forget("AllowForeignAddress");
  allow_foreign(FALSE, "");
  is_str(guard(NATPASV_FROM_UNSET, 0, NULL), "closed: 203.0.113.9",
    "AllowForeignAddress off");
  forget("AllowForeignAddress");
  allow_foreign(-1, "lan");
  is_str(guard(NATPASV_FROM_UNSET, 0, NULL), "closed: 203.0.113.9 192.0.2.7",
    "AllowForeignAddress of a class");

  session.c->remote_addr = address(place, "::ffff:203.0.113.9");
  is_str(guard(NATPASV_FROM_CLIENT, 0, NULL), "closed: 203.0.113.9",
    "an IPv4 client on an IPv6 socket");
  is_str(guard(NATPASV_FROM_CLIENT, 24, NULL),
    "closed: 203.0.113.9 203.0.113.200", "... and its network");
  is_str(guard(NATPASV_FROM_CLIENT, 64, NULL), "closed: 203.0.113.9",
    "... which is none of IPv6");

  session.c->remote_addr = address(place, "2001:db8::9");
  is_str(guard(NATPASV_FROM_CLIENT, 0, NULL), "closed: 2001:db8::9",
    "an IPv6 client");
  is_str(guard(NATPASV_FROM_CLIENT, 24, NULL),
    "closed: 2001:db8::9 2001:db8::1:9",
    "... of which bits for IPv4 mean the subscriber's network");
  is_str(guard(NATPASV_FROM_CLIENT, 32, NULL),
    "closed: 2001:db8::9 2001:db8::1:9", "... up to 32");
  is_str(guard(NATPASV_FROM_CLIENT, 48, NULL),
    "closed: 2001:db8::9 2001:db8::1:9 2001:db8:0:1::9", "client/48");
  is_str(guard(NATPASV_FROM_CLIENT, 33, NULL),
    "closed: 2001:db8::9 2001:db8::1:9 2001:db8:0:1::9 2001:db8:1::9",
    "client/33");
}

static void run_tests(void) {
  in_session(test_parse);
  in_session(test_class);
  in_session(test_others);
  in_session(test_guard);
}

TEST_MODULE(natpasv_from_test, hooks);
