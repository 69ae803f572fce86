/* Forwards on the router: which are asked for, when, and what follows from the
 * answers. The router here is a function, and the clock a number. */

#include "../../mod_extip/forward.c"
#include "../../mod_extip/forward_tell.c"
#include "../../mod_extip/portforward.c"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PORTS        64
#define LIFETIME     1800

static const struct in_addr outside_addr = { 0x0101a8c0 };

/* The router: what it speaks, holds and refuses. */
static struct {
  bool speaks[EXTIP_PROTOCOLS], told[EXTIP_PROTOCOLS]; /* told: "unsupported" */
  bool deaf;
  size_t room;         /* entries */
  size_t mute_after;   /* entries; more are not answered */
  uint16_t other_host; /* this outside port is another host's */
  uint16_t given[65536];  /* by inside port */
  uint16_t holder[65536]; /* by outside port */
  size_t entries, requests, most_on_way;
} router;

static struct extip_forwarder *forwarder;
static int64_t now;
static uint16_t order[4096];

static int no_random(void *bytes, size_t size) {
  static unsigned char next = 1;

  memset(bytes, next++, size);
  return 0;
}

static void set_up(size_t count, bool any_port,
  const struct extip_forward_held *held, size_t held_count) {
  static struct forward_port ports[EXTIP_FORWARDS_MAX];
  struct extip_forward_conf conf = {
    .ports = ports,
    .count = count,
    .lifetime = LIFETIME,
    .any_port = any_port,
    .protocols = { EXTIP_PCP, EXTIP_NATPMP },
    .protocol_count = 2,
  };

  ports[0] = (struct forward_port){ 21, 21 };
  for (size_t i = 1; i < count; i++) {
    ports[i].inside = (uint16_t) (61000 + i - 1);
    ports[i].outside = ports[i].inside;
  }
  extip_forward_stop(forwarder);
  memset(&router, 0, sizeof(router));
  router.speaks[EXTIP_PCP] = router.speaks[EXTIP_NATPMP] = true;
  router.room = router.mute_after = SIZE_MAX;
  now = 1000;
  forwarder = extip_forward_start(&conf, held, held_count, no_random);
}

static void answer(const struct extip_forward_request *request) {
  struct extip_forward_reply reply = { .protocol = request->protocol,
    .result = EXTIP_FORWARD_GRANTED,
    .inside = request->inside,
    .outside = request->outside,
    .lifetime = request->lifetime,
    .addr = outside_addr,
    .nonce = request->nonce };
  bool has = router.given[request->inside] != 0;

  if (router.told[request->protocol]) {
    reply.result = EXTIP_FORWARD_UNSUPPORTED;
  } else if (request->lifetime == 0) {
    router.entries -= has;
    router.holder[router.given[request->inside]] = 0;
    router.given[request->inside] = 0;
  } else if (!has && router.entries >= router.mute_after) {
    return;
  } else if (!has && router.entries >= router.room) {
    reply.result = EXTIP_FORWARD_DENIED;
    reply.reason = "no resources";
    reply.lifetime = 30;
  } else {
    router.holder[router.given[request->inside]] = 0;
    while (reply.outside == router.other_host ||
           router.holder[reply.outside] != 0) {
      reply.outside++;
    }
    router.given[request->inside] = reply.outside;
    router.holder[reply.outside] = request->inside;
    router.entries += !has;
  }
  extip_forward_reply(forwarder, &reply, now, now / 1000, 0);
}

/* Lets MS pass; the router answers after a millisecond. */
static void pass(int64_t ms) {
  int64_t end = now + ms;
  struct extip_forward_request request;

  while (true) {
    static struct extip_forward_request sent[EXTIP_FORWARD_ON_WAY * 4];
    size_t count = 0;

    while (count < COUNT(sent) &&
           extip_forward_next(forwarder, now, 0, &request)) {
      order[router.requests++ % COUNT(order)] = request.inside;
      sent[count++] = request;
    }
    if (forwarder->on_way > router.most_on_way) {
      router.most_on_way = forwarder->on_way;
    }
    if (count > 0 && !router.deaf) {
      now++;
    }
    for (size_t i = 0; i < count && !router.deaf; i++) {
      if (router.speaks[sent[i].protocol] || router.told[sent[i].protocol]) {
        answer(&sent[i]);
      }
    }

    int64_t due = extip_forward_due(forwarder);

    if (due > end) {
      break;
    }
    now = due > now ? due : now;
  }
  now = end;
}

/* Until nothing is due within a minute, with a router that works at one request
 * after the other: at the first for TAKES milliseconds, and at each further one
 * for MORE longer. The request with the number LOST, from 1, does not arrive. */
