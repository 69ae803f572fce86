/*
 * ftpdctl extip status: the lines for people, for machines and for Prometheus.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>
#include <stdlib.h>

#include "../../mod_extip/metrics.c"
#include "../../mod_extip/printable.c"
#include "../../mod_extip/status.c"
#include "tap.h"

static char printed[16 * 1024];

static void keep(void *user, const char *line) {
  size_t used = strlen(printed);

  (void) user;
  snprintf(printed + used, sizeof(printed) - used, "%s\n", line);
}

/* 1,700,000,000 is 2023-11-14 22:13:20 UTC. */
#define NOW 1700000000

static struct extip_record well = {
  .answer = { .label = "main\x1b (192.0.2.1:21)",
    .addr = 0x07090909,
    .previous = 0x08090909,
    .since = NOW - 86400,
    .next = NOW + 240,
    .confirmed = { .wall = NOW - 60 } },
  .status = { .began = NOW - 61,
    .ended = NOW - 60,
    .rounds = 17,
    .failures = 3,
    .quorum = 2,
    .helper = 4711,
    .source_count = 3,
    .verdict = "2 of 3 agree\n",
    .sources = { { .text = "stun:a.example",
                   .asked = NOW - 61,
                   .answered = NOW - 60,
                   .addr = 0x07090909,
                   .latency_ms = 12,
                   .status = "ok" },
      { .text = "https://b.example/\t",
        .reason = "timed out\r",
        .asked = NOW - 61,
        .answered = NOW - 3725,
        .addr = 0x08090909,
        .latency_ms = 1007,
        .status = "timeout\x7f" },
      { .text = "dns:c.example" } } },
};

static const struct extip_record new = { .answer = { .label = "new" } };

static const char *text_of(const struct extip_record *whole) {
  const struct report out = { keep, NULL };

  printed[0] = '\0';
  extip_status_text(whole, NOW, &out);
  return printed;
}

static const char *json_of(const struct extip_record *whole) {
  struct json json = { .line = keep };

  printed[0] = '\0';
  json_report(&json, "mod_extip/0.1", 0);
  json_open(&json, "answers", '[');
  extip_status_json(whole, NOW, &json);
  json_close(&json, ']');
  json_report_end(&json);
  return printed;
}

/* The last line that begins with this. */
static const char *line_of(const char *text, const char *begin) {
  static char line[256];
  const char *at = NULL;

  for (const char *next = strstr(text, begin); next != NULL;
       next = strstr(at + 1, begin)) {
    at = next;
  }
  snprintf(line, sizeof(line), "%.*s", at != NULL ? (int) strcspn(at, "\n") : 0,
    at != NULL ? at : "");
  return line;
}

static void test_text(void) {
  struct extip_record late = well;

  is_str(text_of(&well),
    "main? (192.0.2.1:21)\n"
    "  address     9.9.9.7\n"
    "  since       2023-11-13 22:13:20 (24h 0m 0s ago)\n"
    "  confirmed   2023-11-14 22:12:20 (1m 0s ago)\n"
    "  before      9.9.9.8\n"
    "  next round  2023-11-14 22:17:20 (in 4m 0s)\n"
    "  last round  2 of 3 agree?\n"
    "  quorum      2 of 3 sources\n"
    "  ok          9.9.9.7            12 ms  stun:a.example\n"
    "  timeout?    9.9.9.8          1007 ms  https://b.example/?\n"
    "              timed out?\n"
    "              last answer 2023-11-14 21:11:15 (1h 2m 5s ago)\n"
    "  not asked   none                0 ms  dns:c.example\n",
    "a line for each");
  is_str(text_of(&new),
    "new\n"
    "  address     none\n"
    "  since       never\n"
    "  confirmed   never\n"
    "  before      none\n"
    "  next round  none: there is no helper process\n"
    "  last round  none yet\n"
    "  quorum      0 of 0 sources\n",
    "nothing is known yet");

  late.status.max_age = 60;
  is_str(line_of(text_of(&late), "  address"), "  address     9.9.9.7",
    "as old as ExtIPMaxAge");
  late.status.max_age = 59;
  is_str(line_of(text_of(&late), "  address"),
    "  address     9.9.9.7, withdrawn: not confirmed for 60 s (ExtIPMaxAge 59 s)",
    "older");
  late.status.began = NOW;
  is_str(line_of(text_of(&late), "  next round"), "  next round  under way",
    "a round is under way");
  late.status.helper = 0;
  is_str(line_of(text_of(&late), "  next round"),
    "  next round  none: there is no helper process", "no helper");
}

