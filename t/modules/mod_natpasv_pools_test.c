/*
 * mod_natpasv_pools_test - the pools of a configuration: what is announced,
 * which ports a router has to forward, those that it does, and those that are
 * tried from outside.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/common_check.h"
#include "../../mod_natpasv/exported.h"
#include "../../mod_natpasv/forwards.h"
#include "../../mod_natpasv/samples.h"
#include "natpasv-session.h"

static const char *text_of(const struct natpasv_ports *ports) {
  static char text[512];

  if (ports == NULL) {
    return NULL;
  }
  (void) natpasv_ports_print(ports, text, sizeof(text));
  return text;
}

/* The names of all pools. */
static const char *names(void) {
  static char text[256];
  array_header *pools = natpasv_pools(permanent_pool);

  text[0] = '\0';
  for (unsigned int i = 0; i < pools->nelts; i++) {
    sstrcat(text, i > 0 ? " " : "", sizeof(text));
    sstrcat(
      text, ((struct natpasv_pool **) pools->elts)[i]->name, sizeof(text));
  }
  return text;
}

static void test_pools(void) {
  const struct natpasv_pool *a = add_pool("a 30000-30009"), *ports;

  is_str(names(), "a", "a pool");
  ok(natpasv_pool_find("a") == a && natpasv_pool_find("A") == NULL &&
       natpasv_pool_find("b") == NULL,
    "... is found by its name");
  is_int(natpasv_pool_announced(a, 30004), 30004, "... announced as it is");
  is_int(natpasv_pool_announced(NULL, 30004), 30004, "... as are others");
  is_int(natpasv_pool_announced(
           add_pool("b 31000-31004,32000 external 40000"), 32000),
    40005, "... or as what is outside");
  is_int(natpasv_pool_announced(
           add_pool("c 33000-33009 external 41000 slice 2/5"), 33002),
    41002, "... of the whole, if it is a slice");

  add_passiveports(20000, 20009);
  is_str(names(), "a b c", "PassivePorts without an engine are none");
  configure_number("NATPasvEngine", TRUE);
  is_str(names(), "a b c 20000-20009", "... with one they are a pool");
  add_rule("lan");
  is_str(names(), "a b c 20000-20009", "... with a rule that names no pool");
  forget("NATPasvRule");
  add_rule("lan pool a");
  is_str(names(), "a b c 20000-20009", "... or none for all");
  add_rule("* pool b");
  is_str(names(), "a b c", "... but not if nobody gets them");
  add_rule("wan");
  is_str(names(), "a b c 20000-20009", "... except one class");

  forget("NATPasvRule");
  forget("NATPasvPool");
  ports = natpasv_pool_of_passiveports(permanent_pool, main_server->conf);
  is_str(text_of(&ports->ports), "20000-20009", "the ports of PassivePorts");
  is_int(ports->quarantine, 60, "... with the usual quarantine");
  ok(natpasv_pool_find("20000-20009") == NULL, "... which nobody can name");
  add_pool("same 20000-20009");
  is_str(names(), "same", "the same ports are one pool");
}

/* Control ports are left out of PassivePorts. */
static void test_left_out(void) {
  static const struct {
    int first, last;
    unsigned int control, left_out;
    const char *want;
  } cases[] = {
    { 2000, 2009, 2100, 0, "2000-2009" },
    { 2000, 2009, 2010, 0, "2000-2009" },
    { 2000, 2009, 1999, 0, "2000-2009" },
    { 2000, 2009, 2000, 2000, "2001-2009" },
    { 2000, 2009, 2009, 2009, "2000-2008" },
    { 2000, 2009, 2004, 2004, "2000-2003,2005-2009" },
    { 2000, 2009, 2001, 2001, "2000,2002-2009" },
    { 2000, 2000, 2000, 0, NULL },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const struct natpasv_pool *pool;

    forget("PassivePorts");
    add_passiveports(cases[i].first, cases[i].last);
    main_server->ServerPort = cases[i].control;
    pool = natpasv_pool_of_passiveports(permanent_pool, main_server->conf);
    is_str(pool != NULL ? text_of(&pool->ports) : NULL, cases[i].want,
      "PassivePorts %d %d, Port %u", cases[i].first, cases[i].last,
      cases[i].control);
    if (pool != NULL) {
      is_int(pool->left_out, cases[i].left_out, "... which is left out");
    }
  }
  forget("PassivePorts");
  ok(natpasv_pool_of_passiveports(permanent_pool, main_server->conf) == NULL,
    "no PassivePorts, no pool");
}

