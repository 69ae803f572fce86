/*
 * mod_natpasv - which session gets the next port
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "queue.h"
#include "futex.h"
#include "random.h"
#include "turns.h"

#include <errno.h>

/* How long a session has to take the port that it was handed. */
#define MOMENT_MS 500

#define SWEEP_MS 1000

/* Shortest sleep in the queue, and how much longer it is at most for each
 * session that waits, so that there are 100 looks a second, however many wait.
 * A random part of it is slept, or sessions that came together would look
 * together, and nobody between. */
#define MIN_NAP_MS  100
#define NAP_EACH_MS 20
#define MAX_MORE_MS 20000

static uint32_t now_ms(void) {
  return (uint32_t) natpasv_now_ms();
}

/* Removes a session that has ended from the queue. Its ports are not returned
 * here. */
static void bury(struct natpasv_map *map, uint16_t n) {
  struct natpasv_owner *owner = natpasv_owner(map, n);

  if (atomic_load(&owner->turn) == NATPASV_WAITS) {
    natpasv_turns_quit(map, n);
  }
  atomic_store(&owner->turn, 0);
  owner->pid = 0;
  if (n < map->free_owner) {
    map->free_owner = n;
  }
}

/* Serving
 */

static void hand_over(struct natpasv_map *map, uint16_t n, unsigned int port) {
  struct natpasv_owner *owner = natpasv_owner(map, n);

  natpasv_turns_quit(map, n);
  owner->handed_ms = map->handed_ms = now_ms();
  map->handed_to = n;
  atomic_store(&owner->turn, NATPASV_HANDED | port);
  natpasv_futex_wake(&owner->turn);
}

/* Hands free ports to waiting sessions that are alive. The ports of one that
 * has ended are returned by the next sweep. */
static void serve(struct natpasv_table *table, uint16_t number) {
  struct natpasv_map *map = table->map;
  struct natpasv_set *set = &map->set[number];

  for (unsigned int i = 0; set->turns.first != 0 && i < NATPASV_OWNERS; i++) {
    unsigned int port, free = natpasv_lease_free(map, set);
    uint16_t n = natpasv_turns_next(map, set, free);

    if (n == 0) {
      return;
    }

    if (!natpasv_table_alive(table, n)) {
      natpasv_turns_quit(map, n);
      atomic_store(&natpasv_owner(map, n)->turn, 0);
      continue;
    }

    port = natpasv_turns_give(map, number, n, free);
    if (port == 0) {
      return;
    }
    hand_over(map, n, port);
  }
}

/* Serves the sets that contain the port, or all sets for 0, each time starting
 * with another one. */
static void serve_sets(struct natpasv_table *table, unsigned int port) {
  struct natpasv_map *map = table->map;
  unsigned int sets = map->last_set % NATPASV_SETS;

  for (unsigned int i = 0; i < sets; i++) {
    uint16_t n = (uint16_t) (1 + (map->next_set + i) % sets);

    if (map->set[n].turns.first != 0 &&
        (port == 0 || natpasv_turns_has(&map->set[n], port))) {
      serve(table, n);
    }
  }
  map->next_set++;
}

/* Sweeping and putting right
 */

/* Sessions that have ended are buried already. */
static bool is_over(struct natpasv_map *map, unsigned int port) {
  uint16_t owner = map->port[port].owner;

  return owner == NATPASV_STRANGER ? natpasv_lease_stranger_over(map, port)
                                   : natpasv_owner(map, owner)->pid == 0;
}

static unsigned int take_back_all(struct natpasv_map *map) {
  unsigned int back = 0;

  map->strangers = 0;
  for (unsigned int i = 0; i < NATPASV_WORDS; i++) {
    for (uint64_t rest = map->taken[i]; rest != 0; rest &= rest - 1) {
      unsigned int port = i * 64 + (unsigned int) __builtin_ctzll(rest);

      if (is_over(map, port)) {
        natpasv_turns_take_back(map, port);
        back++;
      } else if (map->port[port].owner == NATPASV_STRANGER) {
        map->strangers = 1;
      }
    }
  }
  return back;
}

/* Takes back the port that a session was handed and has not taken in time; 0 if
 * there is none. */
static unsigned int recall(struct natpasv_owner *owner, uint32_t now) {
  uint32_t turn = atomic_load(&owner->turn);

  return (turn & NATPASV_HANDED) != 0 && now - owner->handed_ms >= MOMENT_MS &&
             atomic_compare_exchange_strong(&owner->turn, &turn, 0)
           ? turn & NATPASV_MAX_PORT
           : 0;
}

