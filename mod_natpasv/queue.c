/*
 * mod_natpasv - who is next when all ports are taken
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "queue.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* At most so many are rung at for one port: enough that the dead ones in
 * front, which do not wake, do not stop the living. */
#define MAX_RINGS 8

#if defined(__linux__)
static void nap(_Atomic uint32_t *word, uint32_t seen, unsigned ms) {
  struct timespec limit = { .tv_sec = ms / 1000,
    .tv_nsec = (long) (ms % 1000) * 1000000 };

  (void) syscall(SYS_futex, word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

static int wake(_Atomic uint32_t *word) {
  return (int) syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
#else
#define POLL_MS 10

static void nap(_Atomic uint32_t *word, uint32_t seen, unsigned ms) {
  struct timespec limit = { 0, (ms < POLL_MS ? ms : POLL_MS) * 1000000L };

  if (atomic_load(word) == seen) {
    (void) nanosleep(&limit, NULL);
  }
}

static int wake(_Atomic uint32_t *word) {
  (void) word;
  return 1;
}
#endif

uint32_t natpasv_queue_of(const char *pool) {
  return (uint32_t) natpasv_hash(NATPASV_HASH, pool, strlen(pool));
}

/* Takes a cell from an owner that has gone. Its ticket stays for the moment
 * until the next owner writes his: storing 0 could hit that one's. */
static void vacate(
  struct natpasv_map *map, struct natpasv_cell *cell, uint64_t owner) {
  if (atomic_compare_exchange_strong(&cell->owner, &owner, 0)) {
    (void) atomic_fetch_sub(&map->waiting, 1);
  }
}

static struct natpasv_cell *take_cell(struct natpasv_table *table) {
  struct natpasv_map *map = table->map;
  unsigned i;

  for (i = 0; i < NATPASV_CELLS; i++) {
    struct natpasv_cell *cell =
      &map->cell[((uint32_t) table->self + i) % NATPASV_CELLS];
    uint64_t nobody = 0;

    if (atomic_compare_exchange_strong(&cell->owner, &nobody, table->self)) {
      (void) atomic_fetch_add(&map->waiting, 1);
      return cell;
    }
  }
  return NULL;
}

static void vacate_the_dead(struct natpasv_table *table) {
  unsigned i;

  for (i = 0; i < NATPASV_CELLS; i++) {
    struct natpasv_cell *cell = &table->map->cell[i];
    uint64_t owner = atomic_load(&cell->owner);

    if (owner != 0 && natpasv_table_alive(table, owner) == 0) {
      vacate(table->map, cell, owner);
    }
  }
}

int natpasv_queue_join(
  struct natpasv_table *table, uint32_t queue, struct natpasv_place *place) {
  place->cell = take_cell(table);
  if (place->cell == NULL) {
    vacate_the_dead(table);
    place->cell = take_cell(table);
  }

  if (place->cell == NULL) {
    errno = ENOSPC;
    return -1;
  }

  place->ticket = atomic_fetch_add(&table->map->tickets, 1) + 1;
  atomic_store(&place->cell->pool, queue);
  atomic_store(&place->cell->ticket, place->ticket);
  return 0;
}

void natpasv_queue_leave(
  struct natpasv_table *table, struct natpasv_place *place) {
  atomic_store(&place->cell->ticket, 0);
  vacate(table->map, place->cell, table->self);
  place->cell = NULL;
}

static int stands_in(const struct natpasv_cell *cell, uint32_t queue) {
  return atomic_load(&cell->owner) != 0 && atomic_load(&cell->ticket) != 0 &&
         atomic_load(&cell->pool) == queue;
}

unsigned natpasv_queue_ahead(struct natpasv_table *table, uint32_t queue,
  const struct natpasv_place *place, int sure) {
  struct natpasv_map *map = table->map;
  uint64_t ticket = place != NULL ? place->ticket : UINT64_MAX;
  uint32_t waiting = atomic_load(&map->waiting);
  unsigned i, ahead = 0, in_use = 0;

  if (waiting == 0) {
    return 0;
  }

  for (i = 0; i < NATPASV_CELLS; i++) {
    struct natpasv_cell *cell = &map->cell[i];
    uint64_t owner = atomic_load(&cell->owner);

    in_use += owner != 0;
    if (!stands_in(cell, queue) || atomic_load(&cell->ticket) >= ticket) {
      continue;
    }

    if (sure && natpasv_table_alive(table, owner) == 0) {
      vacate(map, cell, owner);
      continue;
    }
    ahead++;
  }

  if (in_use == 0) {
    /* Sessions killed at the wrong moment left the number too high. */
    (void) atomic_compare_exchange_strong(&map->waiting, &waiting, 0);
  }
  return ahead;
}

uint32_t natpasv_queue_rings(const struct natpasv_place *place) {
  return atomic_load(&place->cell->rings);
}

void natpasv_queue_nap(
  const struct natpasv_place *place, uint32_t rings, unsigned ms) {
  nap(&place->cell->rings, rings, ms < NATPASV_NAP_MS ? ms : NATPASV_NAP_MS);
}

/* The first in the queue with a higher ticket than that. */
static struct natpasv_cell *first_after(
  struct natpasv_map *map, uint32_t queue, uint64_t *ticket) {
  struct natpasv_cell *first = NULL;
  uint64_t lowest = UINT64_MAX;
  unsigned i;

  for (i = 0; i < NATPASV_CELLS; i++) {
    struct natpasv_cell *cell = &map->cell[i];
    uint64_t its = atomic_load(&cell->ticket);

    if (its > *ticket && its < lowest && stands_in(cell, queue)) {
      first = cell;
      lowest = its;
    }
  }

  *ticket = lowest;
  return first;
}

void natpasv_queue_ring(struct natpasv_table *table, uint32_t queue) {
  uint64_t ticket = 0;
  unsigned i;

  if (atomic_load(&table->map->waiting) == 0) {
    return;
  }

  for (i = 0; i < MAX_RINGS; i++) {
    struct natpasv_cell *cell = first_after(table->map, queue, &ticket);

    if (cell == NULL) {
      return;
    }

    (void) atomic_fetch_add(&cell->rings, 1);
    if (wake(&cell->rings) > 0) {
      return;
    }
  }
}
