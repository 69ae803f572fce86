/*
 * mod_extip - the table as a report, for people and for machines
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <string.h>

#include "printable.h"
#include "status.h"

#define WORD_SIZE 200 /* of one text within a line */

/* What goes on in the next line begins below the values. */
#define INDENT 14

static const char *show_addr(uint32_t addr, char *buf) {
  struct in_addr in = { .s_addr = addr };

  return addr == INADDR_ANY ? "none"
                            : inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

static void put_source(const struct report *out,
  const struct extip_table_source *source, int64_t now) {
  char text[WORD_SIZE], reason[WORD_SIZE], status[sizeof(source->status)];
  char when[REPORT_TIME_SIZE], addr[INET_ADDRSTRLEN];

  extip_printable(text, sizeof(text), source->text, strlen(source->text));
  extip_printable(
    reason, sizeof(reason), source->reason, strlen(source->reason));
  extip_printable(
    status, sizeof(status), source->status, strlen(source->status));
  report_put(out, 2 * INDENT, "  %-11s %-15s %5u ms  %s",
    status[0] != '\0' ? status : "not asked", show_addr(source->addr, addr),
    source->latency_ms, text);
  if (reason[0] != '\0') {
    report_put(out, INDENT, "%*s%s", INDENT, "", reason);
    report_put(out, INDENT, "%*slast answer %s", INDENT, "",
      report_time(source->answered, now, when));
  }
}

int64_t extip_status_withdrawn(const struct extip_record *whole, int64_t now) {
  int64_t age = now - whole->answer.confirmed.wall;

  return whole->answer.addr != INADDR_ANY && whole->status.max_age > 0 &&
             age > whole->status.max_age
           ? age
           : 0;
}

void extip_status_text(
  const struct extip_record *whole, int64_t now, const struct report *out) {
  const struct extip_table_answer *answer = &whole->answer;
  const struct extip_table_status *status = &whole->status;
  char key[WORD_SIZE], when[REPORT_TIME_SIZE], addr[INET_ADDRSTRLEN];
  int64_t withdrawn = extip_status_withdrawn(whole, now);

  extip_printable(key, sizeof(key), answer->label, strlen(answer->label));
  report_put(out, INDENT, "%s", key);
  if (withdrawn > 0) {
    report_put(out, INDENT,
      "  address     %s, withdrawn: not confirmed for %lld s (ExtIPMaxAge %u s)",
      show_addr(answer->addr, addr), (long long) withdrawn, status->max_age);
  } else {
    report_put(out, INDENT, "  address     %s", show_addr(answer->addr, addr));
  }
  report_put(
    out, INDENT, "  since       %s", report_time(answer->since, now, when));
  report_put(out, INDENT, "  confirmed   %s",
    report_time(answer->confirmed.wall, now, when));
  report_put(
    out, INDENT, "  before      %s", show_addr(answer->previous, addr));
  report_put(out, INDENT, "  next round  %s",
    status->helper == 0             ? "none: there is no helper process"
    : status->began > status->ended ? "under way"
                                    : report_time(answer->next, now, when));
  extip_printable(key, sizeof(key), status->verdict, strlen(status->verdict));
  report_put(
    out, INDENT, "  last round  %s", key[0] != '\0' ? key : "none yet");
  report_put(out, INDENT, "  quorum      %u of %u sources", status->quorum,
    status->source_count);
  for (uint32_t i = 0; i < status->source_count; i++) {
    put_source(out, &status->sources[i], now);
  }
}

static void put_json_addr(struct json *json, const char *key, uint32_t addr) {
  char text[INET_ADDRSTRLEN];

  if (addr == INADDR_ANY) {
    json_null(json, key);
  } else {
    json_text(json, key, show_addr(addr, text));
  }
}

static void put_json_source(
  struct json *json, const struct extip_table_source *source) {
  json_open(json, NULL, '{');
  json_text(json, "source", source->text);
  json_text(json, "status", source->status);
  json_text(json, "reason", source->reason);
  put_json_addr(json, "address", source->addr);
  json_time(json, "asked", source->asked);
  json_time(json, "answered", source->answered);
  json_milliseconds(json, "latency_s", source->latency_ms);
  json_close(json, '}');
}

void extip_status_json(
  const struct extip_record *whole, int64_t now, struct json *json) {
  const struct extip_table_answer *answer = &whole->answer;
  const struct extip_table_status *status = &whole->status;
  json_open(json, NULL, '{');
  json_text(json, "server", answer->label);
  put_json_addr(json, "address", answer->addr);
  put_json_addr(json, "previous", answer->previous);
  json_time(json, "since", answer->since);
  json_time(json, "confirmed", answer->confirmed.wall);
  json_bool(json, "withdrawn", extip_status_withdrawn(whole, now) > 0);
  json_time(json, "next_round", answer->next);
  json_time(json, "round_began", status->began);
  json_time(json, "round_ended", status->ended);
  json_number(json, "rounds", (int64_t) status->rounds);
  json_number(json, "failures", status->failures);
  json_number(json, "quorum", status->quorum);
  json_text(json, "verdict", status->verdict);
  json_open(json, "sources", '[');
  for (uint32_t i = 0; i < status->source_count; i++) {
    put_json_source(json, &status->sources[i]);
  }
  json_close(json, ']');
  json_close(json, '}');
}
