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
#include "random.h"

#include <errno.h>
#include <string.h>

/* So many ports in a row turned out to be in quarantine: time to look at all
 * of them at once. */
#define ENOUGH 8

static uint64_t now_s(void) {
  return natpasv_now_ms() / 1000;
}

static void hint_free(struct natpasv_map *map, unsigned port) {
  (void) atomic_fetch_and(&map->taken[natpasv_word(port)], ~natpasv_bit(port));
  (void) atomic_fetch_add(&map->freed, 1);
}

/* Whether the hint was not there before: then the caller may try for the port.
 * Nobody sets it for another, so a hint means a lease, or a session that is
 * about to have one, or that has died: never a free port. */
static int hint_taken(struct natpasv_map *map, unsigned port) {
  uint64_t bit = natpasv_bit(port);

  return (atomic_fetch_or(&map->taken[natpasv_word(port)], bit) & bit) == 0;
}

/* Who has or had the port, and since when. */
static void sign(const struct natpasv_lessee *lessee, unsigned port) {
  atomic_store(&lessee->table->map->recent[port],
    (uint64_t) lessee->client << 32 | (uint32_t) now_s());
}

static int in_quarantine(const struct natpasv_lessee *lessee, unsigned port) {
  uint64_t recent = atomic_load_explicit(
    &lessee->table->map->recent[port], memory_order_relaxed);

  /* A time in the future, from damage, is far in the past for unsigned. */
  return (uint32_t) (recent >> 32) == lessee->client && recent != 0 &&
         (uint32_t) lessee->second - (uint32_t) recent < lessee->quarantine;
}

static void shun(struct natpasv_lessee *lessee, unsigned port) {
  lessee->shunned[natpasv_word(port)] |= natpasv_bit(port);
}

static void shun_all(
  struct natpasv_lessee *lessee, const struct natpasv_ports *ports) {
  unsigned i, port;

  for (i = 0; i < ports->nranges; i++) {
    for (port = ports->range[i].first; port <= ports->range[i].last; port++) {
      if (in_quarantine(lessee, port)) {
        shun(lessee, port);
      }
    }
  }
}

/* Ports are counted by blocks of words. */
#define BLOCK  16
#define BLOCKS (NATPASV_WORDS / BLOCK)

/* In registers, and written so that a compiler counts several words at once:
 * without a machine instruction for it, which compilers may not presume, the
 * library's way of counting is a call and a table for each of them. */
static unsigned count_block(const uint64_t *word) {
  uint64_t bytes = 0;
  unsigned i;

  for (i = 0; i < BLOCK; i++) {
    uint64_t bits = word[i];

    bits -= (bits >> 1) & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) +
           ((bits >> 2) & UINT64_C(0x3333333333333333));
    bytes += (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  }

  /* 128 at most in each byte. */
  bytes = (bytes & UINT64_C(0x00ff00ff00ff00ff)) +
          ((bytes >> 8) & UINT64_C(0x00ff00ff00ff00ff));
  return (unsigned) ((bytes * UINT64_C(0x0001000100010001)) >> 48);
}

/* The free ports of a pool, as seen in one look: those that are not shunned,
 * or all if there are no others. */
struct snapshot {
  int fresh; /* there are others */
  unsigned count;
  unsigned in_block[BLOCKS];
  uint64_t word[NATPASV_WORDS];
};

static void take_snapshot(struct snapshot *shot, const struct natpasv_map *map,
  const struct natpasv_ports *ports, const uint64_t *shunned) {
  unsigned first = ports->first_word / BLOCK, last = ports->last_word / BLOCK;
  unsigned block, i, end = (last + 1) * BLOCK;
  uint64_t fresh = 0;

  for (i = first * BLOCK; i < end; i++) {
    shot->word[i] = ports->mask[i] &
                    ~atomic_load_explicit(&map->taken[i], memory_order_acquire);
    fresh |= shot->word[i] & ~shunned[i];
  }

  shot->fresh = fresh != 0;
  if (shot->fresh) {
    for (i = first * BLOCK; i < end; i++) {
      shot->word[i] &= ~shunned[i];
    }
  }

  shot->count = 0;
  for (block = first; block <= last; block++) {
    shot->in_block[block] = count_block(&shot->word[block * BLOCK]);
    shot->count += shot->in_block[block];
  }
}

