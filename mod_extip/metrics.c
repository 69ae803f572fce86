/*
 * mod_extip - the table as metrics for Prometheus
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* All samples of a metric are one block, so the records are gone through once
 * for each. */

#include "metrics.h"
#include "status.h"

#include <arpa/inet.h>

/* Of an answer */

static uint64_t known(const struct extip_record *record, int64_t now) {
  (void) now;
  return record->answer.addr != INADDR_ANY;
}

static uint64_t withdrawn(const struct extip_record *record, int64_t now) {
  return extip_status_withdrawn(record, now) > 0;
}

static uint64_t adopted(const struct extip_record *record, int64_t now) {
  (void) now;
  return (uint64_t) record->answer.since;
}

static uint64_t confirmed(const struct extip_record *record, int64_t now) {
  (void) now;
  return (uint64_t) record->answer.confirmed.wall;
}

static uint64_t next_round(const struct extip_record *record, int64_t now) {
  (void) now;
  return (uint64_t) record->answer.next;
}

static uint64_t rounds(const struct extip_record *record, int64_t now) {
  (void) now;
  return record->status.rounds;
}

static uint64_t failures(const struct extip_record *record, int64_t now) {
  (void) now;
  return record->status.failures;
}

static uint64_t quorum(const struct extip_record *record, int64_t now) {
  (void) now;
  return record->status.quorum;
}

static const struct {
  const char *name, *type, *help;
  uint64_t (*value)(const struct extip_record *record, int64_t now);
} of_answer[] = {
  { "proftpd_extip_address_known", "gauge",
    "1 if an external address is known.", known },
  { "proftpd_extip_address_withdrawn", "gauge",
    "1 if the address is older than ExtIPMaxAge and not announced.",
    withdrawn },
  { "proftpd_extip_address_adopted_timestamp_seconds", "gauge",
    "When the address was adopted, 0 if never, in Unix time.", adopted },
  { "proftpd_extip_address_confirmed_timestamp_seconds", "gauge",
    "When a round last confirmed the address, 0 if never, in Unix time.",
    confirmed },
  { "proftpd_extip_next_round_timestamp_seconds", "gauge",
    "When the next round is due, in Unix time.", next_round },
  { "proftpd_extip_rounds_total", "counter",
    "Rounds in which the sources were asked.", rounds },
  { "proftpd_extip_failed_rounds", "gauge",
    "Rounds in a row that ended without a decision.", failures },
  { "proftpd_extip_quorum_sources", "gauge", "Sources that must agree.",
    quorum },
};

static void add_answers(struct prometheus *out,
  const struct extip_record *records, size_t count, int64_t now) {
  for (size_t m = 0; m < sizeof(of_answer) / sizeof(of_answer[0]); m++) {
    prometheus_metric(
      out, of_answer[m].name, of_answer[m].type, of_answer[m].help);
    for (size_t i = 0; i < count; i++) {
      const struct prometheus_label labels[] = {
        { "server", records[i].answer.label }, { NULL, NULL }
      };

      prometheus_number(out, labels, of_answer[m].value(&records[i], now));
    }
  }
}

static void add_addresses(
  struct prometheus *out, const struct extip_record *records, size_t count) {
  prometheus_metric(out, "proftpd_extip_address_info", "gauge",
    "The external address that is known.");
  for (size_t i = 0; i < count; i++) {
    struct in_addr in = { .s_addr = records[i].answer.addr };
    char addr[INET_ADDRSTRLEN];
    const struct prometheus_label labels[] = {
      { "server", records[i].answer.label },
      { "address", inet_ntop(AF_INET, &in, addr, sizeof(addr)) }, { NULL, NULL }
    };

    if (records[i].answer.addr != INADDR_ANY) {
      prometheus_number(out, labels, 1);
    }
  }
}

/* Of a source */

enum of_source { SOURCE_UP, SOURCE_LATENCY, SOURCE_ANSWERED, OF_SOURCE };

static const struct {
  const char *name, *help;
} of_source[] = {
  [SOURCE_UP] = { "proftpd_extip_source_up",
    "1 if the source answered in the last round." },
  [SOURCE_LATENCY] = { "proftpd_extip_source_latency_seconds",
    "How long the last answer took." },
  [SOURCE_ANSWERED] = { "proftpd_extip_source_answered_timestamp_seconds",
    "When the source last answered, 0 if never, in Unix time." },
};

_Static_assert(sizeof(of_source) / sizeof(of_source[0]) == OF_SOURCE,
  "a name for each metric of a source");

/* Two sources may look alike, for example with credentials that are not shown,
 * so each has its number. */
static void add_source(struct prometheus *out, enum of_source which,
  const char *server, const struct extip_table_source *source,
  unsigned int number) {
  char position[12];
  const struct prometheus_label labels[] = { { "server", server },
    { "source", source->text }, { "position", position }, { NULL, NULL } };

  (void) snprintf(position, sizeof(position), "%u", number);
  switch (which) {
    case SOURCE_LATENCY:
      prometheus_milliseconds(out, labels, source->latency_ms);
      break;
    case SOURCE_ANSWERED:
      prometheus_number(out, labels, (uint64_t) source->answered);
      break;
    default:
      prometheus_number(out, labels, strcmp(source->status, "ok") == 0);
  }
}

static void add_sources(
  struct prometheus *out, const struct extip_record *records, size_t count) {
  for (enum of_source which = 0; which < OF_SOURCE; which++) {
    prometheus_metric(
      out, of_source[which].name, "gauge", of_source[which].help);
    for (size_t i = 0; i < count; i++) {
      for (uint32_t j = 0; j < records[i].status.source_count; j++) {
        add_source(out, which, records[i].answer.label,
          &records[i].status.sources[j], j + 1);
      }
    }
  }
}

void extip_metrics(struct prometheus *out, const char *who, int64_t since,
  const struct extip_record *records, size_t count, int64_t now) {
  static const char *const names[2] = { "proftpd_extip_info",
    "proftpd_extip_start_timestamp_seconds" };

  prometheus_report(out, names, who, since);
  prometheus_metric(
    out, "proftpd_extip_helper_up", "gauge", "1 if there is a helper process.");
  prometheus_number(out, NULL, since != 0);
  add_answers(out, records, count, now);
  add_addresses(out, records, count);
  add_sources(out, records, count);
  prometheus_flush(out);
}