static void work_off(int64_t takes, int64_t more, size_t lost) {
  static struct extip_forward_request queue[EXTIP_FORWARDS_MAX];
  size_t first = 0, last = 0;
  int64_t done = 0; /* the one at the head of the queue */

  while (first < last || extip_forward_due(forwarder) < now + 60000) {
    int64_t due = extip_forward_due(forwarder);

    if (first < last && done <= due) {
      now = done;
      answer(&queue[first++]);
    } else {
      now = due > now ? due : now;
    }

    struct extip_forward_request request;

    while (last < COUNT(queue) &&
           extip_forward_next(forwarder, now, 0, &request)) {
      if (++router.requests != lost) {
        queue[last++] = request;
      }
    }
    if (first < last && done <= now) {
      done = now + takes;
      takes += more;
    }
  }
}

static struct extip_forward_summary summary(void) {
  return extip_forward_summarize(forwarder, now);
}

static const struct extip_forward *forward_of(size_t i) {
  return &forwarder->entries[i].forward;
}

static void test_order(void) {
  set_up(PORTS, false, NULL, 0);
  pass(100);
  is_int((long long) summary().open, PORTS, "64 ports are forwarded");
  is_int((long long) router.requests, PORTS, "... with a request for each");
  is_int(order[0], 21, "... first the one that is named first");
  is_int(order[1], 61000, "... then the others in their order");
  is_int((long long) router.most_on_way, EXTIP_FORWARD_ON_WAY,
    "at most 8 requests are on their way");
  is_int(forward_of(5)->given, 61004, "the outside port is as asked for");
  is_int(forward_of(5)->addr, outside_addr.s_addr, "the address is told");
  ok(summary().resting, "then there is nothing to do");

  size_t index, told = 0;

  while (extip_forward_changed(forwarder, &index) != NULL) {
    told++;
  }
  is_int((long long) told, PORTS, "each is told once");
}

static void test_slow_router(void) {
  static const struct {
    int64_t takes, more;
    size_t lost, again;
    const char *what;
  } cases[] = {
    { 140, 0, 0, 0, "0.14 s for each" },
    { 5, 4, 0, 0, "from 5 to 260 ms, as it fills up" },
    { 140, 0, 20, 1, "0.14 s, and one request is lost" },
    { 600, 0, 0, 1, "0.6 s, which the first answer tells" },
  };

  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t count = (int64_t) (PORTS + cases[i].again);
    int64_t heard = count - (cases[i].lost > 0);

    set_up(PORTS, false, NULL, 0);

    int64_t end = now + heard * cases[i].takes +
                  heard * (heard - 1) / 2 * cases[i].more;

    work_off(cases[i].takes, cases[i].more, cases[i].lost);
    is_int((long long) summary().open, PORTS, "a router that needs %s: all are open",
      cases[i].what);
    is_int((long long) router.requests, count,
      "... and is asked again %zu times", cases[i].again);
    is_int(now, end, "... and never waits for us");
  }
}

static void test_renewal(void) {
  set_up(PORTS, false, NULL, 0);
  pass(100);
  router.requests = 0;
  pass(LIFETIME * 500 - 200);
  is_int((long long) router.requests, 0, "nothing is renewed before half life");
  pass(LIFETIME * 125 + 1000);
  is_int((long long) router.requests, PORTS,
    "all are by five eighths of the lifetime");
  is_int((long long) summary().open, PORTS, "... and stay open");
  router.deaf = true;
  pass(LIFETIME * 1000);
  is_int((long long) summary().open, 0,
    "what is not renewed is not used when its time is over");
  ok(summary().silent, "... and the router is called silent");
  router.deaf = false;
  pass(400000);
  is_int((long long) summary().open, PORTS, "when it is back, so are they");
}

static void test_jitter(void) {
  int64_t least = INT64_MAX, most = 0;

  for (uint32_t random = 0; random < 1024; random++) {
    struct extip_forward_entry entry = { .wanted = true };
    struct extip_forward_reply reply = { .lifetime = 1000, .outside = 1 };

    open_up(&entry, &reply, 0, 0, random);
    least = entry.due < least ? entry.due : least;
    most = entry.due > most ? entry.due : most;
  }
  is_int(least, 500000, "renewed at half life at the earliest");
  ok(most > 620000 && most < 625000, "... up to an eighth of it later");
}

static void test_again(void) {
  set_up(PORTS, false, NULL, 0);
  pass(100);
  memset(router.given, 0, sizeof(router.given));
  memset(router.holder, 0, sizeof(router.holder));
  router.entries = router.requests = 0;
  extip_forward_again(forwarder, now);
  pass(100);
  is_int((long long) router.entries, PORTS, "all is made again at once");
  for (int i = 0; i < 20; i++) {
    extip_forward_again(forwarder, now);
    pass(50);
  }
  is_int((long long) router.requests, PORTS, "... but not twice within 2 s");
  pass(1000);
  is_int((long long) router.requests, 2 * PORTS, "... and then once");
}

