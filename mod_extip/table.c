/*
 * mod_extip - the table: the known addresses, for all processes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <stdatomic.h>
#include <string.h>

#include "table.h"

/* A reader that is overtaken by the writer this often gives up. */
#define READ_TRIES 100

#define TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

static bool read_part(
  const struct extip_table *table, size_t record, void *part, size_t size) {
  const _Atomic uint64_t *count = &table->writes[record];

  for (int i = 0; i < READ_TRIES; i++) {
    uint64_t writes = atomic_load_explicit(count, memory_order_acquire);

    if (writes == 0) {
      memset(part, 0, size);
      return true;
    }

    /* The answer is the first part of a record. */
    memcpy(part, &table->copies[record][writes % 2], size);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(count, memory_order_relaxed) == writes) {
      return true;
    }
  }

  memset(part, 0, size);
  return false;
}

_Static_assert(
  offsetof(struct extip_record, answer) == 0, "read_part() takes it for that");

bool extip_table_read(const struct extip_table *table, size_t record,
  struct extip_table_answer *answer) {
  return read_part(table, record, answer, sizeof(*answer));
}

bool extip_table_read_all(
  const struct extip_table *table, size_t record, struct extip_record *whole) {
  return read_part(table, record, whole, sizeof(*whole));
}

void extip_table_write(
  struct extip_table *table, size_t record, const struct extip_record *whole) {
  _Atomic uint64_t *count = &table->writes[record];
  uint64_t writes = atomic_load_explicit(count, memory_order_relaxed) + 1;

  table->copies[record][writes % 2] = *whole;
  atomic_store_explicit(count, writes, memory_order_release);
}

static void end_with_nul(char *text, size_t size) {
  text[size - 1] = '\0';
}

static void keep_in_range(int64_t *when) {
  if (*when < 0 || *when > TIME_MAX) {
    *when = 0;
  }
}

void extip_answer_make_safe(struct extip_table_answer *answer) {
  end_with_nul(answer->label, sizeof(answer->label));
  keep_in_range(&answer->since);
  keep_in_range(&answer->confirmed.wall);
  keep_in_range(&answer->next);
}

size_t extip_record_size(const struct extip_record *whole) {
  return offsetof(struct extip_record, status.sources) +
         whole->status.source_count * sizeof(whole->status.sources[0]);
}

bool extip_record_complete(struct extip_record *whole, size_t size) {
  if (size < offsetof(struct extip_record, status.sources) ||
      whole->status.source_count > EXTIP_TABLE_SOURCES ||
      size != extip_record_size(whole)) {
    return false;
  }

  memset((char *) whole + size, 0, sizeof(*whole) - size);
  return true;
}

void extip_record_make_safe(
  struct extip_record *whole, const struct extip_table_answer *before) {
  struct extip_table_answer *answer = &whole->answer;
  struct extip_table_status *status = &whole->status;

  memcpy(answer->label, before->label, sizeof(answer->label));
  memcpy(answer->servers, before->servers, sizeof(answer->servers));
  answer->asked = before->asked;
  extip_answer_make_safe(answer);
  keep_in_range(&status->began);
  keep_in_range(&status->ended);
  keep_in_range(&status->early);
  end_with_nul(status->verdict, sizeof(status->verdict));
  if (status->source_count > EXTIP_TABLE_SOURCES) {
    status->source_count = EXTIP_TABLE_SOURCES;
  }

  for (size_t i = 0; i < EXTIP_TABLE_SOURCES; i++) {
    struct extip_table_source *source = &status->sources[i];

    end_with_nul(source->text, sizeof(source->text));
    end_with_nul(source->reason, sizeof(source->reason));
    end_with_nul(source->status, sizeof(source->status));
    keep_in_range(&source->asked);
    keep_in_range(&source->answered);
  }
}

/* FNV-1a */
uint64_t extip_table_id(const void *data, size_t len) {
  const unsigned char *byte = data;
  uint64_t sum = UINT64_C(0xcbf29ce484222325);

  for (size_t i = 0; i < len; i++) {
    sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
  }

  return sum != 0 ? sum : 1;
}

unsigned int extip_table_score(
  const struct extip_table_answer *answer, uint64_t asked, uint64_t server) {
  bool has_server = false;

  for (size_t i = 0; i < EXTIP_TABLE_SERVERS && server != 0; i++) {
    has_server |= answer->servers[i] == server;
  }

  return answer->asked == 0 ? 0 : (answer->asked == asked) * 2U + has_server;
}

#define BEST_SCORE 3

