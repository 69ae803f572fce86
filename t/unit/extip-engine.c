/* How often clients of mod_extip can have the sources asked, whatever these
 * say. */

#define extip_now real_now
#include "../../mod_extip/clock.c"
#undef extip_now

int64_t extip_now(void);

#include "../../mod_extip/engine.c"
#include "../../mod_extip/schedule.c"
#include "../../mod_extip/special.c"
#include "../../mod_extip/vote.c"
#include "tap.h"

#define HOUR 3600000

static int64_t now = HOUR;
static const char *said; /* by both sources; NULL: they fail */
static unsigned int rounds;
static struct extip_source source[] = { { .key = "a", .text = "a" },
  { .key = "b", .text = "b" } };

int64_t extip_now(void) {
  return now;
}

void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  (void) loudness;
  (void) fmt;
}

const char *extip_status_name(enum extip_status status) {
  return status == EXTIP_OK ? "ok" : "timeout";
}

void extip_loop_ask(struct extip_loop *loop, struct extip_query *query) {
  (void) loop;
  rounds += query->source == &source[0];
  query->answer.status = said != NULL ? EXTIP_OK : EXTIP_TIMEOUT;
  query->answer.addr.s_addr = said != NULL ? inet_addr(said) : INADDR_ANY;
  query->on_settled(query);
}

static void publish_nothing(
  size_t record, const struct extip_record *whole, bool changed, void *user) {
  (void) record;
  (void) whole;
  (void) changed;
  (void) user;
}

/* An hour in which a client doubts this address every second. */
static unsigned int hour_of_doubts(
  struct extip_engine *engine, const char *address) {
  struct in_addr addr = { inet_addr(address) };

  rounds = 0;
  for (int64_t end = now + HOUR; now < end; now += 1000) {
    extip_engine_doubt(engine, 0, addr);
    (void) extip_engine_turn(engine);
  }
  return rounds;
}

int main(void) {
  struct extip_source *sources[] = { &source[0], &source[1] };
  struct extip_discovery discovery = { .label = "test",
    .sources = sources,
    .source_count = 2,
    .refresh = 86400,
    .retry = 86400,
    .ca_file = "" };
  struct extip_task task = { .discoveries = &discovery, .count = 1 };
  struct extip_record known = { .answer.addr = inet_addr("9.9.9.9") };
  struct extip_engine *engine =
    extip_engine_start(&task, NULL, &known, publish_nothing, NULL);
  unsigned int confirmed, failed;

  said = "9.9.9.9";
  confirmed = hour_of_doubts(engine, "9.9.9.9");
  ok(confirmed < 12, "each round confirms the address: %u in an hour",
    confirmed);

  engine->trackers[0].doubt_gap = EXTIP_EARLY_GAP;
  said = NULL;
  failed = hour_of_doubts(engine, "9.9.9.9");
  ok(failed < 12, "each ends without a decision: %u in an hour", failed);

  said = "8.8.8.8";
  now += 2 * HOUR;
  rounds = 0;
  extip_engine_doubt(engine, 0, (struct in_addr){ inet_addr("9.9.9.9") });
  (void) extip_engine_turn(engine);
  is_int((long long) engine->trackers[0].record.answer.addr,
    (long long) inet_addr("8.8.8.8"),
    "a doubt that was right: another address");
  is_int(engine->trackers[0].doubt_gap, EXTIP_EARLY_GAP,
    "... and the next one counts after ten seconds");

  extip_engine_free(engine);
  return done_testing();
}