/* "30000:40000 ...": inside and outside. */
static const char *wanted(void) {
  static char text[512];
  array_header *list = natpasv_forwards_wanted(permanent_pool);
  const struct forward_port *ports = list->elts;

  text[0] = '\0';
  for (unsigned int i = 0; i < list->nelts; i++) {
    size_t len = strlen(text);

    (void) snprintf(text + len, sizeof(text) - len, "%s%u:%u", i > 0 ? " " : "",
      ports[i].inside, ports[i].outside);
  }
  return text;
}

static void test_wanted(void) {
  const struct natpasv_pool *a = add_pool("a 30000-30001,30005");
  const struct natpasv_pool *b = add_pool("b 31000 external 41000");

  configure_number("NATPasvEngine", TRUE);
  is_str(wanted(), "", "pools that nobody gets are not forwarded");
  add_rule("* pool a");
  is_str(wanted(), "30000:30000 30001:30001 30005:30005",
    "a pool for clients outside is");
  ok(natpasv_forwards_need(a) && !natpasv_forwards_need(b), "... and only it");
  add_rule("lan pool b address local");
  ok(!natpasv_forwards_need(b), "one for clients inside is not");
  add_rule("wan pool b");
  is_str(wanted(), "30000:30000 31000:41000 30001:30001 30005:30005",
    "several take turns");
  forget("NATPasvRule");
  add_passiveports(20000, 20001);
  is_str(wanted(), "20000:20000 20001:20001", "PassivePorts need no rule");
}

static struct forward forward[] = {
  { .inside = 30000, .outside = 40000, .open = true },
  { .inside = 30001, .open = false },
  { .inside = 30002, .outside = 30002, .open = true },
  { .inside = 30003, .outside = 30003, .open = true },
  { .inside = 39999, .outside = 39999, .open = true },
};
static struct forwards forwards = { 1, 5, forward };

static void test_forwarded(void) {
  const struct natpasv_pool *a = add_pool("a 30000-30009"),
                            *b = add_pool("b 31000-31009"),
                            *backwards = add_pool("c 30003,30002,30000");
  const struct natpasv_ports *ports;
  uint64_t key = 0;
  unsigned int asked = 9, open = 9;
  bool none = true;

  ok(natpasv_forwards_limit(permanent_pool, a, &key, &none) == NULL && !none,
    "nobody sees to forwards: all ports");
  is_int(natpasv_forwards_outside(30000), 0, "... under their own numbers");
  natpasv_forwards_count(permanent_pool, a, &asked, &open);
  ok(asked == 0 && open == 0, "... and none is asked for");

  world.forwards = &forwards;
  natpasv_forwards_count(permanent_pool, a, &asked, &open);
  is_int(asked, 4, "those of the pool that are asked for");
  is_int(open, 3, "... and those that are open");
  ports = natpasv_forwards_limit(permanent_pool, a, &key, &none);
  is_str(text_of(ports), "30000,30002-30003", "a session gets the open ones");
  ok(!none && ports != NULL && key == natpasv_ports_key(ports),
    "... with their key");
  is_int(natpasv_forwards_outside(30000), 40000, "... and their numbers");
  is_int(natpasv_forwards_outside(30003), 30003, "... of each");
  is_int(natpasv_forwards_outside(30001), 0, "... that is open");
  is_int(natpasv_forwards_outside(30009), 0, "... and asked for");

  ports = natpasv_forwards_limit(permanent_pool, backwards, &key, &none);
  is_int(ports->range[0].first, 30003, "the order is that of the pool");
  is_int(natpasv_ports_index(ports, 30000), 2, "... for each");
  ports = natpasv_forwards_limit(permanent_pool, b, &key, &none);
  ok(ports == NULL && none, "a pool of which none is forwarded is told apart");

  (void) natpasv_forwards_limit(permanent_pool, a, &key, &none);
  forward[1].open = true;
  is_str(text_of(natpasv_forwards_limit(permanent_pool, a, &key, &none)),
    "30000,30002-30003", "a list is read once");
  forwards.generation++;
  ports = natpasv_forwards_limit(permanent_pool, a, &key, &none);
  is_str(text_of(ports), "30000-30003", "... and when it has changed");
  ok(key == natpasv_ports_key(ports), "... with another key");
}

