/*
 * mod_natpasv - which session has which port
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "lease.h"
#include "futex.h"
#include "random.h"

#include <string.h>

static uint32_t now_s(void) {
  return (uint32_t) (natpasv_now_ms() / 1000);
}

/* Taken ports are counted by blocks of so many. */
#define BLOCK NATPASV_BLOCK

static void mark(struct natpasv_map *map, unsigned int port, bool taken) {
  uint64_t *word = &map->taken[natpasv_word(port)], bit = natpasv_bit(port);

  if (((*word & bit) != 0) != taken) {
    *word ^= bit;
    map->taken_in[port / BLOCK] += taken ? 1 : -1;
  }
}

/* The free ports of one word from first to last, which may be of other words.
 */
static uint64_t free_in_word(const struct natpasv_map *map, unsigned int word,
  unsigned int first, unsigned int last) {
  uint64_t bits = ~map->taken[word];

  if (word == natpasv_word(first)) {
    bits &= ~UINT64_C(0) << (first & 63);
  }
  if (word == natpasv_word(last)) {
    bits &= ~UINT64_C(0) >> (63 - (last & 63));
  }
  return bits;
}

static unsigned int nth_bit(unsigned int word, uint64_t bits, unsigned int n) {
  while (n-- > 0) {
    bits &= bits - 1;
  }
  return word * 64 + (unsigned int) __builtin_ctzll(bits);
}

/* The n-th free port from first to last, which are of one block; 0 if there are
 * fewer. n becomes what is left of it. */
static unsigned int find_in_block(const struct natpasv_map *map,
  unsigned int first, unsigned int last, unsigned int *n) {
  unsigned int whole = BLOCK - map->taken_in[first / BLOCK];

  if (last - first == BLOCK - 1 && *n >= whole) {
    *n -= whole;
    return 0;
  }

  for (unsigned int i = natpasv_word(first); i <= natpasv_word(last); i++) {
    uint64_t bits = free_in_word(map, i, first, last);
    unsigned int here = (unsigned int) __builtin_popcountll(bits);

    if (*n < here) {
      return nth_bit(i, bits, *n);
    }
    *n -= here;
  }
  return 0;
}

/* The n-th free port of a set; 0 if there are fewer, and then n is less by as
 * many as there are. */
static unsigned int find(const struct natpasv_map *map,
  const struct natpasv_set *set, unsigned int *n) {
  for (unsigned int i = 0; i < set->nranges && i < NATPASV_MAX_RANGES; i++) {
    unsigned int first = set->range[i].first, last = set->range[i].last;

    while (first <= last) {
      unsigned int end = first | (BLOCK - 1),
                   port = find_in_block(map, first, end < last ? end : last, n);

      if (port != 0) {
        return port;
      }
      first = end + 1;
    }
  }
  return 0;
}

unsigned int natpasv_lease_free(
  const struct natpasv_map *map, const struct natpasv_set *set) {
  unsigned int n = UINT32_MAX;

  (void) find(map, set, &n);
  return UINT32_MAX - n;
}

/* Choosing
 */

/* So many are drawn before all are looked at, when each turns out to be in
 * quarantine; that is done once a second at most while it is in vain. */
#define DRAWS 8

static bool in_quarantine(const struct natpasv_port *port,
  const struct natpasv_owner *owner, uint32_t second) {
  /* With unsigned numbers, a time in the future, which only damage causes,
   * counts as long past. */
  return port->client == (uint32_t) owner->client && port->since != 0 &&
         second - port->since < owner->quarantine;
}

/* 0 if there is none. */
static unsigned int draw(const struct natpasv_map *map,
  const struct natpasv_set *set, unsigned int free) {
  uint32_t n;

  return free > 0 && natpasv_random(free, &n) == 0 ? find(map, set, &n) : 0;
}