static unsigned int sweep(struct natpasv_table *table) {
  struct natpasv_map *map = table->map;
  unsigned int back = 0;
  bool died = false;
  uint32_t now = now_ms();

  for (unsigned int n = map->last_owner % NATPASV_OWNERS; n > 0; n--) {
    unsigned int port = recall(&map->owner[n], now);

    if (port != 0 && map->port[port].owner == n) {
      natpasv_turns_take_back(map, port);
      back++;
    }
    if (map->owner[n].pid != 0 && !natpasv_table_alive(table, (uint16_t) n)) {
      bury(map, (uint16_t) n);
      died = true;
    }
  }

  /* Each port is examined if there is a reason, and once a second in case of
   * damage. */
  if (died || map->strangers != 0 || now - map->swept_ms >= SWEEP_MS) {
    back += take_back_all(map);
  }

  map->swept_ms = now;
  serve_sets(table, 0);
  return back;
}

/* Repairs the table after a session has died with the lock held, which may have
 * left any change incomplete. The order of the waiting sessions is lost. */
static void rebuild(struct natpasv_table *table) {
  struct natpasv_map *map = table->map;

  map->last_owner = NATPASV_OWNERS - 1;
  map->free_owner = 0;
  natpasv_lease_rebuild(map);
  natpasv_turns_rebuild(map);
  map->strangers = 1;
  (void) sweep(table);
}

static void enter(struct natpasv_table *table) {
  if (natpasv_table_lock(table) != 0) {
    rebuild(table);
  }
}

/* What a session calls
 */

int natpasv_queue_enrol(struct natpasv_lessee *lessee) {
  struct natpasv_table *table = lessee->table;
  struct natpasv_map *map = table->map;
  int res;

  if (natpasv_table_is_enrolled(table)) {
    return 0;
  }

  res = natpasv_table_enrol(table);
  if (res < 0) {
    return -1;
  }

  enter(table);
  if (res > 0) {
    bury(map, table->self);
    (void) take_back_all(map);
  }
  natpasv_table_sign(table, lessee->client);
  if (res > 0) {
    serve_sets(table, 0);
  }
  natpasv_table_unlock(table);
  return 0;
}

static uint16_t set_for(struct natpasv_lessee *lessee) {
  lessee->set = natpasv_turns_set(
    lessee->table->map, lessee->ports, lessee->key, lessee->set);
  return lessee->set;
}

/* Checks that the port belongs to the pool, because the table may be damaged.
 * If it does not, the set is not used again. */
static unsigned int inside(struct natpasv_lessee *lessee, unsigned int port) {
  if (port == 0 || natpasv_ports_have(lessee->ports, port)) {
    return port;
  }

  natpasv_turns_take_back(lessee->table->map, port);
  lessee->table->map->set[lessee->set % NATPASV_SETS].key = 0;
  return 0;
}

static unsigned int claim(struct natpasv_lessee *lessee, uint16_t set) {
  struct natpasv_map *map = lessee->table->map;
  struct natpasv_owner *own = natpasv_owner(map, lessee->table->self);

  own->any = lessee->any;
  own->quarantine = lessee->quarantine;
  lessee->left = natpasv_lease_free(map, &map->set[set % NATPASV_SETS]);
  lessee->held = natpasv_turns_held(map, set, own->client);
  return natpasv_turns_may(own, lessee->held, lessee->left)
           ? inside(lessee,
               natpasv_turns_give(map, set, lessee->table->self, lessee->left))
           : 0;
}

/* Claims a port, after a sweep if one is due. 0 with errno. */
static unsigned int claim_or_sweep(
  struct natpasv_lessee *lessee, uint16_t set, bool sure) {
  struct natpasv_table *table = lessee->table;
  unsigned int port;

  if (set == 0) {
    errno = ENOSPC;
    return 0;
  }

  port = claim(lessee, set);
  if (port == 0 && (sure || now_ms() - table->map->swept_ms >= SWEEP_MS) &&
      sweep(table) > 0) {
    port = claim(lessee, set);
  }
  errno = EBUSY;
  return port;
}

static unsigned int claim_or_join(
  struct natpasv_lessee *lessee, bool sure, bool joins) {
  uint16_t set = set_for(lessee);
  unsigned int port = claim_or_sweep(lessee, set, sure);

  if (joins && port == 0 && errno == EBUSY &&
      !natpasv_turns_join(lessee->table->map, set, lessee->table->self)) {
    errno = ENOSPC;
  }
  return port;
}

/* Claims a port, or joins the queue. A table that seems full may be damaged, so
 * it is rebuilt before a refusal, at most once a second. */
static unsigned int ask(struct natpasv_lessee *lessee, bool sure, bool joins) {
  struct natpasv_table *table = lessee->table;
  unsigned int port;
  int xerrno;

  enter(table);
  port = claim_or_join(lessee, sure, joins);
  if (port == 0 && errno == ENOSPC &&
      now_ms() - lessee->rebuilt_ms >= SWEEP_MS) {
    lessee->rebuilt_ms = now_ms();
    rebuild(table);
    port = claim_or_join(lessee, sure, joins);
  }
  xerrno = errno;
  natpasv_table_unlock(table);
  errno = xerrno;
  return port;
}