/* A pool may have 64 ranges. */
static void test_ranges(void) {
  static struct forward many[140];
  static struct forwards list = { 1, 140, many };
  const struct natpasv_pool *pool = add_pool("a 30000-30999");
  uint64_t key;
  bool none;

  for (unsigned int i = 0; i < 140; i++) {
    many[i].inside = many[i].outside = (uint16_t) (30000 + 2 * i);
    many[i].open = true;
  }
  world.forwards = &list;
  is_int(natpasv_forwards_limit(permanent_pool, pool, &key, &none)->nranges, 64,
    "no more ranges than a pool may have");
  is_int(natpasv_forwards_limit(permanent_pool, pool, &key, &none)->count, 64,
    "... each with its port");
}

static const struct check_pool *samples(unsigned int which) {
  return (const struct check_pool *) natpasv_samples(permanent_pool)->elts +
         which;
}

static void test_samples(void) {
  const struct natpasv_pool *large =
                              add_pool("large 30000-30999 external 40000"),
                            *small = add_pool("small 31001,31000,31002");
  const struct check_pool *sample;
  struct natpasv_row *row;
  unsigned int different = 0, same = 0;

  is_int((long long) natpasv_samples(permanent_pool)->nelts, 2,
    "a sample of each pool");
  sample = samples(0);
  is_str(sample->name, "large", "... with its name");
  ok(sample->inside[0] == 30000 && sample->inside[1] == 30999,
    "both ends of a pool");
  for (unsigned int i = 0; i < CHECK_PORTS; i++) {
    different += sample->inside[i] >= 30000 && sample->inside[i] <= 30999 &&
                 sample->outside[i] == sample->inside[i] + 10000;
    for (unsigned int j = 0; j < i; j++) {
      same += sample->inside[i] == sample->inside[j];
    }
  }
  is_int(different, CHECK_PORTS, "... and others, as clients are told them");
  is_int(same, 0, "... each once");
  ok(
    memcmp(samples(0)->inside, samples(0)->inside, 2 * sizeof(uint16_t)) == 0 &&
      (memcmp(samples(0)->inside, sample->inside, sizeof(sample->inside)) !=
          0 ||
        memcmp(samples(0)->inside, sample->inside, sizeof(sample->inside)) !=
          0),
    "... by chance");

  sample = samples(1);
  ok(sample->inside[0] == 31001 && sample->inside[1] == 31002 &&
       sample->inside[2] == 31000 && sample->inside[3] == 0,
    "a small pool in the order written, with no more than it has");
  is_int((long long) sample->granted, 0, "... and no counters without a table");

  natpasv_shared_begin(true);
  row = natpasv_count_row(natpasv_shared(), large->key, "lan");
  natpasv_count_more(row, NATPASV_GRANTED, 5);
  row = natpasv_count_row(natpasv_shared(), large->key, "");
  natpasv_count_more(row, NATPASV_GRANTED, 2);
  natpasv_count_more(row, NATPASV_UNREACHED, 3);
  row = natpasv_count_row(natpasv_shared(), small->key, "");
  natpasv_count_more(row, NATPASV_UNREACHED, 1);
  sample = samples(0);
  ok(sample->granted == 7 && sample->unreached == 3,
    "the counters of all classes");
  sample = samples(1);
  ok(sample->granted == 0 && sample->unreached == 1, "... of that pool");

  natpasv_shared()->map->port[31001].owner = 1;
  sample = samples(1);
  ok(sample->inside[0] == 31002 && sample->inside[1] == 31000 &&
       sample->inside[2] == 0,
    "a port that is in use is not tried");
  natpasv_shared_stop();

  forget("NATPasvPool");
  configure_number("NATPasvEngine", TRUE);
  add_passiveports(2120, 2122);
  main_server->ServerPort = 2121;
  sample = samples(0);
  ok(sample->inside[0] == 2120 && sample->inside[1] == 2122 &&
       sample->inside[2] == 0,
    "nor is a control port");
}

