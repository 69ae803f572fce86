/*
 * mod_natpasv - counts events for each pool and class
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "count.h"
#include "futex.h"

#include <ctype.h>
#include <sched.h>
#include <string.h>

/* In used of a row. */
#define EMPTY  0
#define MAKING 1
#define USED   2

/* How often it is looked whether a row has been made: about a millisecond. */
#define MAKING_YIELDS 1000

/* Replaces what would need quoting on a terminal or in JSON. */
static void copy_name(char *to, size_t size, const char *from) {
  memset(to, 0, size);
  for (size_t i = 0; i + 1 < size && from[i] != '\0'; i++) {
    to[i] =
      isgraph((unsigned char) from[i]) && from[i] != '"' && from[i] != '\\'
        ? from[i]
        : '?';
  }
}

struct natpasv_row *natpasv_count_row(
  struct natpasv_table *table, uint64_t ports, const char *class) {
  char name[NATPASV_CLASS_MAX + 1];
  uint64_t hash;

  copy_name(name, sizeof(name), class);
  hash = natpasv_hash(NATPASV_HASH ^ ports, name, sizeof(name));

  /* The hash determines where the search begins, so two sessions that create
   * the same row at the same time meet at the same place, where one waits for
   * the other. A session that was killed while it created a row leaves a gap.
   */
  for (unsigned int i = 0; i < NATPASV_ROWS; i++) {
    struct natpasv_row *row = &table->map->row[(hash + i) % NATPASV_ROWS];
    uint32_t used = EMPTY;
    bool made = atomic_compare_exchange_strong(&row->used, &used, MAKING);

    for (int n = 0; used == MAKING && n < MAKING_YIELDS; n++) {
      (void) sched_yield();
      used = atomic_load(&row->used);
    }

    if (made) {
      row->ports = ports;
      memcpy(row->class, name, sizeof(name));
      atomic_store(&row->used, USED);
      return row;
    }

    if (used == USED && row->ports == ports &&
        memcmp(row->class, name, sizeof(name)) == 0) {
      return row;
    }
  }
  return NULL;
}

void natpasv_count(struct natpasv_row *row, enum natpasv_counter which) {
  natpasv_count_more(row, which, 1);
}

void natpasv_count_more(
  struct natpasv_row *row, enum natpasv_counter which, unsigned int more) {
  if (row != NULL && more > 0) {
    (void) atomic_fetch_add(&row->count[which], more);
  }
}

void natpasv_count_peak(struct natpasv_row *row, unsigned long leased) {
  unsigned long peak = row != NULL ? atomic_load(&row->peak) : leased;

  while (
    peak < leased && !atomic_compare_exchange_weak(&row->peak, &peak, leased)) {
  }
}

bool natpasv_count_say(
  struct natpasv_row *row, enum natpasv_saying which, unsigned int every_ms) {
  static _Atomic unsigned long alone[NATPASV_SAYINGS];
  _Atomic unsigned long *said =
    row != NULL ? &row->said_s[which] : &alone[which];
  unsigned long now = (unsigned long) (natpasv_now_ms() / 1000) + 1,
                last = atomic_load(said);

  return (last == 0 || now - last >= every_ms / 1000) &&
         atomic_compare_exchange_strong(said, &last, now);
}

int natpasv_count_get(const struct natpasv_table *table, unsigned int i,
  struct natpasv_counts *counts) {
  struct natpasv_row *row = &table->map->row[i];
  char class[NATPASV_CLASS_MAX + 1];

  if (atomic_load(&row->used) != USED) {
    return -1;
  }

  memcpy(class, row->class, sizeof(class));
  class[NATPASV_CLASS_MAX] = '\0';
  copy_name(counts->class, sizeof(counts->class), class);
  counts->ports = row->ports;
  counts->peak = atomic_load(&row->peak);
  for (unsigned int j = 0; j < NATPASV_COUNTERS; j++) {
    counts->count[j] = atomic_load(&row->count[j]);
  }
  return 0;
}
