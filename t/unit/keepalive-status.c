/*
 * The report of "ftpdctl keepalive status": every line fits, what a session
 * wrote cannot break out of it, and what it costs when 5,000 are there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/network.c"
#include "../../mod_keepalive/metrics.c"
#include "../../mod_keepalive/rule.c"
#include "../../mod_keepalive/status.c"
#include "../../mod_keepalive/table.c"

#include <time.h>
#include <unistd.h>

#define NOW 1000000

static char all[1 << 20];
static size_t lines, longest, control, used;

static void add(void *user, const char *line) {
  size_t len = strlen(line);

  (void) user;
  lines++;
  longest = len > longest ? len : longest;
  for (size_t i = 0; i < len; i++) {
    control += (line[i] < ' ' && line[i] != '\n') || line[i] == 127;
  }
  used += (size_t) snprintf(all + used, sizeof(all) - used, "%s\n", line);
}

enum form { TEXT, JSON, METRICS };

static void report(struct keepalive_table *table, enum form form) {
  struct report out = { add, NULL };

  all[0] = '\0';
  lines = longest = control = used = 0;
  if (form == JSON) {
    keepalive_status_json(table, "mod_keepalive/0.1", add, NULL);

  } else if (form == METRICS) {
    keepalive_metrics(table, "mod_keepalive/0.1", add, NULL);

  } else {
    keepalive_status_text(table, NOW, &out);
  }
}

static void says(const char *words, const char *what) {
  if (!ok(strstr(all, words) != NULL, "%s", what)) {
    printf("# not there: %s\n# but: %.600s\n", words, all);
  }
}

/* The next slot: a session of this process, in transfer or not. */
static struct keepalive_slot *fill(struct keepalive_table *table, bool busy) {
  static const unsigned char client[16] = { [10] = 0xff, [11] = 0xff,
    [12] = 192, [13] = 0, [14] = 2, [15] = 1 };
  struct keepalive_slot *slot =
    keepalive_table_claim(table, keepalive_table_owner(getpid()));

  slot->interval = 60;
  atomic_store(&slot->sent, 2);
  memcpy(slot->client, client, sizeof(client));
  memcpy(slot->command, "RETR", 5);
  memcpy(slot->method, "tcp+tls", 8);
  atomic_store(&slot->began, busy ? NOW - 90 : 0);
  return slot;
}

static void test_empty(void) {
  static struct keepalive_table table;

  keepalive_table_start(&table, 1);
  report(&table, TEXT);
  says("0 of 0 sessions in transfer\n", "an empty table: nobody");
  says("\nsince 1970-01-01 ", "... and since when");
  says("skipped             0\n", "nothing was skipped");
  ok(strstr(all, "idle connections") == NULL,
    "and nothing is said of any path");
  report(&table, JSON);
  says("\"in_transfer\": 0, \"logged_in\": 0, \"sessions\": []",
    "the same as JSON");
  says("\"networks\": []", "nothing is known of any path");
}

