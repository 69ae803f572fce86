/*
 * mod_natpasv - client addresses and their turns
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "turns.h"

#include <string.h>

/* Lists
 */

_Static_assert(NATPASV_OWNERS == NATPASV_GUESTS, "one kind of link");
#define AT(links, n) ((links)[(n) % NATPASV_OWNERS])

static void push(
  struct natpasv_list *list, struct natpasv_link *links, uint16_t n) {
  AT(links, n) = (struct natpasv_link){ .next = 0, .before = list->last };
  if (list->last != 0) {
    AT(links, list->last).next = n;
  } else {
    list->first = n;
  }
  list->last = n;
}

static void take_out(
  struct natpasv_list *list, struct natpasv_link *links, uint16_t n) {
  struct natpasv_link link = AT(links, n);

  if (link.before != 0) {
    AT(links, link.before).next = link.next;
  } else {
    list->first = link.next;
  }
  if (link.next != 0) {
    AT(links, link.next).before = link.before;
  } else {
    list->last = link.before;
  }
}

static struct natpasv_set *set_of(struct natpasv_map *map, uint16_t n) {
  return &map->set[n % NATPASV_SETS];
}

static struct natpasv_guest *guest_of(struct natpasv_map *map, uint16_t n) {
  return &map->guest[n % NATPASV_GUESTS];
}

/* Sets
 */

static void make_set(
  struct natpasv_set *set, const struct natpasv_ports *ports, uint64_t key) {
  struct natpasv_range runs[NATPASV_MAX_RANGES];
  unsigned int n = natpasv_ports_runs(ports, runs);

  memset(set, 0, sizeof(*set));
  set->key = key;
  set->nranges = (uint16_t) n;
  for (unsigned int i = 0; i < n; i++) {
    set->range[i].first = (uint16_t) runs[i].first;
    set->range[i].last = (uint16_t) runs[i].last;
  }
}

uint16_t natpasv_turns_set(struct natpasv_map *map,
  const struct natpasv_ports *ports, uint64_t key, uint16_t last) {
  uint16_t unused = 0;

  if (last != 0 && set_of(map, last)->key == key) {
    return last;
  }

  for (uint16_t n = NATPASV_SETS - 1; n > 0; n--) {
    const struct natpasv_set *set = &map->set[n];

    if (set->key == key) {
      return n;
    }
    if (set->guests == 0 &&
        (set->key == 0 || unused == 0 || map->set[unused].key != 0)) {
      unused = n;
    }
  }

  if (unused != 0) {
    make_set(&map->set[unused], ports, key);
    if (unused > map->last_set) {
      map->last_set = unused;
    }
  }
  return unused;
}

bool natpasv_turns_has(const struct natpasv_set *set, unsigned int port) {
  for (unsigned int i = 0; i < set->nranges && i < NATPASV_MAX_RANGES; i++) {
    if (port >= set->range[i].first && port <= set->range[i].last) {
      return true;
    }
  }
  return false;
}

/* Guests
 */

static uint16_t *bucket_of(
  struct natpasv_map *map, uint16_t set, uint64_t client) {
  return &map->bucket[(client + set * UINT64_C(2654435761)) % NATPASV_BUCKETS];
}

static uint16_t find_guest(
  struct natpasv_map *map, uint16_t set, uint64_t client) {
  uint16_t n = *bucket_of(map, set, client);

  for (unsigned int i = 0; n != 0 && i < NATPASV_GUESTS; i++) {
    const struct natpasv_guest *guest = guest_of(map, n);

    if (guest->client == client && guest->set == set) {
      return n;
    }
    n = guest->next;
  }
  return 0;
}

/* One that is unused; 0 if there is none. */
static uint16_t spare_guest(struct natpasv_map *map) {
  uint16_t n = map->spare_guest;

  if (n != 0) {
    map->spare_guest = guest_of(map, n)->next;
  } else if (map->last_guest < NATPASV_GUESTS - 1) {
    n = ++map->last_guest;
  }
  return n;
}

/* Created if necessary; 0 if there are too many. */
static uint16_t get_guest(
  struct natpasv_map *map, uint16_t set, uint64_t client) {
  uint16_t n = find_guest(map, set, client), *bucket;
  struct natpasv_guest *guest;

  if (n != 0) {
    return n;
  }

  n = spare_guest(map);
  if (n == 0) {
    return 0;
  }

  guest = guest_of(map, n);
  bucket = bucket_of(map, set, client);
  *guest =
    (struct natpasv_guest){ .client = client, .set = set, .next = *bucket };
  *bucket = n;
  set_of(map, set)->guests++;
  return n;
}

/* Removes the guest unless it has a port or waits. */
static void forget_guest(struct natpasv_map *map, uint16_t n) {
  struct natpasv_guest *guest = guest_of(map, n);
  uint16_t *at = bucket_of(map, guest->set, guest->client);

  if (guest->held > 0 || guest->sessions.first != 0) {
    return;
  }

  for (unsigned int i = 0; *at != 0 && *at != n && i < NATPASV_GUESTS; i++) {
    at = &guest_of(map, *at)->next;
  }
  if (*at == n) {
    *at = guest->next;
    guest->next = map->spare_guest;
    map->spare_guest = n;
    set_of(map, guest->set)->guests--;
  }
}