static void test_withdrawn(void) {
  struct extip_record late = well;

  is_int(extip_status_withdrawn(&late, NOW), 0, "no ExtIPMaxAge");
  late.status.max_age = 1;
  is_int(extip_status_withdrawn(&late, NOW), 60, "withdrawn for its age");
  late.answer.addr = INADDR_ANY;
  is_int(extip_status_withdrawn(&late, NOW), 0, "no address");
}

static void test_json(void) {
  struct extip_record late = well;

  is_str(json_of(&well),
    "{\"module\": \"mod_extip\", \"version\": \"0.1\", \"since\": null, \"answers\": ["
    "{\"server\": \"main\\u001b (192.0.2.1:21)\", \"address\": \"9.9.9.7\", "
    "\"previous\": \"9.9.9.8\", \"since\": \"2023-11-13T22:13:20Z\", \"confirmed\": \"2023-11-14T22:12:20Z\", \"withdrawn\": false, "
    "\"next_round\": \"2023-11-14T22:17:20Z\", \"round_began\": \"2023-11-14T22:12:19Z\", \"round_ended\": \"2023-11-14T22:12:20Z\", \"rounds\": 17, "
    "\"failures\": 3, \"quorum\": 2, "
    "\"verdict\": \"2 of 3 agree\\u000a\", "
    "\"sources\": ["
    "{\"source\": \"stun:a.example\", "
    "\"status\": \"ok\", \"reason\": \"\", \"address\": \"9.9.9.7\", "
    "\"asked\": \"2023-11-14T22:12:19Z\", \"answered\": \"2023-11-14T22:12:20Z\", \"latency_s\": 0.012}, "
    "{\"source\": \"https://b.example/\\u0009\", "
    "\"status\": \"timeout\\u007f\", \"reason\": \"timed out\\u000d\", \"address\": \"9.9.9.8\", "
    "\"asked\": \"2023-11-14T22:12:19Z\", \"answered\": \"2023-11-14T21:11:15Z\", \"latency_s\": 1.007}, "
    "{\"source\": \"dns:c.example\", "
    "\"status\": \"\", \"reason\": \"\", \"address\": null, "
    "\"asked\": null, \"answered\": null, \"latency_s\": 0.000}]}]}\n",
    "JSON");
  late.status.max_age = 59;
  ok(strstr(json_of(&late), "\"withdrawn\": true") != NULL,
    "... of an address that is withdrawn");
  is_str(json_of(&new),
    "{\"module\": \"mod_extip\", \"version\": \"0.1\", \"since\": null, \"answers\": ["
    "{\"server\": \"new\", \"address\": null, "
    "\"previous\": null, \"since\": null, \"confirmed\": null, \"withdrawn\": false, "
    "\"next_round\": null, \"round_began\": null, \"round_ended\": null, \"rounds\": 0, "
    "\"failures\": 0, \"quorum\": 0, "
    "\"verdict\": \"\", "
    "\"sources\": []}]}\n",
    "... and of none");
}