static void test_sessions(void) {
  static struct keepalive_table table;
  struct keepalive_slot *slot;
  uint64_t key = keepalive_network_key((const unsigned char *) "\xc0\0\2", 4);

  keepalive_table_start(&table, 1);
  slot = fill(&table, true);
  atomic_store(&slot->skipped[KEEPALIVE_BUSY], 2);
  atomic_store(&slot->skipped[KEEPALIVE_HANDSHAKE], 1);
  (void) fill(&table, false);
  (void) keepalive_network_learn(
    keepalive_network_find(table.network, key, 1), key, 8, 16);
  report(&table, TEXT);
  says("1 of 2 sessions in transfer\n", "one of two sessions");
  says("  192.0.2.1  RETR for 90s  method tcp+tls  interval 60s  sent 2  "
       "skipped 3, a reply was\n"
       "    being written 2, TLS was in a handshake 1\n",
    "with all that is known of it");
  says("  192.0.2.0/24: idle connections are forgotten after more than 8s, at "
       "most 16s\n",
    "and of its network");
  ok(longest <= REPORT_WIDTH, "no line is longer than %d", REPORT_WIDTH);
  report(&table, JSON);
  says("\"skipped\": {\"busy\": 2, \"unread\": 0, \"no_room\": 0, "
       "\"handshake\": 1, \"failed\": 0}",
    "the same as JSON");
  says("{\"network\": \"192.0.2.0/24\", \"survived_s\": 8, "
       "\"forgotten_s\": 16}",
    "also of its network");
  says("\"began\": \"1970-01-12T13:45:10Z\"", "and since when");
  report(&table, METRICS);
  says("proftpd_keepalive_start_timestamp_seconds 1\n", "the same as metrics");
  says("proftpd_keepalive_sessions 2\n", "... sessions");
  says("proftpd_keepalive_transferring_sessions 1\n", "... in transfer");
  says("proftpd_keepalive_network_forgotten_seconds{network=\"192.0.2.0/24\"} "
       "16\n",
    "... networks");
}

/* Each counter has a number of its own. */
static void test_counters(void) {
  static struct keepalive_table table;

  keepalive_table_start(&table, 1);
  atomic_store(&table.transfers, 11);
  atomic_store(&table.sent[KEEPALIVE_TLS], 12);
  atomic_store(&table.sent[KEEPALIVE_REPLY], 13);
  atomic_store(&table.sent[KEEPALIVE_TELNET], 14);
  atomic_store(&table.skipped[KEEPALIVE_UNREAD], 15);
  atomic_store(&table.broken, 16);
  atomic_store(&table.gone, 17);
  atomic_store(&table.forgotten, 18);
  report(&table, TEXT);
  says("\n  transfers           11\n"
       "  sent                tls 12, reply 13, telnet 14\n"
       "  skipped             15",
    "what was sent and skipped");
  says("\n  replies broken off  16\n  clients gone        17\n"
       "  paths that forgot   18\n",
    "... and what went wrong");
  report(&table, JSON);
  says("{\"module\": \"mod_keepalive\", \"version\": \"0.1\", \"since\": "
       "\"1970-01-01T00:00:01Z\"",
    "JSON names the module, and since when it counts");
  says("\"transfers\": 11", "... has the same");
  says("\"sent\": {\"tls\": 12, \"reply\": 13, \"telnet\": 14}",
    "... what was sent");
  says("\"unread\": 15, \"no_room\": 0, \"handshake\": 0, \"failed\": 0}",
    "... what was skipped");
  says("\"broken\": 16", "... replies broken off");
  says("\"gone\": 17", "... clients gone");
  says("\"forgotten\": 18", "... paths that forgot");

  atomic_store(&table.sent[KEEPALIVE_TLS], UINT64_MAX);
  atomic_store(&table.sent[KEEPALIVE_REPLY], UINT64_MAX);
  atomic_store(&table.sent[KEEPALIVE_TELNET], UINT64_MAX);
  atomic_store(&table.skipped[KEEPALIVE_BUSY], 1000000000);
  atomic_store(&table.skipped[KEEPALIVE_HANDSHAKE], 1000000000);
  report(&table, TEXT);
  says("telnet\n                      18446744073709551615\n",
    "what is too long goes on below where it began");
  says("skipped             2000000015, a reply was being written 1000000000, the "
       "client had not\n                      received",
    "... also what was skipped");
}

