/*
 * mod_keepalive - the table as a report, for people and for machines
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Prints what the sessions wrote into the table, whose texts are not trusted:
 * a session that was taken over could have written anything.  Needs no
 * ProFTPD.
 */

#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_SIZE 300

/* ProFTPD sends fewer than 1,000 lines, and JSON has two for each session. */
#define MAX_SESSIONS 400

struct out {
  keepalive_line line;
  void *user;
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

/* A text field of the table: what JSON and a terminal take as it is. */
static const char *clean(const char *field, size_t field_size, char *text) {
  size_t i;

  for (i = 0; i + 1 < field_size && field[i] != '\0'; i++) {
    char c = field[i];

    text[i] = c > ' ' && c < 127 && c != '"' && c != '\\' ? c : '?';
    if (c == ' ') {
      text[i] = ' ';
    }
  }

  text[i] = '\0';
  return text;
}

#define CLEAN(field, text) clean(field, sizeof(field), text)

static const char *show_time(int64_t when, char *text, size_t size) {
  time_t seconds = (time_t) when;
  struct tm tm;

  if (localtime_r(&seconds, &tm) == NULL ||
      strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
    return "?";
  }

  return text;
}

const char *keepalive_death_print(
  const struct keepalive_death *death, char *text, size_t size) {
  char client[KEEPALIVE_CLIENT_LEN], during[KEEPALIVE_WHEN_LEN];

  CLEAN(death->client, client);
  CLEAN(death->during, during);
  if (death->advice > 0) {
    snprintf(text, size,
      "the path to %s died during %s: no sign of the client "
      "for %us, an idle connection is forgotten within %us (it survived %us): "
      "try KeepaliveRule interval %us",
      client, during, death->silent, death->idle, death->survived,
      death->advice);

  } else {
    snprintf(text, size,
      "the path to %s died during %s: no sign of the client "
      "for %us; it had survived a silence of %us before, so no interval would "
      "have helped",
      client, during, death->silent, death->survived);
  }

  return text;
}

/* "2, TLS was in a handshake 2" */
static void print_skipped(const uint64_t *skipped, char *text, size_t size) {
  uint64_t sum = 0;
  size_t len;
  int i;

  for (i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS; i++) {
    sum += skipped[i];
  }

  len = (size_t) snprintf(text, size, "%llu", (unsigned long long) sum);
  for (i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS; i++) {
    if (skipped[i] != 0 && len < size) {
      len += (size_t) snprintf(text + len, size - len, ", %s %llu",
        keepalive_result_reason((enum keepalive_result) i),
        (unsigned long long) skipped[i]);
    }
  }
}

static void slot_skipped(struct keepalive_slot *slot, uint64_t *skipped) {
  int i;

  for (i = 0; i < KEEPALIVE_RESULTS; i++) {
    skipped[i] = atomic_load(&slot->skipped[i]);
  }
}

static void table_skipped(struct keepalive_table *table, uint64_t *skipped) {
  int i;

  for (i = 0; i < KEEPALIVE_RESULTS; i++) {
    skipped[i] = atomic_load(&table->skipped[i]);
  }
}

/* The sessions in transfer; the first of them into the array. */
static unsigned int find_sessions(
  struct keepalive_table *table, struct keepalive_slot **found) {
  unsigned int i, count = 0;

  for (i = 0; i < KEEPALIVE_SLOTS; i++) {
    if (keepalive_table_in_use(&table->slot[i])) {
      if (count < MAX_SESSIONS) {
        found[count] = &table->slot[i];
      }
      count++;
    }
  }

