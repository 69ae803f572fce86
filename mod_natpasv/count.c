/*
 * mod_natpasv - what happened, for each pool and class
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "count.h"

#include <ctype.h>
#include <string.h>

static uint64_t key_of(const char *pool, const char *class) {
  uint64_t key = natpasv_hash(NATPASV_HASH, pool, strlen(pool) + 1);

  key = natpasv_hash(key, class, strlen(class));
  return key != 0 ? key : 1;
}

/* Nothing that would need quoting on a terminal or in JSON. */
static void copy_name(char *to, size_t size, const char *from) {
  size_t i;

  memset(to, 0, size);
  for (i = 0; i + 1 < size && from[i] != '\0'; i++) {
    to[i] =
      isgraph((unsigned char) from[i]) && from[i] != '"' && from[i] != '\\'
        ? from[i]
        : '?';
  }
}

/* Whether the names are those of the key: not while a row is being made, nor
 * after damage. */
static int is_sound(const struct natpasv_row *row, uint64_t key) {
  return memchr(row->pool, '\0', sizeof(row->pool)) != NULL &&
         memchr(row->class, '\0', sizeof(row->class)) != NULL &&
         key_of(row->pool, row->class) == key;
}

static void make_row(
  struct natpasv_row *row, const struct natpasv_counts *names) {
  unsigned i;

  for (i = 0; i < NATPASV_COUNTERS; i++) {
    atomic_store(&row->count[i], 0);
  }
  atomic_store(&row->peak, 0);
  memcpy(row->pool, names->pool, sizeof(row->pool));
  memcpy(row->class, names->class, sizeof(row->class));
}

struct natpasv_row *natpasv_count_row(
  struct natpasv_table *table, const char *pool, const char *class) {
  struct natpasv_counts names;
  uint64_t key;
  unsigned i;

  copy_name(names.pool, sizeof(names.pool), pool);
  copy_name(names.class, sizeof(names.class), class);
  key = key_of(names.pool, names.class);

  /* Which row: the hash says where to begin, so that two sessions that make
   * the same row at the same time meet at the same place. */
  for (i = 0; i < NATPASV_ROWS; i++) {
    struct natpasv_row *row = &table->map->row[(key + i) % NATPASV_ROWS];
    uint64_t its = atomic_load(&row->key);

    if (its == key) {
      return row;
    }

    if ((its == 0 || !is_sound(row, its)) &&
        atomic_compare_exchange_strong(&row->key, &its, key)) {
      make_row(row, &names);
      return row;
    }

    if (its == key) {
      return row;
    }
  }

  return NULL;
}

void natpasv_count(struct natpasv_row *row, enum natpasv_counter which) {
  if (row != NULL) {
    (void) atomic_fetch_add(&row->count[which], 1);
  }
}

void natpasv_count_peak(struct natpasv_row *row, unsigned leased) {
  uint64_t peak;

  if (row == NULL) {
    return;
  }

  peak = atomic_load(&row->peak);
  while (
    peak < leased && !atomic_compare_exchange_weak(&row->peak, &peak, leased)) {
  }
}

int natpasv_count_sweep_due(struct natpasv_row *row, unsigned every_ms) {
  uint64_t now = natpasv_now_ms(), last;

  if (row == NULL) {
    return 1;
  }

  /* A time in the future, from damage, counts as long ago. */
  last = atomic_load(&row->swept_ms);
  return now - last >= every_ms &&
         atomic_compare_exchange_strong(&row->swept_ms, &last, now);
}

int natpasv_count_get(const struct natpasv_table *table, unsigned i,
  struct natpasv_counts *counts) {
  const struct natpasv_row *row = &table->map->row[i];
  uint64_t key = atomic_load(&row->key);
  unsigned j;

  if (key == 0 || !is_sound(row, key)) {
    return -1;
  }

  copy_name(counts->pool, sizeof(counts->pool), row->pool);
  copy_name(counts->class, sizeof(counts->class), row->class);
  counts->peak = atomic_load(&row->peak);
  for (j = 0; j < NATPASV_COUNTERS; j++) {
    counts->count[j] = atomic_load(&row->count[j]);
  }
  return 0;
}