static void test_metrics(void) {
  struct prometheus out = { .line = keep };
  struct extip_record both[2] = { well, new };

  both[0].status.max_age = 59;
  printed[0] = '\0';
  extip_metrics(&out, "mod_extip/0.1", NOW - 600, both, 2, NOW);
  is_str(printed,
    "# HELP proftpd_extip_info The version of the module.\n"
    "# TYPE proftpd_extip_info gauge\n"
    "proftpd_extip_info{version=\"0.1\"} 1\n"
    "# HELP proftpd_extip_start_timestamp_seconds Since when the counters count, in Unix time.\n"
    "# TYPE proftpd_extip_start_timestamp_seconds gauge\n"
    "proftpd_extip_start_timestamp_seconds 1699999400\n"
    "# HELP proftpd_extip_helper_up 1 if there is a helper process.\n"
    "# TYPE proftpd_extip_helper_up gauge\n"
    "proftpd_extip_helper_up 1\n"
    "# HELP proftpd_extip_address_known 1 if an external address is known.\n"
    "# TYPE proftpd_extip_address_known gauge\n"
    "proftpd_extip_address_known{server=\"main? (192.0.2.1:21)\"} 1\n"
    "proftpd_extip_address_known{server=\"new\"} 0\n"
    "# HELP proftpd_extip_address_withdrawn 1 if the address is older than ExtIPMaxAge and not announced.\n"
    "# TYPE proftpd_extip_address_withdrawn gauge\n"
    "proftpd_extip_address_withdrawn{server=\"main? (192.0.2.1:21)\"} 1\n"
    "proftpd_extip_address_withdrawn{server=\"new\"} 0\n"
    "# HELP proftpd_extip_address_adopted_timestamp_seconds When the address was adopted, 0 if never, in Unix time.\n"
    "# TYPE proftpd_extip_address_adopted_timestamp_seconds gauge\n"
    "proftpd_extip_address_adopted_timestamp_seconds{server=\"main? (192.0.2.1:21)\"} 1699913600\n"
    "proftpd_extip_address_adopted_timestamp_seconds{server=\"new\"} 0\n"
    "# HELP proftpd_extip_address_confirmed_timestamp_seconds When a round last confirmed the address, 0 if never, in Unix time.\n"
    "# TYPE proftpd_extip_address_confirmed_timestamp_seconds gauge\n"
    "proftpd_extip_address_confirmed_timestamp_seconds{server=\"main? (192.0.2.1:21)\"} 1699999940\n"
    "proftpd_extip_address_confirmed_timestamp_seconds{server=\"new\"} 0\n"
    "# HELP proftpd_extip_next_round_timestamp_seconds When the next round is due, in Unix time.\n"
    "# TYPE proftpd_extip_next_round_timestamp_seconds gauge\n"
    "proftpd_extip_next_round_timestamp_seconds{server=\"main? (192.0.2.1:21)\"} 1700000240\n"
    "proftpd_extip_next_round_timestamp_seconds{server=\"new\"} 0\n"
    "# HELP proftpd_extip_rounds_total Rounds in which the sources were asked.\n"
    "# TYPE proftpd_extip_rounds_total counter\n"
    "proftpd_extip_rounds_total{server=\"main? (192.0.2.1:21)\"} 17\n"
    "proftpd_extip_rounds_total{server=\"new\"} 0\n"
    "# HELP proftpd_extip_failed_rounds Rounds in a row that ended without a decision.\n"
    "# TYPE proftpd_extip_failed_rounds gauge\n"
    "proftpd_extip_failed_rounds{server=\"main? (192.0.2.1:21)\"} 3\n"
    "proftpd_extip_failed_rounds{server=\"new\"} 0\n"
    "# HELP proftpd_extip_quorum_sources Sources that must agree.\n"
    "# TYPE proftpd_extip_quorum_sources gauge\n"
    "proftpd_extip_quorum_sources{server=\"main? (192.0.2.1:21)\"} 2\n"
    "proftpd_extip_quorum_sources{server=\"new\"} 0\n"
    "# HELP proftpd_extip_address_info The external address that is known.\n"
    "# TYPE proftpd_extip_address_info gauge\n"
    "proftpd_extip_address_info{server=\"main? (192.0.2.1:21)\",address=\"9.9.9.7\"} 1\n"
    "# HELP proftpd_extip_source_up 1 if the source answered in the last round.\n"
    "# TYPE proftpd_extip_source_up gauge\n"
    "proftpd_extip_source_up{server=\"main? (192.0.2.1:21)\",source=\"stun:a.example\",position=\"1\"} 1\n"
    "proftpd_extip_source_up{server=\"main? (192.0.2.1:21)\",source=\"https://b.example/?\",position=\"2\"} 0\n"
    "proftpd_extip_source_up{server=\"main? (192.0.2.1:21)\",source=\"dns:c.example\",position=\"3\"} 0\n"
    "# HELP proftpd_extip_source_latency_seconds How long the last answer took.\n"
    "# TYPE proftpd_extip_source_latency_seconds gauge\n"
    "proftpd_extip_source_latency_seconds{server=\"main? (192.0.2.1:21)\",source=\"stun:a.example\",position=\"1\"} 0.012\n"
    "proftpd_extip_source_latency_seconds{server=\"main? (192.0.2.1:21)\",source=\"https://b.example/?\",position=\"2\"} 1.007\n"
    "proftpd_extip_source_latency_seconds{server=\"main? (192.0.2.1:21)\",source=\"dns:c.example\",position=\"3\"} 0.000\n"
    "# HELP proftpd_extip_source_answered_timestamp_seconds When the source last answered, 0 if never, in Unix time.\n"
    "# TYPE proftpd_extip_source_answered_timestamp_seconds gauge\n"
    "proftpd_extip_source_answered_timestamp_seconds{server=\"main? (192.0.2.1:21)\",source=\"stun:a.example\",position=\"1\"} 1699999940\n"
    "proftpd_extip_source_answered_timestamp_seconds{server=\"main? (192.0.2.1:21)\",source=\"https://b.example/?\",position=\"2\"} 1699996275\n"
    "proftpd_extip_source_answered_timestamp_seconds{server=\"main? (192.0.2.1:21)\",source=\"dns:c.example\",position=\"3\"} 0\n",
    "metrics");

  printed[0] = '\0';
  extip_metrics(&out, "mod_extip/0.1", 0, both, 0, NOW);
  is_str(line_of(printed, "proftpd_extip_helper_up "),
    "proftpd_extip_helper_up 0", "metrics without a helper");
}

int main(void) {
  setenv("TZ", "UTC", 1);
  test_text();
  test_withdrawn();
  test_json();
  test_metrics();
  return done_testing();
}
