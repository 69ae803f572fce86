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

/* Prints what sessions wrote into the table. It is not trusted, because a
 * compromised session could have written anything. Needs no ProFTPD. */

#include "status.h"

#include <string.h>
#include <arpa/inet.h>

/* ProFTPD sends fewer than 1,000 lines. A session takes up to four of them as
 * text, a network two. */
#define MAX_SESSIONS      400
#define MAX_TEXT_SESSIONS 150
#define MAX_NETWORKS      100

/* What a line of text says of it. */
static const char *const reasons[] = {
  [KEEPALIVE_SENT] = "sent",
  [KEEPALIVE_BUSY] = "a reply was being written",
  [KEEPALIVE_UNREAD] = "the client had not received the last bytes",
  [KEEPALIVE_NO_ROOM] = "the client's window had no room",
  [KEEPALIVE_HANDSHAKE] = "TLS was in a handshake",
  [KEEPALIVE_FAILED] = "the write failed",
};

_Static_assert(sizeof(reasons) / sizeof(reasons[0]) == KEEPALIVE_RESULTS,
  "a reason for each result");

static const char *const names[] = {
  [KEEPALIVE_SENT] = "sent",
  [KEEPALIVE_BUSY] = "busy",
  [KEEPALIVE_UNREAD] = "unread",
  [KEEPALIVE_NO_ROOM] = "no_room",
  [KEEPALIVE_HANDSHAKE] = "handshake",
  [KEEPALIVE_FAILED] = "failed",
};

_Static_assert(sizeof(names) / sizeof(names[0]) == KEEPALIVE_RESULTS,
  "a name for each result");

const char *keepalive_status_result(enum keepalive_result result) {
  return names[result];
}

/* A word of a slot: what a terminal takes as it is. */
static const char *word(const char *from, char text[KEEPALIVE_COMMAND_LEN]) {
  size_t len = 0;

  for (; len < KEEPALIVE_COMMAND_LEN - 1 && from[len] != '\0'; len++) {
    text[len] = from[len] > ' ' && from[len] < 127 ? from[len] : '?';
  }
  text[len] = '\0';
  return text;
}

static const char *client(
  const struct keepalive_slot *slot, char text[INET6_ADDRSTRLEN]) {
  static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
  bool ipv4 = memcmp(slot->client, mapped, sizeof(mapped)) == 0;

  return inet_ntop(ipv4 ? AF_INET : AF_INET6,
    slot->client + (ipv4 ? sizeof(mapped) : 0), text, INET6_ADDRSTRLEN);
}

/* How many sessions are in transfer, the first of them if FOUND is not NULL,
 * and how many there are. */
static unsigned int find_sessions(struct keepalive_table *table,
  struct keepalive_slot **found, unsigned int *all) {
  unsigned int count = 0, used = atomic_load(&table->used);

  *all = 0;
  for (unsigned int i = 0; i < used && i < KEEPALIVE_SLOTS; i++) {
    struct keepalive_slot *slot = &table->slot[i];

    if (keepalive_table_in_use(table, slot)) {
      (*all)++;
      if (atomic_load(&slot->began) != 0 && count++ < MAX_SESSIONS &&
          found != NULL) {
        found[count - 1] = slot;
      }
    }
  }

  return count;
}

unsigned int keepalive_status_sessions(
  struct keepalive_table *table, unsigned int *all) {
  return find_sessions(table, NULL, all);
}

/* "2, TLS was in a handshake 2" */
static const char *print_skipped(
  const _Atomic uint64_t *skipped, char *text, size_t size) {
  uint64_t sum = 0;
  size_t len;

  for (unsigned int i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS; i++) {
    sum += atomic_load(&skipped[i]);
  }

  len = (size_t) snprintf(text, size, "%llu", (unsigned long long) sum);
  for (unsigned int i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS; i++) {
    uint64_t count = atomic_load(&skipped[i]);

    if (count != 0 && len < size) {
      len += (size_t) snprintf(text + len, size - len, ", %s %llu", reasons[i],
        (unsigned long long) count);
    }
  }

  return text;
}

static void put_sessions(
  const struct report *out, struct keepalive_table *table, int64_t now) {
  char skipped[160], address[INET6_ADDRSTRLEN], command[KEEPALIVE_COMMAND_LEN],
    method[KEEPALIVE_COMMAND_LEN];
  struct keepalive_slot *found[MAX_SESSIONS];
  unsigned int all, count = find_sessions(table, found, &all);

  report_put(out, 0, "%u of %u %s in transfer", count, all,
    all == 1 ? "session" : "sessions");
  for (unsigned int i = 0; i < count && i < MAX_TEXT_SESSIONS; i++) {
    report_put(out, 4,
      "  %s  %s for %llds  method %s  interval %us  sent %u  skipped %s",
      client(found[i], address), word(found[i]->command, command),
      (long long) (now - atomic_load(&found[i]->began)),
      word(found[i]->method, method), found[i]->interval,
      atomic_load(&found[i]->sent),
      print_skipped(found[i]->skipped, skipped, sizeof(skipped)));
  }

  if (count > MAX_TEXT_SESSIONS) {
    report_put(out, 0, "  and %u more", count - MAX_TEXT_SESSIONS);
  }
}