/* The n-th port of a snapshot, from 0. */
static int nth_port(
  const struct snapshot *shot, const struct natpasv_ports *ports, unsigned n) {
  unsigned block = ports->first_word / BLOCK, i;
  uint64_t word;

  while (n >= shot->in_block[block]) {
    n -= shot->in_block[block++];
  }

  for (i = block * BLOCK;; i++) {
    unsigned here;

    word = shot->word[i];
    here = (unsigned) __builtin_popcountll(word);
    if (n < here) {
      break;
    }
    n -= here;
  }

  while (n-- > 0) {
    word &= word - 1;
  }
  return (int) (i * 64 + (unsigned) __builtin_ctzll(word));
}

static int is_fresh(const struct natpasv_lessee *lessee, unsigned port) {
  unsigned word = natpasv_word(port);
  uint64_t taken = atomic_load_explicit(
    &lessee->table->map->taken[word], memory_order_relaxed);

  return ((taken | lessee->shunned[word]) & natpasv_bit(port)) == 0 &&
         !in_quarantine(lessee, port);
}

/* A port at random, if it happens to be free: 0 if none was, -1 with errno. In
 * a large pool that is not full this is faster than a look at all of it, and
 * as even: whatever is drawn, each free port is drawn as often. So many tries
 * cost a fraction of that look, and in a small pool there are none. */
static int draw(
  const struct natpasv_lessee *lessee, const struct natpasv_ports *ports) {
  unsigned tries = (ports->last_word - ports->first_word) / 128;

  while (tries-- > 0) {
    uint32_t n;
    unsigned port;

    if (natpasv_random(ports->count, &n) < 0) {
      return -1;
    }

    port = natpasv_ports_nth(ports, n);
    if (is_fresh(lessee, port)) {
      return (int) port;
    }
  }
  return 0;
}

/* A port that seems free, of all that do; 0 if none does any more, -1 with
 * errno. */
static int select_port(
  struct natpasv_lessee *lessee, const struct natpasv_ports *ports) {
  struct snapshot shot;
  unsigned in_vain = 0;

  for (;;) {
    uint32_t n;
    int port;

    take_snapshot(&shot, lessee->table->map, ports, lessee->shunned);
    if (shot.count == 0) {
      return 0;
    }

    if (natpasv_random(shot.count, &n) < 0) {
      return -1;
    }

    port = nth_port(&shot, ports, n);
    if (!shot.fresh || !in_quarantine(lessee, (unsigned) port)) {
      return port;
    }

    if (++in_vain == ENOUGH) {
      shun_all(lessee, ports);
    }
    shun(lessee, (unsigned) port);
  }
}

static int has_free(
  const struct natpasv_map *map, const struct natpasv_ports *ports) {
  unsigned i;

  for (i = ports->first_word; i <= ports->last_word; i++) {
    if ((ports->mask[i] & ~atomic_load(&map->taken[i])) != 0) {
      return 1;
    }
  }
  return 0;
}

/* A look reads one word after another. If a port came back meanwhile, in front
 * of it, and another was taken behind, there was always a free one that it did
 * not see: such a look does not count, and two must count in a row, because a
 * session may be stopped before it has counted the port it gave back. */
#define LOOKS     2
#define MAX_LOOKS 1000

static int is_full(
  const struct natpasv_map *map, const struct natpasv_ports *ports) {
  unsigned looks = 0, in_all;

  for (in_all = 0; looks < LOOKS && in_all < MAX_LOOKS; in_all++) {
    uint32_t freed = atomic_load(&map->freed);

    if (has_free(map, ports)) {
      return 0;
    }
    looks = freed == atomic_load(&map->freed) ? looks + 1 : 0;
  }
  return 1;
}

/* A port that seems free; -1 with errno as for natpasv_lease_claim. */
static int choose(
  struct natpasv_lessee *lessee, const struct natpasv_ports *ports) {
  int port = draw(lessee, ports);

  while (port == 0) {
    if (is_full(lessee->table->map, ports)) {
      lessee->left = 0;
      errno = EBUSY;
      return -1;
    }
    port = select_port(lessee, ports);
  }
  return port;
}