unsigned int natpasv_queue_claim(struct natpasv_lessee *lessee, bool sure) {
  return ask(lessee, sure, false);
}

unsigned int natpasv_queue_join(struct natpasv_lessee *lessee) {
  return ask(lessee, false, true);
}

/* The waiting sessions sweep themselves, because no other session may come. */
static void sweep_if_due(struct natpasv_table *table) {
  struct natpasv_map *map = table->map;
  uint32_t now = now_ms();

  if (now - map->swept_ms >= SWEEP_MS ||
      ((atomic_load(&natpasv_owner(map, map->handed_to)->turn) &
         NATPASV_HANDED) != 0 &&
        now - map->handed_ms >= MOMENT_MS)) {
    enter(table);
    if ((int32_t) (now - map->swept_ms) > 0) { /* nobody has, meanwhile */
      (void) sweep(table);
    }
    natpasv_table_unlock(table);
  }
}

unsigned int natpasv_queue_wait(
  struct natpasv_lessee *lessee, unsigned int ms) {
  struct natpasv_owner *own =
    natpasv_owner(lessee->table->map, lessee->table->self);
  uint32_t turn = atomic_load(&own->turn);

  if (turn == NATPASV_WAITS) {
    natpasv_futex_nap(&own->turn, NATPASV_WAITS, ms);
    turn = atomic_load(&own->turn);
  }

  if (turn == NATPASV_WAITS) {
    sweep_if_due(lessee->table);
    errno = EAGAIN;
    return 0;
  }

  if ((turn & NATPASV_HANDED) != 0 &&
      atomic_compare_exchange_strong(&own->turn, &turn, 0) &&
      natpasv_ports_have(lessee->ports, turn & NATPASV_MAX_PORT)) {
    return turn & NATPASV_MAX_PORT;
  }

  errno = ESTALE;
  return 0;
}

unsigned int natpasv_queue_nap(const struct natpasv_lessee *lessee) {
  struct natpasv_map *map = lessee->table->map;
  uint32_t waiting = map->set[lessee->set % NATPASV_SETS].waiting,
           most = waiting < MAX_MORE_MS / NAP_EACH_MS ? waiting * NAP_EACH_MS
                                                      : MAX_MORE_MS,
           more = most;

  (void) natpasv_random(most + 1, &more);
  return MIN_NAP_MS + more;
}

unsigned int natpasv_queue_leave(struct natpasv_lessee *lessee) {
  struct natpasv_table *table = lessee->table;
  struct natpasv_owner *own = natpasv_owner(table->map, table->self);
  unsigned int port;
  uint32_t turn;

  enter(table);
  if (atomic_load(&own->turn) == NATPASV_WAITS) {
    natpasv_turns_quit(table->map, table->self);
  }
  turn = atomic_exchange(&own->turn, 0);
  port =
    (turn & NATPASV_HANDED) != 0 ? inside(lessee, turn & NATPASV_MAX_PORT) : 0;
  natpasv_table_unlock(table);
  return port;
}

/* The port is free for the waiting sessions, or another program has it. */
static int end_lease(
  struct natpasv_lessee *lessee, unsigned int port, bool stranger) {
  struct natpasv_table *table = lessee->table;
  struct natpasv_map *map = table->map;
  bool own;

  port &= NATPASV_MAX_PORT;
  enter(table);
  own = map->port[port].owner == table->self;
  if (own) {
    natpasv_turns_take_back(map, port);
    if (stranger) {
      natpasv_lease_stranger(map, port);
    } else {
      serve_sets(table, port);
    }
  }
  natpasv_table_unlock(table);

  errno = ESTALE;
  return own ? 0 : -1;
}

int natpasv_queue_release(struct natpasv_lessee *lessee, unsigned int port) {
  return end_lease(lessee, port, false);
}

void natpasv_queue_stranger(struct natpasv_lessee *lessee, unsigned int port) {
  (void) end_lease(lessee, port, true);
}

unsigned int natpasv_queue_sweep(struct natpasv_lessee *lessee) {
  unsigned int back;

  enter(lessee->table);
  back = sweep(lessee->table);
  natpasv_table_unlock(lessee->table);
  return back;
}

unsigned int natpasv_queue_waiting(
  const struct natpasv_map *map, uint64_t key) {
  for (unsigned int n = map->last_set % NATPASV_SETS; n > 0; n--) {
    if (map->set[n].key == key) {
      return map->set[n].waiting;
    }
  }
  return 0;
}