  return count;
}

static uint64_t sent(struct keepalive_table *table, enum keepalive_method by) {
  return atomic_load(&table->sent[by]);
}

static void put_session(
  const struct out *out, struct keepalive_slot *slot, int64_t now) {
  char client[KEEPALIVE_CLIENT_LEN], command[KEEPALIVE_WHEN_LEN],
    method[KEEPALIVE_WHEN_LEN], skipped[160];
  uint64_t counts[KEEPALIVE_RESULTS];

  slot_skipped(slot, counts);
  print_skipped(counts, skipped, sizeof(skipped));
  put(out, "  %s  %s for %llds  method %s  interval %us  sent %u  skipped %s",
    CLEAN(slot->client, client), CLEAN(slot->command, command),
    (long long) (now - slot->began), CLEAN(slot->method, method),
    slot->interval, atomic_load(&slot->sent), skipped);
}

/* The deaths that are kept, the newest first. */
static unsigned int kept_deaths(
  struct keepalive_table *table, const struct keepalive_death **kept) {
  uint64_t number = atomic_load(&table->deaths);
  unsigned int count = 0;

  while (count < KEEPALIVE_DEATHS && number > 0) {
    number--;
    kept[count++] = &table->death[number % KEEPALIVE_DEATHS];
  }

  return count;
}

/* What the kept deaths of idle paths say together: the longest silence that was
 * survived and the shortest that was not.
 */
static int bounds(
  struct keepalive_table *table, unsigned int *survived, unsigned int *idle) {
  const struct keepalive_death *kept[KEEPALIVE_DEATHS];
  unsigned int i, count = kept_deaths(table, kept);

  *survived = 0;
  *idle = 0;
  for (i = 0; i < count; i++) {
    if (kept[i]->advice > 0 && (*idle == 0 || kept[i]->idle < *idle)) {
      *idle = kept[i]->idle;
    }
  }

  for (i = 0; i < count; i++) {
    if (kept[i]->survived > *survived && kept[i]->survived < *idle) {
      *survived = kept[i]->survived;
    }
  }

  return *idle != 0;
}

void keepalive_status_text(
  struct keepalive_table *table, int64_t now, keepalive_line line, void *user) {
  struct out out = { line, user };
  const struct keepalive_death *kept[KEEPALIVE_DEATHS];
  struct keepalive_slot *found[MAX_SESSIONS];
  uint64_t counts[KEEPALIVE_RESULTS];
  unsigned int i, count, survived, idle;
  char text[LINE_SIZE], when[32];

  count = find_sessions(table, found);
  put(&out, "%u %s in transfer", count, count == 1 ? "session" : "sessions");
  for (i = 0; i < count && i < MAX_SESSIONS; i++) {
    put_session(&out, found[i], now);
  }
  if (count > MAX_SESSIONS) {
    put(&out, "  and %u more", count - MAX_SESSIONS);
  }

  table_skipped(table, counts);
  print_skipped(counts, text, sizeof(text));
  put(&out, "since %s", show_time(table->since, when, sizeof(when)));
  put(&out, "  commands kept alive  %llu",
    (unsigned long long) atomic_load(&table->transfers));
  put(&out, "  sent                 tls %llu, reply %llu, telnet %llu",
    (unsigned long long) sent(table, KEEPALIVE_TLS),
    (unsigned long long) sent(table, KEEPALIVE_REPLY),
    (unsigned long long) sent(table, KEEPALIVE_TELNET));
  put(&out, "  skipped              %s", text);
  put(&out, "  replies broken off   %llu",
    (unsigned long long) atomic_load(&table->broken));
  put(&out, "  paths that died      %llu",
    (unsigned long long) atomic_load(&table->deaths));

  if (bounds(table, &survived, &idle)) {
    put(&out,
      "  idle connections are forgotten after more than %us, at most "
      "%us",
      survived, idle);
  }

