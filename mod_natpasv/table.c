/*
 * mod_natpasv - the table that all sessions share
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "table.h"
#include "futex.h"
#include "random.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* "NATPASV" and the number of this layout. */
#define MAGIC UINT64_C(0x4e41545041535603)

/* In ready. */
#define MAKING 1
#define READY  0x52454144

_Static_assert((NATPASV_OWNERS & (NATPASV_OWNERS - 1)) == 0 &&
                 (NATPASV_SETS & (NATPASV_SETS - 1)) == 0 &&
                 NATPASV_OWNERS < NATPASV_STRANGER,
  "an index is cut to its range, and no session is a stranger");
_Static_assert(sizeof(struct natpasv_port) == 12, "nothing between the fields");

/* The fields of lock: its owner, a count of its uses, and whether a process
 * sleeps. */
#define HOLDER    UINT32_C(0xffff)
#define TIMES     UINT32_C(0x7fff0000)
#define CONTENDED (UINT32_C(1) << 31)

/* How often a process looks at the lock, which is held for a microsecond,
 * before it pays the price of going to sleep. */
#define SPINS 100

/* How often a sleeping process checks whether the owner of the lock is alive,
 * and how long it waits for a live owner that does not move. */
#define LOOK_MS     10
#define PATIENCE_MS 1000

bool natpasv_table_is_ours(uint64_t magic, uint32_t size) {
  return magic == MAGIC && size == sizeof(struct natpasv_map);
}

bool natpasv_table_is_older(uint64_t magic) {
  return magic >> 8 == MAGIC >> 8;
}

static bool is_sound(const struct natpasv_map *map) {
  return natpasv_table_is_ours(map->magic, map->size);
}

/* Makes a table of zeros. They mean that a place, port, guest or counter is
 * unused, so nothing is touched but the header. */
static void begin(struct natpasv_map *map) {
  uint32_t low = 0, high = 0;

  (void) natpasv_random(UINT32_MAX, &low);
  (void) natpasv_random(UINT32_MAX, &high);
  map->seed = (uint64_t) high << 32 | low;
  map->size = sizeof(struct natpasv_map);
  map->magic = MAGIC;
  atomic_store(&map->ready, READY);
}

void natpasv_table_begin(struct natpasv_table *table) {
  table->self = 0;
  begin(table->map);
  table->map->since = (int64_t) time(NULL);
}

/* From lock on: ready stays as it is until all is done. */
static void clear(struct natpasv_map *map, size_t end) {
  memset(&map->lock, 0, end - offsetof(struct natpasv_map, lock));
  begin(map);
}

void natpasv_table_clear(struct natpasv_table *table) {
  table->self = 0;
  clear(table->map, sizeof(struct natpasv_map));
  table->map->since = (int64_t) time(NULL);
}

void natpasv_table_reset(struct natpasv_table *table) {
  uint64_t seed = table->map->seed;

  table->self = 0;
  for (unsigned int port = 0; port <= NATPASV_MAX_PORT; port++) {
    table->map->port[port].owner = 0;
  }
  clear(table->map, offsetof(struct natpasv_map, row));
  table->map->seed = seed; /* clients are known by it */
}

/* If several sessions do this at once, one of them succeeds; if that one dies,
 * another does. */
int natpasv_table_mend(struct natpasv_table *table) {
  struct natpasv_map *map = table->map;
  uint32_t seen = atomic_load(&map->ready);
  uint64_t end = 0;

  while (seen != READY || !is_sound(map)) {
    uint64_t now = natpasv_now_ms();

    if (end == 0) {
      end = now + PATIENCE_MS;
    }

    if ((seen != MAKING &&
          atomic_compare_exchange_strong(&map->ready, &seen, MAKING)) ||
        now >= end) {
      natpasv_table_clear(table);
      return 1;
    }
    natpasv_futex_wait(&map->ready, MAKING, 1);
    seen = atomic_load(&map->ready);
  }
  return end != 0;
}

/* Places
 */

static uint32_t check_of(const struct natpasv_owner *owner) {
  uint64_t hash = natpasv_hash(NATPASV_HASH, &owner->pid, sizeof(owner->pid));

  hash = natpasv_hash(hash, &owner->client, sizeof(owner->client));
  return (uint32_t) (hash >> 32);
}

static void init_life(pthread_mutex_t *life) {
  pthread_mutexattr_t attr;

  (void) pthread_mutexattr_init(&attr);
  (void) pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  (void) pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  (void) pthread_mutex_init(life, &attr);
  (void) pthread_mutexattr_destroy(&attr);
}

/* Initialises the mutex of a place that no process has had yet, or whose mark
 * is damaged. Returns false if another process does that now, or has died of
 * it: then the place is lost. */
static bool prepare(struct natpasv_owner *owner) {
  uint32_t seen = atomic_load(&owner->ready);

  if (seen != READY && seen != MAKING &&
      atomic_compare_exchange_strong(&owner->ready, &seen, MAKING)) {
    init_life(&owner->life);
    atomic_store(&owner->ready, READY);
    return true;
  }
  return seen == READY;
}