/* What is exported for the thing in front: where this server is. */
static void test_exported(void) {
  static const struct {
    const char *addr, *name;
    bool tight;
    const char *want;
  } cases[] = {
    { "192.0.2.1", "192.0.2.9", false, "192.0.2.1" },
    { "2001:db8::1", "192.0.2.9", false, "2001:db8::1" },
    { "127.0.0.1", "192.0.2.9", false, "192.0.2.9" },
    { "0.0.0.0", "2001:db8::1", false, "2001:db8::1" },
    { "::1", "192.0.2.9", false, "192.0.2.9" },
    { "::", "192.0.2.9", false, "192.0.2.9" },
    { "127.0.0.1", "127.0.1.1", false, "127.0.0.1" },
    { "127.0.0.1", "0.0.0.0", false, "127.0.0.1" },
    { "127.0.0.1", "::1", false, "127.0.0.1" },
    { "127.0.0.1", "::", false, "127.0.0.1" },
    { "127.0.0.1", "ftp.example", false, "127.0.0.1" },
    { "127.0.0.1", "192.0.2.9", true, "127.0.0.1" },
  };
  char reason[256] = "";
  struct natpasv_export what;

  main_server->ServerPort = 2121;
  is_int(natpasv_exported(permanent_pool, &what, reason, sizeof(reason)), -1,
    "without an engine there is nothing to export");
  is_str(
    reason, "NATPasvEngine is on for no server with a port", "... it says");
  configure_number("NATPasvEngine", TRUE);
  is_int(natpasv_exported(permanent_pool, &what, reason, sizeof(reason)), -1,
    "... nor without a pool");
  is_str(reason,
    "there is neither PassivePorts nor a NATPasvPool with a NATPasvRule for clients outside",
    "... it says");

  add_pool("a 30004-30007 external 40000 slice 2/2");
  add_pool("b 31000-31003 listen 192.0.2.77");
  add_pool("c 32000-32003");
  add_rule("* pool a");
  add_rule("lan pool b");
  is_int(natpasv_exported(permanent_pool, &what, reason, sizeof(reason)), 0,
    "pools that clients get");
  is_int(what.npools, 2, "... are exported");
  is_int(what.pools[0].external, 40000, "... the whole, if it is a slice");
  is_str(text_of(what.pools[0].ports), "30004-30007", "... with all ports");
  ok(what.pools[0].slice.k == 2 && what.pools[0].slice.n == 2,
    "... and which it is");
  is_str(what.pools[1].address, "192.0.2.77", "one that listens elsewhere");
  is_int(what.pools[1].external, 0, "... under its own numbers");
  ok(what.ncontrol == 1 && what.control[0].port == 2121 &&
       !what.control[0].proxy,
    "the control port");
  configure_number("ProxyProtocolEngine", TRUE);
  (void) natpasv_exported(permanent_pool, &what, reason, sizeof(reason));
  ok(what.control[0].proxy, "... behind a balancer");
  configure_number("ProxyProtocolIgnore", TRUE);
  (void) natpasv_exported(permanent_pool, &what, reason, sizeof(reason));
  ok(!what.control[0].proxy, "... or not");

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    main_server->addr = address(permanent_pool, cases[i].addr);
    main_server->ServerAddress = cases[i].name;
    SocketBindTight = cases[i].tight;
    (void) natpasv_exported(permanent_pool, &what, reason, sizeof(reason));
    is_str(what.address, cases[i].want, "a server at %s, which is %s%s",
      cases[i].addr, cases[i].name, cases[i].tight ? ", bound tightly" : "");
    is_str(what.pools[0].address, cases[i].want, "... and so for its pools");
  }
}

static void run_tests(void) {
  in_session(test_pools);
  in_session(test_left_out);
  in_session(test_wanted);
  in_session(test_forwarded);
  in_session(test_ranges);
  in_session(test_samples);
  in_session(test_exported);
}

TEST_MODULE(natpasv_pools_test, hooks);
