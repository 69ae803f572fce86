/*
 * common-report.c - what people and Prometheus read: lines are broken at blanks
 * and never too long, and a label cannot break out of its quotation marks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/common_prometheus.h"
#include "../../mod_extip/common_report.h"
#include "tap.h"

#include <stdbool.h>
#include <stdlib.h>

static char said[200000];
static size_t lines, longest;

static void add(void *user, const char *line) {
  size_t len = strlen(line), used = strlen(said);

  (void) user;
  lines++;
  longest = len > longest ? len : longest;
  snprintf(said + used, sizeof(said) - used, "%s\n", line);
}

static const char *put(int indent, const char *text) {
  struct report out = { add, NULL };

  said[0] = '\0';
  lines = longest = 0;
  report_put(&out, indent, "%s", text);
  return said;
}

#define TEN    "123456789 "
#define NINETY TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void test_lines(void) {
  char text[1000];

  is_str(put(2, ""), "\n", "an empty line");
  is_str(put(2, NINETY "1"), NINETY "1\n", "a line that is full");
  is_str(put(2, NINETY "12"),
    "123456789 123456789 123456789 123456789 "
    "123456789 123456789 123456789 123456789 123456789\n  12\n",
    "one more goes on in the next line, at a blank");
  is_str(put(4, "   " NINETY "12"),
    "   123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
    "123456789\n    123456789 12\n",
    "... behind as many blanks as asked for");
  memset(text, 'x', 200);
  text[200] = '\0';
  (void) put(3, text);
  is_int(lines, 3, "a word that is longer than a line is broken");
  is_int(longest, REPORT_WIDTH, "... where the line is full");
  memset(text, 'x', sizeof(text) - 1);
  text[sizeof(text) - 1] = '\0';
  (void) put(80, text);
  ok(longest <= REPORT_WIDTH, "what is much too long is cut");
}

static void test_times(void) {
  static const struct {
    int64_t when, now;
    const char *shown;
  } cases[] = {
    { 0, 5, "never" },
    { 86400, 86400, "1970-01-02 00:00:00 (0s ago)" },
    { 86400, 86459, "1970-01-02 00:00:00 (59s ago)" },
    { 86400, 86460, "1970-01-02 00:00:00 (1m 0s ago)" },
    { 86400, 86400 + 7325, "1970-01-02 00:00:00 (2h 2m 5s ago)" },
    { 86465, 86400, "1970-01-02 00:01:05 (in 1m 5s)" },
    { INT64_MAX, 0, "never" },
  };
  char text[REPORT_TIME_SIZE];

  setenv("TZ", "UTC", 1);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    is_str(report_time(cases[i].when, cases[i].now, text), cases[i].shown,
      "%lld, seen at %lld", (long long) cases[i].when,
      (long long) cases[i].now);
  }
}

static void test_metrics(void) {
  const struct prometheus_label labels[] = { { "a", "q\" b\\ n\n e\xff" },
    { "b", "" }, { NULL, NULL } };
  struct prometheus out = { .line = add };

  said[0] = '\0';
  prometheus_metric(&out, "m_seconds", "gauge", "Help.");
  prometheus_milliseconds(&out, labels, 12045);
  prometheus_number(&out, NULL, UINT64_MAX);
  prometheus_flush(&out);
  is_str(said,
    "# HELP m_seconds Help.\n# TYPE m_seconds gauge\n"
    "m_seconds{a=\"q\\\" b\\\\ n? e?\",b=\"\"} 12.045\n"
    "m_seconds 18446744073709551615\n",
    "a metric with its samples");
}

/* What is longest, as often as all rows have it. */
static void test_many(void) {
  static char value[2000];
  const struct prometheus_label labels[] = { { "a", value }, { "b", value },
    { "c", value }, { NULL, NULL } };
  struct prometheus out = { .line = add };
  bool whole = true;

  memset(value, '\\', sizeof(value) - 1);
  said[0] = '\0';
  lines = longest = 0;
  prometheus_metric(&out, "m", "gauge", "Help.");
  for (unsigned int i = 0; i < 100; i++) {
    prometheus_number(&out, labels, i);
  }
  prometheus_flush(&out);
  ok(longest < 1000, "a sample with long labels fits: %zu", longest);
  for (char *at = strstr(said, "m{"); at != NULL; at = strstr(at + 1, "\nm{")) {
    char *end = strchr(at + 1, '\n');

    whole = whole && end != NULL && strncmp(strchr(at, '}'), "} ", 2) == 0;
  }
  ok(whole, "... and is whole");

  value[20] = '\0';
  said[0] = '\0';
  lines = 0;
  for (unsigned int i = 0; i < 1000; i++) {
    prometheus_number(&out, labels, i);
  }
  prometheus_flush(&out);
  ok(lines > 100 && lines < 300, "several samples share an answer: %zu", lines);
}

int main(void) {
  test_lines();
  test_times();
  test_metrics();
  test_many();
  return done_testing();
}