/* Whether the mutex could be taken, which means that no live process has it. */
static bool take_life(struct natpasv_owner *owner) {
  int res = pthread_mutex_trylock(&owner->life);

  if (res == EOWNERDEAD) {
    res = pthread_mutex_consistent(&owner->life);
  }
  return res == 0;
}

bool natpasv_table_alive(const struct natpasv_table *table, uint16_t owner) {
  struct natpasv_owner *o = &table->map->owner[owner % NATPASV_OWNERS];

  if (owner == table->self) {
    return true;
  }

  if (o->pid == 0 || o->check != check_of(o)) {
    return false;
  }

  if (take_life(o)) {
    (void) pthread_mutex_unlock(&o->life);
    return false;
  }
  return true;
}

bool natpasv_table_is_enrolled(const struct natpasv_table *table) {
  const struct natpasv_owner *own = &table->map->owner[table->self];

  return table->self != 0 && table->pid == getpid() &&
         own->pid == (uint32_t) table->pid && own->check == check_of(own);
}

int natpasv_table_enrol(struct natpasv_table *table) {
  struct natpasv_map *map = table->map;
  unsigned int first = map->free_owner;

  table->self = 0;
  for (unsigned int i = 0; i < NATPASV_OWNERS; i++) {
    uint16_t n = (uint16_t) ((first + i) % NATPASV_OWNERS);

    if (n != 0 && prepare(&map->owner[n]) && take_life(&map->owner[n])) {
      map->free_owner = (uint16_t) ((n + 1) % NATPASV_OWNERS);
      table->self = n;
      table->pid = getpid();
      return map->owner[n].pid != 0;
    }
  }

  errno = ENOSPC;
  return -1;
}

void natpasv_table_sign(struct natpasv_table *table, uint64_t client) {
  struct natpasv_owner *own = &table->map->owner[table->self];

  if (table->self > table->map->last_owner) {
    table->map->last_owner = table->self;
  }
  own->client = client;
  own->pid = (uint32_t) table->pid;
  own->check = check_of(own);
  atomic_store(&own->turn, 0);
}

void natpasv_table_leave(struct natpasv_table *table) {
  struct natpasv_owner *own = &table->map->owner[table->self];

  if (table->self == 0 || table->pid != getpid()) {
    table->self = 0;
    return;
  }

  own->pid = 0;
  if (table->self < table->map->free_owner) {
    table->map->free_owner = table->self;
  }
  (void) pthread_mutex_unlock(&own->life);
  table->self = 0;
}

/* The lock
 */

/* The former owner of this place has died. */
static bool is_gone(const struct natpasv_table *table, uint32_t holder) {
  return holder == table->self ||
         !natpasv_table_alive(table, (uint16_t) holder);
}

static int lock_slowly(struct natpasv_table *table, uint32_t seen) {
  _Atomic uint32_t *lock = &table->map->lock;
  uint64_t since = natpasv_now_ms();

  table->locked |= CONTENDED;
  for (;;) {
    uint32_t now;

    if (seen == 0) {
      if (atomic_compare_exchange_strong(lock, &seen, table->locked)) {
        return 0;
      }
      continue;
    }

    if ((seen & CONTENDED) == 0 &&
        !atomic_compare_exchange_strong(lock, &seen, seen | CONTENDED)) {
      continue;
    }
    seen |= CONTENDED;

    natpasv_futex_wait(lock, seen, LOOK_MS);
    now = atomic_load(lock);
    if (now != seen) {
      seen = now;
      since = natpasv_now_ms();
    } else if ((is_gone(table, seen & HOLDER) ||
                 natpasv_now_ms() - since >= PATIENCE_MS) &&
               atomic_compare_exchange_strong(lock, &seen, table->locked)) {
      return 1;
    }
  }
}

int natpasv_table_lock(struct natpasv_table *table) {
  _Atomic uint32_t *lock = &table->map->lock;
  uint32_t seen = 0;

  table->locked = (table->locked + (HOLDER + 1)) & TIMES;
  table->locked |= table->self;
  for (int i = 0; i < SPINS; i++) {
    seen = 0;
    if (atomic_load_explicit(lock, memory_order_relaxed) == 0 &&
        atomic_compare_exchange_strong(lock, &seen, table->locked)) {
      return 0;
    }
  }
  return lock_slowly(table, atomic_load(lock));
}

/* Does nothing if another process has taken it meanwhile. */
void natpasv_table_unlock(struct natpasv_table *table) {
  _Atomic uint32_t *lock = &table->map->lock;
  uint32_t mine = table->locked;

  if (!atomic_compare_exchange_strong(lock, &mine, 0) &&
      (mine != (table->locked | CONTENDED) ||
        !atomic_compare_exchange_strong(lock, &mine, 0))) {
    return;
  }

  if ((mine & CONTENDED) != 0) {
    natpasv_futex_wake(lock);
  }
}

uint64_t natpasv_hash(uint64_t hash, const void *data, size_t size) {
  const unsigned char *byte = data;

  while (size-- > 0) {
    hash = (hash ^ *byte++) * UINT64_C(0x100000001b3);
  }
  return hash;
}