uint32_t natpasv_turns_held(
  struct natpasv_map *map, uint16_t set, uint64_t client) {
  uint16_t guest = find_guest(map, set, client);

  return guest != 0 ? guest_of(map, guest)->held : 0;
}

/* Ports and places
 */

unsigned int natpasv_turns_give(
  struct natpasv_map *map, uint16_t set, uint16_t n, unsigned int free) {
  uint16_t guest = get_guest(map, set, natpasv_owner(map, n)->client);
  unsigned int port;

  if (guest == 0) {
    return 0;
  }

  port = natpasv_lease_take(map, set, n, free);
  if (port != 0) {
    guest_of(map, guest)->held++;
  }
  forget_guest(map, guest);
  return port;
}

void natpasv_turns_take_back(struct natpasv_map *map, unsigned int port) {
  const struct natpasv_port *p = &map->port[port];

  if (p->owner != NATPASV_STRANGER) {
    uint16_t guest =
      find_guest(map, p->set, natpasv_owner(map, p->owner)->client);

    if (guest != 0 && guest_of(map, guest)->held > 0) {
      guest_of(map, guest)->held--;
      forget_guest(map, guest);
    }
  }
  natpasv_lease_end(map, port);
}

bool natpasv_turns_join(struct natpasv_map *map, uint16_t set, uint16_t n) {
  struct natpasv_owner *owner = natpasv_owner(map, n);
  uint16_t number = get_guest(map, set, owner->client);
  struct natpasv_guest *guest = guest_of(map, number);

  if (number == 0) {
    return false;
  }

  if (guest->sessions.first == 0) {
    push(&set_of(map, set)->turns, map->turn, number);
  }
  push(&guest->sessions, map->session, n);
  set_of(map, set)->waiting++;
  owner->set = set;
  atomic_store(&owner->turn, NATPASV_WAITS);
  return true;
}

void natpasv_turns_quit(struct natpasv_map *map, uint16_t n) {
  struct natpasv_owner *owner = natpasv_owner(map, n);
  struct natpasv_set *set = set_of(map, owner->set);
  uint16_t number = find_guest(map, owner->set, owner->client);
  struct natpasv_guest *guest = guest_of(map, number);

  if (number == 0 || guest->sessions.first == 0) {
    return;
  }

  take_out(&guest->sessions, map->session, n);
  take_out(&set->turns, map->turn, number);
  if (guest->sessions.first != 0) {
    push(&set->turns, map->turn, number);
  }
  set->waiting -= set->waiting > 0;
  forget_guest(map, number);
}

bool natpasv_turns_may(
  const struct natpasv_owner *owner, unsigned int held, unsigned int free) {
  return owner->any ? free > 0 : held < free;
}

uint16_t natpasv_turns_next(
  struct natpasv_map *map, const struct natpasv_set *set, unsigned int free) {
  uint16_t n = free > 0 ? set->turns.first : 0;

  for (unsigned int i = 0; n != 0 && i < NATPASV_GUESTS; i++) {
    const struct natpasv_guest *guest = guest_of(map, n);

    if (natpasv_turns_may(
          natpasv_owner(map, guest->sessions.first), guest->held, free)) {
      return guest->sessions.first;
    }
    n = AT(map->turn, n).next;
  }
  return 0;
}

/* Rebuilt from what sessions and ports record themselves. */
void natpasv_turns_rebuild(struct natpasv_map *map) {
  memset(map->bucket, 0, sizeof(map->bucket));
  map->spare_guest = map->last_guest = 0;
  for (unsigned int n = 0; n < NATPASV_SETS; n++) {
    map->set[n].guests = map->set[n].waiting = 0;
    map->set[n].turns = (struct natpasv_list){ 0, 0 };
  }
  map->last_set = NATPASV_SETS - 1;

  for (unsigned int port = 1; port <= NATPASV_MAX_PORT; port++) {
    struct natpasv_port *p = &map->port[port];

    if (p->owner == 0 || p->owner == NATPASV_STRANGER) {
      continue;
    }
    /* A waiting session has no port, unless it was about to be handed one. */
    if (natpasv_turns_has(set_of(map, p->set), port) &&
        atomic_load(&natpasv_owner(map, p->owner)->turn) != NATPASV_WAITS) {
      guest_of(
        map, get_guest(map, p->set, natpasv_owner(map, p->owner)->client))
        ->held++;
    } else {
      natpasv_lease_end(map, port);
    }
  }

  for (unsigned int n = 1; n < NATPASV_OWNERS; n++) {
    struct natpasv_owner *owner = &map->owner[n];

    if (owner->pid != 0 && atomic_load(&owner->turn) == NATPASV_WAITS) {
      (void) natpasv_turns_join(map, owner->set, (uint16_t) n);
    }
  }
}