/* A router that takes TAKES milliseconds for each request, one after the other,
 * while clients have all asked for again every two seconds. */
static void doubt(int64_t ms, int64_t takes) {
  struct extip_forward_request request, queue[EXTIP_FORWARD_ON_WAY];
  size_t first = 0, count = 0;
  int64_t done = 0, begin = now;

  for (int64_t asked = 0; now < begin + ms; now += 50) {
    if (now >= asked + EXTIP_FORWARD_AGAIN_GAP) {
      asked = now;
      extip_forward_again(forwarder, now);
    }
    if (count > 0 && done <= now) {
      answer(&queue[first]);
      first = (first + 1) % COUNT(queue);
      count--;
      done = now + takes;
    }
    while (count < COUNT(queue) &&
           extip_forward_next(forwarder, now, 0, &request)) {
      done = count == 0 ? now + takes : done;
      queue[(first + count++) % COUNT(queue)] = request;
    }
  }
}

static void test_doubted_slow_router(void) {
  set_up(PORTS, false, NULL, 0);
  pass(100);
  doubt(3600000, 200);
  is_int((long long) summary().open, PORTS,
    "0.2 s for each and doubts all the time: all are open after an hour");
  is_int((long long) router.entries, PORTS, "... and the router has no other");
}

static void test_protocols(void) {
  static const struct {
    bool pcp, pcp_told, natpmp;
    int64_t within;
    int protocol; /* -1: none */
    const char *what;
  } cases[] = {
    { true, false, true, 10, EXTIP_PCP, "the first protocol if it is spoken" },
    { false, true, true, 10, EXTIP_NATPMP, "the next one if the router says so" },
    { false, false, true, 1800, EXTIP_NATPMP, "the next one after silence" },
    { false, false, false, 4000, -1, "none" },
    { false, true, false, 2000, -1, "none, said and not" },
  };

  for (size_t i = 0; i < COUNT(cases); i++) {
    set_up(PORTS, false, NULL, 0);
    router.speaks[EXTIP_PCP] = cases[i].pcp;
    router.told[EXTIP_PCP] = cases[i].pcp_told;
    router.speaks[EXTIP_NATPMP] = cases[i].natpmp;
    pass(cases[i].within);
    is_int(summary().settled ? (int) summary().protocol : -1,
      cases[i].protocol, "protocol: %s, within %lld ms", cases[i].what,
      (long long) cases[i].within);
    is_int(summary().silent, cases[i].protocol < 0, "... silent or not");
  }

  size_t before = router.requests;

  pass(3600000);
  ok(router.requests - before < 200, "a silent router is asked %zu times an hour",
    router.requests - before);
  is_str(forward_of(9)->reason, "the router does not answer", "... which is said");
}

static void test_another_port(void) {
  set_up(PORTS, false, NULL, 0);
  router.other_host = 61000;
  pass(1000);
  is_int((long long) summary().open, PORTS - 1,
    "a port of another host is not used, but all others are, at once");
  is_int(forward_of(1)->state, EXTIP_FORWARD_ANOTHER, "... which is said");
  is_int(router.given[61000], 0, "... and what was given instead is returned");
  is_int(forward_of(1)->given, 0, "... and not announced");
  router.requests = 0;
  pass(600000);
  ok(router.requests < 30, "it is tried again seldom (%zu)", router.requests);
  router.other_host = 0;
  pass(LIFETIME * 1000);
  is_int((long long) summary().open, PORTS, "... and taken when it is free");

  set_up(PORTS, true, NULL, 0);
  router.other_host = 61000;
  pass(1000);
  is_int((long long) summary().open, PORTS, "any-port: another port is used");
  ok(forward_of(1)->given > 61000, "... and known");

  uint16_t given = forward_of(1)->given;

  router.requests = 0;
  pass(LIFETIME * 625 + 100);
  is_int(forward_of(1)->given, given, "... and renewed as it is");
}