/* As find(), of the ports that are not in quarantine. */
static unsigned int find_fresh(const struct natpasv_map *map,
  const struct natpasv_set *set, const struct natpasv_owner *owner,
  uint32_t second, unsigned int *n) {
  for (unsigned int i = 0; i < set->nranges && i < NATPASV_MAX_RANGES; i++) {
    unsigned int first = set->range[i].first, last = set->range[i].last;

    for (unsigned int w = natpasv_word(first); w <= natpasv_word(last); w++) {
      for (uint64_t bits = free_in_word(map, w, first, last); bits != 0;
           bits &= bits - 1) {
        unsigned int port = nth_bit(w, bits, 0);

        if (!in_quarantine(&map->port[port], owner, second) && (*n)-- == 0) {
          return port;
        }
      }
    }
  }
  return 0;
}

static unsigned int draw_fresh(const struct natpasv_map *map,
  const struct natpasv_set *set, const struct natpasv_owner *owner,
  uint32_t second) {
  unsigned int n = UINT32_MAX;
  uint32_t drawn;

  (void) find_fresh(map, set, owner, second, &n);
  if (n == UINT32_MAX || natpasv_random(UINT32_MAX - n, &drawn) < 0) {
    return 0;
  }
  return find_fresh(map, set, owner, second, &drawn);
}

/* One that is not in quarantine, if there is one; 0 if none is free. */
static unsigned int choose(const struct natpasv_map *map,
  const struct natpasv_set *set, struct natpasv_owner *owner, uint32_t second,
  unsigned int free) {
  unsigned int port = 0, fresh;

  for (int i = 0; i < DRAWS; i++) {
    port = draw(map, set, free);
    if (port == 0 || !in_quarantine(&map->port[port], owner, second) ||
        owner->stale == second) {
      return port;
    }
  }

  fresh = draw_fresh(map, set, owner, second);
  if (fresh == 0) {
    owner->stale = second;
  }
  return fresh != 0 ? fresh : port;
}

unsigned int natpasv_lease_take(
  struct natpasv_map *map, uint16_t number, uint16_t owner, unsigned int free) {
  struct natpasv_owner *o = natpasv_owner(map, owner);
  uint32_t second = now_s();
  unsigned int port =
    choose(map, &map->set[number % NATPASV_SETS], o, second, free);

  if (port != 0) {
    mark(map, port, true);
    map->port[port] = (struct natpasv_port){ .since = second,
      .client = (uint32_t) o->client,
      .owner = owner,
      .set = number };
  }
  return port;
}

void natpasv_lease_end(struct natpasv_map *map, unsigned int port) {
  map->port[port].owner = 0;
  map->port[port].since = now_s();
  mark(map, port, false);
}

void natpasv_lease_stranger(struct natpasv_map *map, unsigned int port) {
  map->port[port].owner = NATPASV_STRANGER;
  map->port[port].since = now_s();
  mark(map, port, true);
  map->strangers = 1;
}

unsigned int natpasv_lease_strangers(
  const struct natpasv_map *map, const struct natpasv_ports *ports) {
  unsigned int found = 0;

  if (map->strangers == 0) {
    return 0;
  }

  for (unsigned int i = 0; i < ports->nranges; i++) {
    for (unsigned int port = ports->range[i].first;
         port <= ports->range[i].last; port++) {
      found += map->port[port].owner == NATPASV_STRANGER;
    }
  }
  return found;
}

bool natpasv_lease_stranger_over(
  const struct natpasv_map *map, unsigned int port) {
  return now_s() - map->port[port].since > NATPASV_STRANGER_S;
}

void natpasv_lease_rebuild(struct natpasv_map *map) {
  memset(map->taken, 0, sizeof(map->taken));
  memset(map->taken_in, 0, sizeof(map->taken_in));
  for (unsigned int port = 1; port <= NATPASV_MAX_PORT; port++) {
    mark(map, port, map->port[port].owner != 0);
  }
}

int natpasv_lease_age(const struct natpasv_map *map, unsigned int port) {
  uint32_t since = map->port[port].since, ago = now_s() - since;

  return since == 0 || ago > INT32_MAX ? -1 : (int) ago;
}
