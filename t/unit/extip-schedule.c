/* When mod_extip's next round is due: after success, after failures, early. */

#include "../../mod_extip/schedule.c"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 30 days, the longest that a directive takes. */
#define LONGEST (30LL * 24 * 3600 * 1000)

/* The least and the most of what 1,024 kinds of chance make of one call. */
static void spread(
  void (*call)(struct extip_schedule *, int64_t, uint32_t),
  const struct extip_schedule *from, int64_t *least, int64_t *most) {
  *least = INT64_MAX;
  *most = INT64_MIN;
  for (uint32_t random = 0; random < 1024; random++) {
    struct extip_schedule schedule = *from;
    int64_t now = 1000000;

    call(&schedule, now, random);
    *least = schedule.due - now < *least ? schedule.due - now : *least;
    *most = schedule.due - now > *most ? schedule.due - now : *most;
  }
}

static void test_jitter(void) {
  static const int64_t spans[] = { 1000, 2000, 300000, LONGEST };

  for (size_t i = 0; i < COUNT(spans); i++) {
    struct extip_schedule schedule = { .refresh = spans[i], .retry = spans[i] };
    long long span = spans[i];
    int64_t least, most;

    spread(extip_schedule_decided, &schedule, &least, &most);
    is_int(most, span, "%lld ms after a decision at most", span);
    ok(least > span - span / 10, "... less than a tenth sooner");
    ok(least < span - span / 11, "... but nearly");
    spread(extip_schedule_failed, &schedule, &least, &most);
    is_int(most, span, "%lld ms after a failure at most", span);
    ok(least > span - span / 5, "... less than a fifth sooner");
    ok(least < span - span / 6, "... but nearly");
  }

  struct extip_schedule a = { .refresh = 300000 }, b = a;

  extip_schedule_decided(&a, 0, 7);
  extip_schedule_decided(&b, 0, 7 + (5U << 10));
  is_int(a.due, b.due, "all bits of chance but ten are of no account");
  extip_schedule_decided(&a, 0, UINT32_MAX);
  ok(a.due > 270000, "the greatest number of chance is one like others");
}

static void test_retries(void) {
  static const struct {
    int64_t refresh, retry;
    int64_t steps[9]; /* seconds */
  } cases[] = {
    { 300, 5, { 5, 10, 20, 40, 80, 160, 300, 300, 300 } },
    { 300, 300, { 300, 300, 300, 300, 300, 300, 300, 300, 300 } },
    { 8, 1, { 1, 2, 4, 8, 8, 8, 8, 8, 8 } },
    { 7, 1, { 1, 2, 4, 7, 7, 7, 7, 7, 7 } },
    { 1, 1, { 1, 1, 1, 1, 1, 1, 1, 1, 1 } },
    { LONGEST / 1000, 1, { 1, 2, 4, 8, 16, 32, 64, 128, 256 } },
  };

  for (size_t i = 0; i < COUNT(cases); i++) {
    struct extip_schedule schedule = { .refresh = cases[i].refresh * 1000,
      .retry = cases[i].retry * 1000 };
    int64_t now = 5;

    for (size_t j = 0; j < COUNT(cases[i].steps); j++) {
      extip_schedule_failed(&schedule, now, 0);
      is_int(schedule.due - now, cases[i].steps[j] * 1000,
        "refresh %lld s, first retry %lld s: wait %zu",
        (long long) cases[i].refresh, (long long) cases[i].retry, j + 1);
      now = schedule.due;
    }
    is_int(schedule.failures, COUNT(cases[i].steps), "all are counted");

    extip_schedule_decided(&schedule, now, 0);
    is_int(schedule.failures, 0, "a decision ends the count");
    extip_schedule_failed(&schedule, now, 0);
    is_int(schedule.due - now, cases[i].retry * 1000, "... and the waiting");
  }
}