  count = kept_deaths(table, kept);
  for (i = 0; i < count; i++) {
    put(&out, "  %s  %s", show_time(kept[i]->when, when, sizeof(when)),
      keepalive_death_print(kept[i], text, sizeof(text)));
  }
}

static void json_skipped(const uint64_t *skipped, char *text, size_t size) {
  static const char *const keys[KEEPALIVE_RESULTS] = {
    [KEEPALIVE_BUSY] = "busy",
    [KEEPALIVE_FULL] = "full",
    [KEEPALIVE_HANDSHAKE] = "handshake",
    [KEEPALIVE_FAILED] = "failed",
  };
  size_t len = 0;
  int i;

  for (i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS && len < size; i++) {
    len += (size_t) snprintf(text + len, size - len, "%s\"%s\": %llu",
      len > 0 ? ", " : "", keys[i], (unsigned long long) skipped[i]);
  }
}

static void json_sessions(
  const struct out *out, struct keepalive_table *table) {
  char client[KEEPALIVE_CLIENT_LEN], command[KEEPALIVE_WHEN_LEN],
    method[KEEPALIVE_WHEN_LEN], skipped[160];
  struct keepalive_slot *found[MAX_SESSIONS];
  uint64_t counts[KEEPALIVE_RESULTS];
  unsigned int i, count = find_sessions(table, found);

  put(out, "\"in_transfer\": %u, \"sessions\": [", count);
  for (i = 0; i < count && i < MAX_SESSIONS; i++) {
    struct keepalive_slot *slot = found[i];

    slot_skipped(slot, counts);
    json_skipped(counts, skipped, sizeof(skipped));
    put(out,
      "%s{\"pid\": %d, \"client\": \"%s\", \"command\": \"%s\", "
      "\"began\": %lld,",
      i > 0 ? "," : "", (int) atomic_load(&slot->pid),
      CLEAN(slot->client, client), CLEAN(slot->command, command),
      (long long) slot->began);
    put(out,
      "\"method\": \"%s\", \"interval\": %u, \"sent\": %u, "
      "\"skipped\": {%s}}",
      CLEAN(slot->method, method), slot->interval, atomic_load(&slot->sent),
      skipped);
  }
  put(out, "],");
}

static void json_deaths(const struct out *out, struct keepalive_table *table) {
  const struct keepalive_death *kept[KEEPALIVE_DEATHS];
  char client[KEEPALIVE_CLIENT_LEN], during[KEEPALIVE_WHEN_LEN];
  unsigned int i, count = kept_deaths(table, kept);

  put(out, "\"deaths\": [");
  for (i = 0; i < count; i++) {
    put(out,
      "%s{\"when\": %lld, \"client\": \"%s\", \"during\": \"%s\", "
      "\"silent\": %u,",
      i > 0 ? "," : "", (long long) kept[i]->when,
      CLEAN(kept[i]->client, client), CLEAN(kept[i]->during, during),
      kept[i]->silent);
    put(out, "\"idle\": %u, \"survived\": %u, \"advice\": %u}", kept[i]->idle,
      kept[i]->survived, kept[i]->advice);
  }
  put(out, "]");
}

void keepalive_status_json(
  struct keepalive_table *table, keepalive_line line, void *user) {
  struct out out = { line, user };
  uint64_t counts[KEEPALIVE_RESULTS];
  unsigned int survived, idle;
  char skipped[160];

  table_skipped(table, counts);
  json_skipped(counts, skipped, sizeof(skipped));

  put(&out, "{");
  put(&out, "\"since\": %lld, \"commands\": %llu,", (long long) table->since,
    (unsigned long long) atomic_load(&table->transfers));
  put(&out, "\"sent\": {\"tls\": %llu, \"reply\": %llu, \"telnet\": %llu},",
    (unsigned long long) sent(table, KEEPALIVE_TLS),
    (unsigned long long) sent(table, KEEPALIVE_REPLY),
    (unsigned long long) sent(table, KEEPALIVE_TELNET));
  put(&out, "\"skipped\": {%s}, \"broken\": %llu, \"died\": %llu,", skipped,
    (unsigned long long) atomic_load(&table->broken),
    (unsigned long long) atomic_load(&table->deaths));
  if (bounds(table, &survived, &idle)) {
    put(
      &out, "\"forgotten\": {\"after\": %u, \"within\": %u},", survived, idle);
  } else {
    put(&out, "\"forgotten\": null,");
  }
  json_sessions(&out, table);
  json_deaths(&out, table);
  put(&out, "}");
}