int extip_table_find(const struct extip_table *table, int record,
  uint64_t asked, uint64_t server) {
  struct extip_table_answer answer;
  unsigned int best = 0;
  int found = -1;

  if (record >= 0 && extip_table_read(table, (size_t) record, &answer) &&
      extip_table_score(&answer, asked, server) == BEST_SCORE) {
    return record;
  }

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    unsigned int score = 0;

    if (extip_table_read(table, i, &answer)) {
      score = extip_table_score(&answer, asked, server);
    }

    if (score > best) {
      best = score;
      found = (int) i;
    }
  }

  return found;
}

/* Claiming records, on the basis of the former ones. */
struct claims {
  struct extip_table_answer before[EXTIP_TABLE_ANSWERS];
  bool taken[EXTIP_TABLE_ANSWERS];
};

static unsigned int score_of_owner(const struct extip_table_answer *answer,
  const struct extip_table_answer *owner) {
  unsigned int best = extip_table_score(answer, owner->asked, 0);

  for (size_t i = 0; i < EXTIP_TABLE_SERVERS && owner->servers[i] != 0; i++) {
    unsigned int score =
      extip_table_score(answer, owner->asked, owner->servers[i]);

    best = score > best ? score : best;
  }

  return best;
}

/* The record that fits OWNER with exactly this SCORE, or -1. */
static int find_scored(const struct claims *claims,
  const struct extip_table_answer *owner, unsigned int score, bool also_taken) {
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if ((also_taken || !claims->taken[i]) &&
        score_of_owner(&claims->before[i], owner) == score) {
      return (int) i;
    }
  }

  return -1;
}

/* A free record, or else the one that was confirmed longest ago. */
static size_t find_room(const struct claims *claims) {
  size_t oldest = EXTIP_TABLE_ANSWERS;

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (claims->taken[i]) {
      continue;
    }

    if (claims->before[i].asked == 0) {
      return i;
    }

    if (oldest == EXTIP_TABLE_ANSWERS ||
        claims->before[i].confirmed.wall <
          claims->before[oldest].confirmed.wall) {
      oldest = i;
    }
  }

  return oldest;
}

/* Gives the record to OWNER, with the addresses and times of DONOR (NULL:
 * none). */
static void hand_over(struct extip_table *table, struct claims *claims,
  size_t record, const struct extip_table_answer *donor,
  const struct extip_table_answer *owner) {
  struct extip_record whole;

  claims->taken[record] = true;
  (void) extip_table_read_all(table, record, &whole);
  if (donor != &claims->before[record]) {
    memset(&whole, 0, sizeof(whole));
  }

  if (donor != NULL) {
    whole.answer = *donor;

  } else {
    memset(&whole.answer, 0, sizeof(whole.answer));
    whole.answer.bind = owner->bind;
  }

  memcpy(whole.answer.label, owner->label, sizeof(owner->label));
  memcpy(whole.answer.servers, owner->servers, sizeof(owner->servers));
  whole.answer.asked = owner->asked;
  extip_table_write(table, record, &whole);
}

/* Two records have become one, and sessions must find that one. */
static void drop_merged(struct extip_table *table, const struct claims *claims,
  const struct extip_table_answer *owner) {
  static const struct extip_record nothing;

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (!claims->taken[i] &&
        score_of_owner(&claims->before[i], owner) == BEST_SCORE) {
      extip_table_write(table, i, &nothing);
    }
  }
}

void extip_table_claim(struct extip_table *table,
  const struct extip_table_answer *owners, size_t count, size_t *records) {
  struct claims claims = { .taken = { false } };

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    (void) extip_table_read(table, i, &claims.before[i]);
  }

  for (size_t i = 0; i < count; i++) {
    records[i] = EXTIP_TABLE_ANSWERS;
  }

  for (unsigned int score = BEST_SCORE; score > 0; score--) {
    for (size_t i = 0; i < count; i++) {
      int found = records[i] < EXTIP_TABLE_ANSWERS
                    ? -1
                    : find_scored(&claims, &owners[i], score, false);

      if (found >= 0) {
        records[i] = (size_t) found;
        hand_over(
          table, &claims, records[i], &claims.before[found], &owners[i]);
      }
    }
  }

  /* A server that was split off keeps the known address. */
  for (size_t i = 0; i < count; i++) {
    int donor = -1;

    if (records[i] < EXTIP_TABLE_ANSWERS) {
      continue;
    }

    for (unsigned int score = BEST_SCORE; score > 0 && donor < 0; score--) {
      donor = find_scored(&claims, &owners[i], score, true);
    }

    records[i] = find_room(&claims);
    hand_over(table, &claims, records[i],
      donor >= 0 ? &claims.before[donor] : NULL, &owners[i]);
  }

  for (size_t i = 0; i < count; i++) {
    drop_merged(table, &claims, &owners[i]);
  }
}