/* The count may come from a table that another process left behind. */
static void test_many_failures(void) {
  static const unsigned int counts[] = { 31, 32, 63, 64, 65, 1000000, UINT32_MAX };

  for (size_t i = 0; i < COUNT(counts); i++) {
    struct extip_schedule schedule = { .refresh = LONGEST,
      .retry = 1000,
      .failures = counts[i] };

    extip_schedule_failed(&schedule, 0, 0);
    is_int(schedule.due, LONGEST, "never later than a decision after %u",
      counts[i]);
  }
}

static void test_early(void) {
  struct extip_early early = { .wanted = false };

  ok(!extip_early_take(&early, INT64_MAX), "nothing is granted unasked");

  extip_early_request(&early, 1000, 250, EXTIP_EARLY_GAP, false);
  ok(!extip_early_take(&early, 1249), "a request with a delay has to wait");
  extip_early_request(&early, 1100, 500, EXTIP_EARLY_GAP, false);
  is_int(early.due, 1250, "another does not put it off");
  extip_early_request(&early, 1100, 0, EXTIP_EARLY_GAP, false);
  is_int(early.due, 1100, "... but can move it forward");
  ok(extip_early_take(&early, 1100), "then it is granted");
  ok(!extip_early_take(&early, 1100), "... once");

  extip_early_request(&early, 1200, 0, EXTIP_EARLY_GAP, false);
  is_int(early.due, 1100 + EXTIP_EARLY_GAP, "the next waits for the gap");
  ok(!extip_early_take(&early, 1099 + EXTIP_EARLY_GAP), "... all of it");
  ok(extip_early_take(&early, 1100 + EXTIP_EARLY_GAP), "... and no longer");

  extip_early_request(&early, 1100 + 3 * EXTIP_EARLY_GAP, 0, EXTIP_EARLY_GAP, false);
  ok(extip_early_take(&early, 1100 + 3 * EXTIP_EARLY_GAP),
    "after the gap one is granted at once");

  extip_early_request(&early, 1101 + 3 * EXTIP_EARLY_GAP, EXTIP_EARLY_GAP, EXTIP_EARLY_GAP, false);
  is_int(early.due, 1101 + 4 * EXTIP_EARLY_GAP,
    "a delay that is longer than the gap counts");

  /* A request per second for an hour. */
  int granted = 0;

  memset(&early, 0, sizeof(early));
  for (int64_t now = 0; now < 3600 * 1000; now += 1000) {
    extip_early_request(&early, now, 0, EXTIP_EARLY_GAP, false);
    granted += extip_early_take(&early, now);
  }
  is_int(granted, 3600 * 1000 / EXTIP_EARLY_GAP,
    "whoever asks all the time is granted one per gap");
}

/* A client a second that could not connect, and a round that says each time that
 * the address is the right one. */
static void test_doubt(void) {
  struct extip_early early = { .wanted = false };
  int64_t gap = EXTIP_EARLY_GAP, refresh = 300 * 1000;
  int granted = 0;

  for (int64_t now = 0; now < 600 * 1000; now += 1000) {
    extip_early_request(&early, now, 0, gap, true);
    if (extip_early_take(&early, now)) {
      ok(early.doubt, "a round because of clients, at %lld s",
        (long long) now / 1000);
      extip_early_refuted(&gap, refresh);
      granted++;
    }
  }

  is_int(granted, 5, "they are refuted five times in ten minutes");
  is_int(gap, refresh, "... and then as often as without them");
  for (int i = 0; i < 100; i++) {
    extip_early_refuted(&gap, refresh);
  }
  is_int(gap, refresh, "... however often that is");

  memset(&early, 0, sizeof(early));
  early.granted = true;
  extip_early_request(&early, 0, 0, refresh, true);
  extip_early_request(&early, 0, 0, EXTIP_EARLY_GAP, false);
  is_int(early.due, EXTIP_EARLY_GAP, "the operator does not wait for them");
  ok(!early.doubt, "... and is the reason then");
}

int main(void) {
  test_doubt();
  test_jitter();
  test_retries();
  test_many_failures();
  test_early();
  return done_testing();
}
