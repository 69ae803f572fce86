/*
 * The report of "ftpdctl keepalive status": every line fits, what a session
 * wrote cannot break out of it, and what the deaths say together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/method.c"
#include "../../mod_keepalive/status.c"
#include "../../mod_keepalive/table.c"

#define NOW 1000000

static char all[1 << 20];
static size_t lines, longest, control;

static void add(void *user, const char *line) {
  size_t len = strlen(line), used = strlen(all), i;

  (void) user;
  lines++;
  longest = len > longest ? len : longest;
  for (i = 0; i < len; i++) {
    control += line[i] < ' ' || line[i] == 127;
  }
  snprintf(all + used, sizeof(all) - used, "%s\n", line);
}

static void report(struct keepalive_table *table, int json) {
  all[0] = '\0';
  lines = longest = control = 0;
  if (json) {
    keepalive_status_json(table, add, NULL);

  } else {
    keepalive_status_text(table, NOW, add, NULL);
  }
}

static void says(const char *words, const char *what) {
  if (!ok(strstr(all, words) != NULL, "%s", what)) {
    printf("# not there: %s\n", words);
  }
}

static void fill(struct keepalive_slot *slot) {
  atomic_store(&slot->pid, (int32_t) getpid());
  slot->interval = 60;
  slot->began = NOW - 90;
  atomic_store(&slot->sent, 2);
  memcpy(slot->client, "192.0.2.1", 10);
  memcpy(slot->command, "RETR", 5);
  memcpy(slot->method, "tcp+tls", 8);
}

static void test_empty(void) {
  static struct keepalive_table table;

  report(&table, 0);
  says("0 sessions in transfer\n", "an empty table: nobody");
  says("skipped              0\n", "nothing was skipped");
  ok(strstr(all, "forgotten") == NULL, "and nothing is said of the path");
  report(&table, 1);
  says("\"in_transfer\": 0, \"sessions\": [\n],", "the same as JSON");
  says("\"forgotten\": null", "nothing is known of the path");
}

static void test_sessions(void) {
  static struct keepalive_table table;
  unsigned int i;

  fill(&table.slot[3]);
  atomic_store(&table.slot[3].skipped[KEEPALIVE_BUSY], 2);
  atomic_store(&table.slot[3].skipped[KEEPALIVE_HANDSHAKE], 1);
  report(&table, 0);
  says("1 session in transfer\n", "one session is one session");
  says("  192.0.2.1  RETR for 90s  method tcp+tls  interval 60s  sent 2  "
       "skipped 3, a reply was being written 2, TLS was in a handshake 1\n",
    "with all that is known of it");
  report(&table, 1);
  says("\"skipped\": {\"busy\": 2, \"full\": 0, \"handshake\": 1, \"failed\": 0}",
    "the same as JSON");

  for (i = 0; i < KEEPALIVE_SLOTS; i++) {
    fill(&table.slot[i]);
    memset(table.slot[i].client, 'f', sizeof(table.slot[i].client));
    memset(table.slot[i].command, 'C', sizeof(table.slot[i].command));
    memset(table.slot[i].method, 'm', sizeof(table.slot[i].method));
    atomic_store(&table.slot[i].sent, UINT32_MAX);
    table.slot[i].began = INT64_MIN / 2;
    atomic_store(&table.slot[i].skipped[KEEPALIVE_BUSY], UINT32_MAX);
    atomic_store(&table.slot[i].skipped[KEEPALIVE_FULL], UINT32_MAX);
    atomic_store(&table.slot[i].skipped[KEEPALIVE_HANDSHAKE], UINT32_MAX);
    atomic_store(&table.slot[i].skipped[KEEPALIVE_FAILED], UINT32_MAX);
  }
  report(&table, 0);
  says("1024 sessions in transfer\n", "a full table is counted");
  says("  and 624 more\n", "the first 400 of it are shown");
  ok(lines < 1000, "ProFTPD takes so many lines: %zu", lines);
  ok(longest < 300, "and lines that long: %zu", longest);
  report(&table, 1);
  ok(lines < 1000 && longest < 300, "as JSON as well: %zu lines, %zu bytes",
    lines, longest);
}

/* A session that was taken over writes what it likes. */
static void test_hostile(void) {
  static struct keepalive_table table;
  const struct keepalive_death evil = {
    .when = INT64_MAX,
    .silent = UINT32_MAX,
    .idle = UINT32_MAX,
    .survived = UINT32_MAX,
    .advice = UINT32_MAX,
  };
  size_t i;

  memset(&table, 0xff, sizeof(table));
  for (i = 0; i < KEEPALIVE_SLOTS; i++) {
    atomic_store(&table.slot[i].pid, 0);
  }
  fill(&table.slot[0]);
  memcpy(table.slot[0].client, "\",\r\n\033[2J\\", 10);
  for (i = 0; i < KEEPALIVE_DEATHS; i++) {
    table.death[i] = evil;
    memset(table.death[i].client, '"', sizeof(table.death[i].client));
    memset(table.death[i].during, '\n', sizeof(table.death[i].during));
  }

  report(&table, 0);
  is_int((long long) control, 0, "nothing for a terminal to obey");
  says("?,???[2J?", "what was there is a question mark");
  ok(longest < 300, "no line is too long: %zu", longest);
  report(&table, 1);
  is_int((long long) control, 0, "JSON has no control characters");
  says("\"client\": \"?,???[2J?\"", "and no quotes of others");
  ok(longest < 300, "no line is too long: %zu", longest);
}

static void test_bounds(void) {
  static const struct {
    const char *what;
    unsigned int death[4][3]; /* idle, survived, advice */
    unsigned int survived, idle; /* idle 0: nothing can be said */
  } cases[] = {
    { "a client that vanished", { { 10, 10, 0 } }, 0, 0 },
    { "one path that forgets", { { 60, 30, 24 } }, 30, 60 },
    { "two: the narrower bounds", { { 60, 20, 16 }, { 45, 30, 24 } }, 30, 45 },
    { "a path that survived more than another does not count",
      { { 60, 20, 16 }, { 600, 300, 240 } }, 20, 60 },
    { "a client that vanished after a silence that says something",
      { { 60, 20, 16 }, { 50, 50, 0 } }, 50, 60 },
  };
  size_t i, j;

  for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    static struct keepalive_table table;
    struct keepalive_death death = { 0 };
    unsigned int survived, idle;
    int known;

    memset(&table, 0, sizeof(table));
    for (j = 0; j < 4 && cases[i].death[j][0] > 0; j++) {
      death.idle = cases[i].death[j][0];
      death.survived = cases[i].death[j][1];
      death.advice = cases[i].death[j][2];
      keepalive_table_bury(&table, &death);
    }
    known = bounds(&table, &survived, &idle);
    is_int(known, cases[i].idle != 0, "%s", cases[i].what);
    is_int(idle, cases[i].idle, "... forgotten within %u", cases[i].idle);
    if (known) {
      is_int(survived, cases[i].survived, "... not after %u",
        cases[i].survived);
    }
  }
}

int main(void) {
  test_empty();
  test_sessions();
  test_hostile();
  test_bounds();
  return done_testing();
}