static void test_full_table(void) {
  set_up(PORTS, false, NULL, 0);
  router.room = 32;
  pass(200);
  is_int((long long) summary().open, 32, "a table of 32 gives 32");
  is_int(forward_of(0)->state, EXTIP_FORWARD_OPEN, "... the first ones");
  is_str(summary().closed->reason, "no resources", "... and the reason is known");
  pass(3600000);
  is_int((long long) summary().open, 32, "... for as long as it likes");
  ok(router.requests < 1500, "the others are tried seldom (%zu)", router.requests);
  router.room = SIZE_MAX;
  extip_forward_again(forwarder, now);
  pass(200);
  is_int((long long) summary().open, PORTS, "... or when all is asked again");

  set_up(PORTS, false, NULL, 0);
  router.mute_after = 32;
  pass(600000);
  is_int((long long) summary().open, 32, "a router may be silent when it is full");
  ok(summary().settled && !summary().silent, "... and is not called silent");
  while (forwarder->on_way > 0) {
    pass(1000);
  }
  extip_forward_again(forwarder, now);
  router.requests = 0;
  pass(20);
  is_int(order[0], 21, "... and the first ones go first again");
}

static void test_close(void) {
  set_up(PORTS, false, NULL, 0);
  router.room = 32;
  pass(200);
  router.requests = 0;
  extip_forward_close(forwarder, now);
  ok(!extip_forward_closed(forwarder), "closing takes its time");
  pass(100);
  ok(extip_forward_closed(forwarder), "... and comes to an end");
  is_int((long long) router.entries, 0, "... with nothing left on the router");
  is_int((long long) router.requests, 32, "... and a request for each that was");
}

static void test_hurry(void) {
  set_up(PORTS, false, NULL, 0);
  pass(200);
  router.deaf = true;
  router.requests = 0;
  extip_forward_close(forwarder, now);
  pass(100);
  is_int((long long) router.requests, EXTIP_FORWARD_ON_WAY,
    "removing asks for eight at the same time, too");
  router.requests = 0;
  extip_forward_hurry(forwarder, now);
  pass(1);
  is_int((long long) router.requests, PORTS,
    "... and in a hurry for all that are left");
}

static void test_held(void) {
  struct extip_forward_held held[PORTS + 1];
  size_t count;
  unsigned char nonce[EXTIP_FORWARD_NONCE_SIZE];

  set_up(PORTS, false, NULL, 0);
  pass(200);
  count = extip_forward_list_held(forwarder, held, COUNT(held));
  is_int((long long) count, PORTS, "what is held is listed");
  memcpy(nonce, held[9].nonce, sizeof(nonce));

  set_up(10, false, held, count);
  for (size_t i = 0; i < count; i++) {
    router.given[held[i].port.inside] = held[i].port.outside;
    router.holder[held[i].port.outside] = held[i].port.inside;
    router.entries++;
  }
  ok(memcmp(forwarder->entries[9].nonce, nonce, sizeof(nonce)) == 0,
    "a nonce from before is used again");
  pass(200);
  is_int((long long) router.entries, 10, "what is not wanted any more is removed");
  is_int((long long) summary().total, 10, "... and not counted");
  is_int((long long) extip_forward_list_held(forwarder, held, COUNT(held)), 10,
    "... and not held");
}

static void test_strays(void) {
  struct extip_forward_request request;
  unsigned char wrong[EXTIP_FORWARD_NONCE_SIZE] = { 0 };
  struct extip_forward_reply reply = { .protocol = EXTIP_PCP,
    .result = EXTIP_FORWARD_GRANTED,
    .inside = 21,
    .outside = 21,
    .lifetime = LIFETIME,
    .nonce = wrong };

  set_up(PORTS, false, NULL, 0);
  extip_forward_reply(forwarder, &reply, now, 1, 0);
  ok(!summary().settled, "an answer to nothing is ignored");
  ok(extip_forward_next(forwarder, now, 0, &request), "a request is on its way");
  extip_forward_reply(forwarder, &reply, now, 1, 0);
  ok(!summary().settled, "an answer with another nonce is ignored");
  reply.nonce = request.nonce;
  reply.protocol = EXTIP_NATPMP;
  extip_forward_reply(forwarder, &reply, now, 1, 0);
  ok(!summary().settled, "an answer of another protocol is ignored");
  reply.protocol = EXTIP_PCP;
  reply.lifetime = 0;
  extip_forward_reply(forwarder, &reply, now, 1, 0);
  ok(!summary().settled, "a removal does not answer a wish");
  reply.lifetime = LIFETIME;
  reply.inside = 22;
  extip_forward_reply(forwarder, &reply, now, 1, 0);
  ok(!summary().settled, "a port that was not asked for is ignored");
  reply.inside = 21;
  extip_forward_reply(forwarder, &reply, now, 1, 0);
  ok(summary().settled, "the answer is not");
}

int main(void) {
  test_order();
  test_slow_router();
  test_renewal();
  test_jitter();
  test_again();
  test_doubted_slow_router();
  test_protocols();
  test_another_port();
  test_full_table();
  test_close();
  test_hurry();
  test_held();
  test_strays();
  extip_forward_stop(forwarder);
  return done_testing();
}