bool keepalive_status_network(struct keepalive_table *table, unsigned int *i,
  struct keepalive_facts *facts, char text[KEEPALIVE_NETWORK_TEXT]) {
  while (*i < KEEPALIVE_NETWORKS) {
    const struct keepalive_network *network = &table->network[(*i)++];

    *facts = keepalive_network_facts(network);
    if (facts->forgotten != 0) {
      keepalive_network_print(atomic_load(&network->key), text);
      return true;
    }
  }

  return false;
}

static void put_networks(
  const struct report *out, struct keepalive_table *table) {
  char text[KEEPALIVE_NETWORK_TEXT];
  struct keepalive_facts facts;

  for (unsigned int i = 0, count = 0; count < MAX_NETWORKS; count++) {
    if (!keepalive_status_network(table, &i, &facts, text)) {
      return;
    }
    report_put(out, 4,
      "  %s: idle connections are forgotten after more than %us, at most %us",
      text, facts.survived, facts.forgotten);
  }
}

static uint64_t sent(struct keepalive_table *table, enum keepalive_method by) {
  return atomic_load(&table->sent[by]);
}

static void put_count(
  const struct report *out, const char *what, uint64_t count) {
  report_put(out, 22, "  %-20s%llu", what, (unsigned long long) count);
}

void keepalive_status_text(
  struct keepalive_table *table, int64_t now, const struct report *out) {
  char text[160], when[REPORT_TIME_SIZE];

  put_sessions(out, table, now);
  report_put(
    out, 0, "since %s", report_time(atomic_load(&table->since), now, when));
  put_count(out, "transfers", atomic_load(&table->transfers));
  report_put(out, 22, "  sent                tls %llu, reply %llu, telnet %llu",
    (unsigned long long) sent(table, KEEPALIVE_TLS),
    (unsigned long long) sent(table, KEEPALIVE_REPLY),
    (unsigned long long) sent(table, KEEPALIVE_TELNET));
  report_put(out, 22, "  skipped             %s",
    print_skipped(table->skipped, text, sizeof(text)));
  put_count(out, "replies broken off", atomic_load(&table->broken));
  put_count(out, "clients gone", atomic_load(&table->gone));
  put_count(out, "paths that forgot", atomic_load(&table->forgotten));
  put_networks(out, table);
}

static void json_skipped(struct json *json, const _Atomic uint64_t *skipped) {
  json_open(json, "skipped", '{');
  for (unsigned int i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS; i++) {
    json_number(json, names[i], (int64_t) skipped[i]);
  }
  json_close(json, '}');
}

static void json_sessions(struct json *json, struct keepalive_table *table) {
  char address[INET6_ADDRSTRLEN], text[KEEPALIVE_COMMAND_LEN];
  struct keepalive_slot *found[MAX_SESSIONS];
  unsigned int all, count = find_sessions(table, found, &all);

  json_number(json, "in_transfer", count);
  json_number(json, "logged_in", all);
  json_open(json, "sessions", '[');
  for (unsigned int i = 0; i < count && i < MAX_SESSIONS; i++) {
    json_open(json, NULL, '{');
    json_number(json, "pid", (int64_t) (atomic_load(&found[i]->owner) >> 32));
    json_text(json, "client", client(found[i], address));
    json_text(json, "command", word(found[i]->command, text));
    json_time(json, "began", atomic_load(&found[i]->began));
    json_text(json, "method", word(found[i]->method, text));
    json_number(json, "interval_s", found[i]->interval);
    json_number(json, "sent", atomic_load(&found[i]->sent));
    json_skipped(json, found[i]->skipped);
    json_close(json, '}');
  }
  json_close(json, ']');
}

static void json_networks(struct json *json, struct keepalive_table *table) {
  char text[KEEPALIVE_NETWORK_TEXT];
  struct keepalive_facts facts;
  unsigned int i = 0;

  json_open(json, "networks", '[');
  while (keepalive_status_network(table, &i, &facts, text)) {
    json_open(json, NULL, '{');
    json_text(json, "network", text);
    json_number(json, "survived_s", facts.survived);
    json_number(json, "forgotten_s", facts.forgotten);
    json_close(json, '}');
  }
  json_close(json, ']');
}

void keepalive_status_json(
  struct keepalive_table *table, const char *who, json_line line, void *user) {
  struct json json = { .line = line, .user = user };

  json_report(&json, who, atomic_load(&table->since));
  json_number(&json, "transfers", (int64_t) atomic_load(&table->transfers));
  json_open(&json, "sent", '{');
  json_number(&json, "tls", (int64_t) sent(table, KEEPALIVE_TLS));
  json_number(&json, "reply", (int64_t) sent(table, KEEPALIVE_REPLY));
  json_number(&json, "telnet", (int64_t) sent(table, KEEPALIVE_TELNET));
  json_close(&json, '}');
  json_skipped(&json, table->skipped);
  json_number(&json, "broken", (int64_t) atomic_load(&table->broken));
  json_number(&json, "gone", (int64_t) atomic_load(&table->gone));
  json_number(&json, "forgotten", (int64_t) atomic_load(&table->forgotten));
  json_networks(&json, table);
  json_sessions(&json, table);
  json_report_end(&json);
}
