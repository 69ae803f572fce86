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
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "printable.h"
#include "status.h"

#define LINE_SIZE   300
#define PACKED_SIZE 900
#define WORD_SIZE   200 /* of one text within a line */

struct out {
  extip_line line;
  void *user;

  char packed[PACKED_SIZE]; /* a line of JSON before it is full */
  size_t packed_len;
};

__attribute__((format(printf, 2, 3))) static void put(
  const struct out *out, const char *fmt, ...) {
  char text[LINE_SIZE];
  va_list args;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  out->line(out->user, text);
}

static const char *show_addr(uint32_t addr, char *buf) {
  struct in_addr in = { .s_addr = addr };

  return addr == INADDR_ANY ? "none"
                            : inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

/* "2026-11-21 03:04:05 (1h 2m ago)" */
static const char *show_time(
  int64_t when, int64_t now, char *buf, size_t bufsz) {
  char date[32];
  time_t seconds = (time_t) when;
  int64_t away = when > now ? when - now : now - when;
  struct tm tm;
  int len;

  if (when == 0 || localtime_r(&seconds, &tm) == NULL) {
    return "never";
  }

  (void) strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
  len = snprintf(buf, bufsz, "%s (%s", date, when > now ? "in " : "");
  if (away >= 3600) {
    len += snprintf(
      buf + len, bufsz - (size_t) len, "%lldh ", (long long) (away / 3600));
  }

  if (away >= 60) {
    len += snprintf(
      buf + len, bufsz - (size_t) len, "%lldm ", (long long) (away / 60 % 60));
  }

  (void) snprintf(buf + len, bufsz - (size_t) len, "%llds%s)",
    (long long) (away % 60), when > now ? "" : " ago");
  return buf;
}

static void put_source(
  const struct out *out, const struct extip_table_source *source, int64_t now) {
  char text[WORD_SIZE], reason[WORD_SIZE], status[sizeof(source->status)];
  char when[64], addr[INET_ADDRSTRLEN];

  extip_printable(text, sizeof(text), source->text, strlen(source->text));
  extip_printable(
    reason, sizeof(reason), source->reason, strlen(source->reason));
  extip_printable(
    status, sizeof(status), source->status, strlen(source->status));
  put(out, "  %-11s %-15s %5u ms  %s", status[0] != '\0' ? status : "not asked",
    show_addr(source->addr, addr), source->latency_ms, text);
  if (reason[0] != '\0') {
    put(out, "              %s", reason);
    put(out, "              last answer %s",
      show_time(source->answered, now, when, sizeof(when)));
  }
}

void extip_status_text(const struct extip_table_answer *answer,
  const struct extip_table_status *status, int64_t now, extip_line line,
  void *user) {
  struct out out = { .line = line, .user = user };
  char key[WORD_SIZE], when[64], addr[INET_ADDRSTRLEN];

  extip_printable(key, sizeof(key), answer->key, strlen(answer->key));
  put(&out, "%s", key);
  put(&out, "  address     %s", show_addr(answer->addr, addr));
  put(&out, "  since       %s",
    show_time(answer->since, now, when, sizeof(when)));
  put(&out, "  confirmed   %s",
    show_time(answer->confirmed, now, when, sizeof(when)));
  put(&out, "  before      %s", show_addr(answer->previous, addr));
  if (status == NULL) {
    return;
  }

  put(&out, "  next round  %s",
    status->began > status->ended
      ? "under way"
      : show_time(status->next, now, when, sizeof(when)));
  extip_printable(key, sizeof(key), status->verdict, strlen(status->verdict));
  put(&out, "  last round  %s", key[0] != '\0' ? key : "none yet");
  put(&out, "  quorum      %u of %u sources", status->quorum,
    status->source_count);
  for (uint32_t i = 0; i < status->source_count; i++) {
    put_source(&out, &status->sources[i], now);
  }
}

/* JSON goes out in lines as long as ftpdctl takes them: it refuses an answer of
 * more than 1,024 lines. */
static void flush(struct out *out) {
  if (out->packed_len > 0) {
    out->line(out->user, out->packed);
  }
  out->packed_len = 0;
}

__attribute__((format(printf, 2, 3))) static void add(
  struct out *out, const char *fmt, ...) {
  char text[LINE_SIZE];
  va_list args;
  size_t len;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  len = strlen(text);
  if (out->packed_len + len >= sizeof(out->packed)) {
    flush(out);
  }

  memcpy(out->packed + out->packed_len, text, len + 1);
  out->packed_len += len;
}

/* A text as JSON, of which only printable ASCII can come here. */
static const char *quote(const char *text, char *buf, size_t bufsz) {
  char clean[WORD_SIZE];
  size_t len = 0;

  extip_printable(clean, sizeof(clean), text, strlen(text));
  for (const char *at = clean; *at != '\0' && len + 3 < bufsz; at++) {
    if (*at == '"' || *at == '\\') {
      buf[len++] = '\\';
    }
    buf[len++] = *at;
  }

  buf[len] = '\0';
  return buf;
}

static const char *json_addr(uint32_t addr, char *buf, size_t bufsz) {
  char dotted[INET_ADDRSTRLEN];

  if (addr == INADDR_ANY) {
    return "null";
  }

  snprintf(buf, bufsz, "\"%s\"", show_addr(addr, dotted));
  return buf;
}

static const char *json_time(int64_t when, char *buf, size_t bufsz) {
  if (when == 0) {
    return "null";
  }

  snprintf(buf, bufsz, "%lld", (long long) when);
  return buf;
}

static void put_json_text(
  struct out *out, const char *name, const char *text, const char *end) {
  char buf[LINE_SIZE - 60];

  add(out, "\"%s\": \"%s\"%s", name, quote(text, buf, sizeof(buf)), end);
}

static void put_json_addr(struct out *out, const char *name, uint32_t addr) {
  char buf[32];

  add(out, "\"%s\": %s,", name, json_addr(addr, buf, sizeof(buf)));
}

static void put_json_time(struct out *out, const char *name, int64_t when) {
  char buf[32];

  add(out, "\"%s\": %s,", name, json_time(when, buf, sizeof(buf)));
}

static void put_json_sources(
  struct out *out, const struct extip_table_status *status) {
  add(out, "\"sources\": [");
  for (uint32_t i = 0; i < status->source_count; i++) {
    const struct extip_table_source *source = &status->sources[i];

    add(out, "{");
    put_json_text(out, "source", source->text, ",");
    put_json_text(out, "status", source->status, ",");
    put_json_text(out, "reason", source->reason, ",");
    put_json_addr(out, "address", source->addr);
    put_json_time(out, "asked", source->asked);
    put_json_time(out, "answered", source->answered);
    add(out, "\"latency_ms\": %u", source->latency_ms);
    add(out, "}%s", i + 1 < status->source_count ? "," : "");
  }
  add(out, "]");
}

void extip_status_json(const struct extip_table_answer *answer,
  const struct extip_table_status *status, int last, extip_line line,
  void *user) {
  static const struct extip_table_status nothing;
  struct out out = { .line = line, .user = user };

  status = status != NULL ? status : &nothing;
  add(&out, "{");
  put_json_text(&out, "server", answer->key, ",");
  put_json_addr(&out, "address", answer->addr);
  put_json_addr(&out, "previous", answer->previous);
  put_json_time(&out, "since", answer->since);
  put_json_time(&out, "confirmed", answer->confirmed);
  put_json_time(&out, "next_round", status->next);
  put_json_time(&out, "round_began", status->began);
  put_json_time(&out, "round_ended", status->ended);
  add(&out, "\"rounds\": %llu,", (unsigned long long) status->rounds);
  add(&out, "\"failures\": %u,", status->failures);
  add(&out, "\"quorum\": %u,", status->quorum);
  add(&out, "\"helper\": %u,", status->helper);
  put_json_text(&out, "verdict", status->verdict, ",");
  put_json_sources(&out, status);
  add(&out, "}%s", last ? "" : ",");
  flush(&out);
}