int natpasv_lease_claim(
  struct natpasv_lessee *lessee, const struct natpasv_ports *ports) {
  struct natpasv_map *map = lessee->table->map;
  uint64_t second = now_s();

  if (lessee->second != second) {
    lessee->second = second;
    memset(lessee->shunned, 0, sizeof(lessee->shunned));
  }

  for (;;) {
    uint64_t nobody = 0;
    int port = choose(lessee, ports);

    if (port < 0) {
      return -1;
    }

    /* An owner without a hint is a sweep that took a hint back too late, or
     * damage: now it has one, which goes with its lease. */
    if (hint_taken(map, (unsigned) port) &&
        atomic_compare_exchange_strong(
          &map->owner[port], &nobody, lessee->table->self)) {
      sign(lessee, (unsigned) port);
      return port;
    }
  }
}

/* Gives the slot another owner if it is still mine. */
static int hand_over(
  struct natpasv_lessee *lessee, unsigned port, uint64_t owner) {
  uint64_t mine = lessee->table->self;

  if (!atomic_compare_exchange_strong(
        &lessee->table->map->owner[port], &mine, owner)) {
    errno = ESTALE;
    return -1;
  }
  return 0;
}

int natpasv_lease_release(struct natpasv_lessee *lessee, unsigned port) {
  struct natpasv_map *map = lessee->table->map;

  /* Before the port can be claimed, or the next one would not know. */
  sign(lessee, port);
  if (lessee->quarantine > 0) {
    shun(lessee, port);
  }

  if (hand_over(lessee, port, 0) < 0) {
    return -1;
  }

  hint_free(map, port);
  return 0;
}

void natpasv_lease_stranger(struct natpasv_lessee *lessee, unsigned port) {
  (void) hand_over(lessee, port, NATPASV_STRANGER | natpasv_now_ms());
}

/* Whether the slot may be taken from this owner. */
static int is_gone(const struct natpasv_table *table, uint64_t owner,
  uint64_t now, uint64_t *alive) {
  if (owner & NATPASV_STRANGER) {
    return now - (owner & ~NATPASV_STRANGER) >= NATPASV_STRANGER_MS;
  }

  if (owner == *alive) {
    return 0;
  }

  if (natpasv_table_alive(table, owner) == 0) {
    return 1;
  }
  *alive = owner;
  return 0;
}

unsigned natpasv_lease_sweep(
  const struct natpasv_table *table, const struct natpasv_ports *ports) {
  struct natpasv_map *map = table->map;
  uint64_t now = natpasv_now_ms(), alive = table->self;
  unsigned i, port, back = 0;

  for (i = 0; i < ports->nranges; i++) {
    for (port = ports->range[i].first; port <= ports->range[i].last; port++) {
      uint64_t owner = atomic_load(&map->owner[port]);
      int hinted =
        (atomic_load(&map->taken[natpasv_word(port)]) & natpasv_bit(port)) != 0;

      if (owner == 0 ? !hinted : !is_gone(table, owner, now, &alive)) {
        continue;
      }

      /* Only from the owner that was looked at: it may have a new one. */
      if (owner == 0 ||
          atomic_compare_exchange_strong(&map->owner[port], &owner, 0)) {
        hint_free(map, port);
        back++;
      }
    }
  }

  return back;
}

unsigned natpasv_lease_free(
  const struct natpasv_table *table, const struct natpasv_ports *ports) {
  struct snapshot shot;

  take_snapshot(&shot, table->map, ports, ports->mask);
  return shot.count;
}

enum natpasv_state natpasv_lease_state(
  const struct natpasv_table *table, unsigned port, uint64_t *owner) {
  *owner = atomic_load(&table->map->owner[port]);

  if (*owner & NATPASV_STRANGER) {
    return NATPASV_IS_FOREIGN;
  }
  return *owner != 0 ? NATPASV_IS_LEASED : NATPASV_IS_FREE;
}

int natpasv_lease_age(const struct natpasv_table *table, unsigned port) {
  uint64_t recent = atomic_load(&table->map->recent[port]);
  uint32_t ago = (uint32_t) now_s() - (uint32_t) recent;

  return recent == 0 || ago > INT32_MAX ? -1 : (int) ago;
}