/* As many networks as are told, and one more; and those at the end. */
static void test_networks(void) {
  static struct keepalive_table table;
  struct keepalive_facts facts;
  char text[KEEPALIVE_NETWORK_TEXT];
  unsigned int i = KEEPALIVE_NETWORKS, told = 0;

  keepalive_table_start(&table, 1);
  for (unsigned int j = 0; j <= MAX_NETWORKS; j++) {
    atomic_store(&table.network[KEEPALIVE_NETWORKS - 1 - j].facts, 0x00080010);
  }
  report(&table, TEXT);
  for (const char *at = all; (at = strstr(at, "at most 16s")) != NULL; at++) {
    told++;
  }
  is_int(told, 100, "of %d networks %d are told", MAX_NETWORKS + 1,
    MAX_NETWORKS);

  ok(!keepalive_status_network(&table, &i, &facts, text) &&
       i == KEEPALIVE_NETWORKS,
    "after the last network there is none");
  i = KEEPALIVE_NETWORKS - 1;
  ok(keepalive_status_network(&table, &i, &facts, text) &&
       i == KEEPALIVE_NETWORKS && facts.forgotten == 16,
    "... which is told as well");
}

static double seconds(void) {
  struct timespec ts;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* A session that was taken over writes what it likes. */
/* A count of slots that is no such count, and what lies behind them. */
static void test_too_many(void) {
  static struct {
    struct keepalive_table table;
    struct keepalive_slot behind;
  } memory;
  unsigned int all = 0;

  keepalive_table_start(&memory.table, 1);
  (void) fill(&memory.table, true);
  atomic_store(&memory.table.used, KEEPALIVE_SLOTS + 1);
  memory.behind = memory.table.slot[0];
  is_int(keepalive_status_sessions(&memory.table, &all), 1,
    "what lies behind the last slot is not counted");
  is_int(all, 1, "... nor looked at");
}

static int count_of(const char *words) {
  int count = 0;

  for (const char *at = all; (at = strstr(at, words)) != NULL; at++) {
    count++;
  }
  return count;
}

static void test_hostile(void) {
  static struct keepalive_table table;
  double least = 1;

  keepalive_table_start(&table, 1);
  for (unsigned int i = 0; i < 5000; i++) {
    struct keepalive_slot *slot = fill(&table, true);

    memset(slot->client, 0xfe, sizeof(slot->client));
    memset(slot->command, '"', sizeof(slot->command));
    memset(slot->method, '\n', sizeof(slot->method));
    slot->interval = UINT32_MAX;
    atomic_store(&slot->sent, UINT32_MAX);
    atomic_store(&slot->began, INT64_MIN / 2);
    for (unsigned int j = 0; j < KEEPALIVE_RESULTS; j++) {
      atomic_store(&slot->skipped[j], UINT32_MAX);
      atomic_store(&table.skipped[j], UINT64_MAX);
    }
  }
  memset(table.network, 0xff, sizeof(table.network));

  for (unsigned int i = 0; i < 5; i++) {
    double before = seconds();

    report(&table, TEXT);
    least = seconds() - before < least ? seconds() - before : least;
  }
  ok(least < 0.02, "a report of 5,000 takes %.1f ms", least * 1000);
  says("5000 of 5000 sessions in transfer\n", "they are counted");
  says("  and 4850 more\n", "the first 150 of them are shown");
  is_int((long long) control, 0, "nothing for a terminal to obey");
  ok(lines < 1000, "ProFTPD takes so many lines: %zu", lines);
  ok(longest <= REPORT_WIDTH, "and people lines that long: %zu", longest);
  report(&table, JSON);
  is_int((long long) control, 0, "JSON has no control characters");
  is_int(count_of("\"command\""), 400, "the first 400 sessions are in it");
  says("\"command\": \"\\\"\\\"", "and quotes only as it takes them");
  ok(lines < 1000 && longest < JSON_LINE_SIZE,
    "in lines that ProFTPD takes: %zu, %zu bytes", lines, longest);
  report(&table, METRICS);
  is_int((long long) control, 0, "metrics have no control characters");
  ok(lines < 1000 && longest < PROMETHEUS_SIZE,
    "and fit as well: %zu answers, %zu bytes", lines, longest);
}

int main(void) {
  test_empty();
  test_sessions();
  test_counters();
  test_networks();
  test_too_many();
  test_hostile();
  return done_testing();
}
