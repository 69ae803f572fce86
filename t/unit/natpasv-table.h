/*
 * natpasv-table.h - tables and sessions for the tests of mod_natpasv.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NATPASV_TABLE_TEST_H
#define NATPASV_TABLE_TEST_H

#include "../../mod_natpasv/futex.c"
#include "../../mod_natpasv/lease.c"
#include "../../mod_natpasv/ports.c"
#include "../../mod_natpasv/queue.c"
#include "../../mod_natpasv/random.c"
#include "../../mod_natpasv/table.c"
#include "../../mod_natpasv/turns.c"

#include "tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

static inline void *share(size_t size) {
  void *memory =
    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (memory == MAP_FAILED) {
    printf("Bail out! %s\n", strerror(errno));
    exit(1);
  }
  return memory;
}

/* The table of one test. Those before it stay mapped: the kernel knows the
 * places that this process has there. */
static struct natpasv_map *map;
static struct natpasv_ports ports;
static uint64_t key;

static inline void fresh(const char *text) {
  struct natpasv_table table = { .map = share(sizeof(*map)), .fd = -1 };

  natpasv_table_begin(&table);
  map = table.map;
  natpasv_ports_parse(&ports, text, 1024);
  key = natpasv_ports_key(&ports);
}

/* A session, with a place of its own. */
struct session {
  struct natpasv_table table;
  struct natpasv_lessee lessee;
};

static inline void enrol(struct session *s, uint64_t client) {
  memset(s, 0, sizeof(*s));
  s->table.map = map;
  s->table.fd = -1;
  s->lessee = (struct natpasv_lessee){
    .table = &s->table, .ports = &ports, .key = key, .client = client
  };
  if (natpasv_queue_enrol(&s->lessee) < 0) {
    printf("Bail out! %s\n", strerror(errno));
    exit(1);
  }
}

static inline int claim_port(struct session *s) {
  return (int) natpasv_queue_claim(&s->lessee, true);
}

static inline int release_port(struct session *s, int port) {
  return natpasv_queue_release(&s->lessee, (unsigned int) port);
}

/* Waits for a port. */
static inline void join(struct session *s, uint64_t client) {
  enrol(s, client);
  (void) natpasv_queue_join(&s->lessee);
}

/* The port that a session was handed, or 0. */
static inline int handed(struct session *s) {
  return (int) natpasv_queue_wait(&s->lessee, 0);
}

/* A process that does something, says so, and stays. */
static inline pid_t start(void (*what)(void *), void *with) {
  int ready[2];
  pid_t pid;
  char byte;

  if (pipe(ready) < 0) {
    exit(1);
  }
  fflush(stdout);
  pid = fork();
  if (pid == 0) {
    what(with);
    (void) !write(ready[1], "x", 1);
    for (;;) {
      (void) pause();
    }
  }
  (void) close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) {
    printf("Bail out! a process has died\n");
    exit(1);
  }
  (void) close(ready[0]);
  return pid;
}

static inline void end(pid_t pid) {
  (void) kill(pid, SIGKILL);
  (void) waitpid(pid, NULL, 0);
}

static inline unsigned int free_ports(void) {
  unsigned int n = 0;

  for (unsigned int port = 0; port <= NATPASV_MAX_PORT; port++) {
    n += natpasv_ports_have(&ports, port) && map->port[port].owner == 0;
  }
  return n;
}

/* What holds whenever nobody has the lock; NULL, or what does not. */
static inline const char *unsound(void) {
  static uint32_t held[NATPASV_GUESTS], waiting[NATPASV_SETS];
  unsigned int guests = 0, spare = 0;

  memset(held, 0, sizeof(held));
  memset(waiting, 0, sizeof(waiting));
  for (unsigned int port = 1; port <= NATPASV_MAX_PORT; port++) {
    const struct natpasv_port *p = &map->port[port];
    bool taken = (map->taken[natpasv_word(port)] & natpasv_bit(port)) != 0;

    if (taken != (p->owner != 0)) {
      return "a port's bit is not that of its owner";
    }
    if (p->owner != 0 && p->owner != NATPASV_STRANGER) {
      uint16_t guest = find_guest(map, p->set, map->owner[p->owner].client);

      if (guest == 0) {
        return "a port has no guest";
      }
      held[guest]++;
    }
  }

  for (uint16_t n = 1; n < NATPASV_OWNERS; n++) {
    if (map->owner[n].pid != 0 && map->owner[n].turn == NATPASV_WAITS) {
      waiting[map->owner[n].set]++;
    }
  }

  for (uint16_t n = 1; n < NATPASV_SETS; n++) {
    const struct natpasv_set *set = &map->set[n];
    uint32_t there = 0, free = natpasv_lease_free(map, set);

    for (uint16_t g = set->turns.first; g != 0; g = map->turn[g].next) {
      if (map->guest[g].set != n || map->guest[g].sessions.first == 0) {
        return "a guest has a turn and does not wait";
      }
      for (uint16_t s = map->guest[g].sessions.first; s != 0;
           s = map->session[s].next) {
        if (map->owner[s].turn != NATPASV_WAITS) {
          return "a session is in a queue and does not wait";
        }
        if (natpasv_turns_may(&map->owner[s], map->guest[g].held, free)) {
          return "a session waits that may have a port";
        }
        there++;
      }
    }
    if (there != waiting[n] || there != set->waiting) {
      return "a session waits and is in no queue";
    }
    guests += set->guests;
  }

  for (uint16_t n = map->spare_guest; n != 0; n = map->guest[n].next) {
    spare++;
  }
  for (uint16_t n = 0; n < NATPASV_BUCKETS; n++) {
    for (uint16_t g = map->bucket[n]; g != 0; g = map->guest[g].next) {
      if (map->guest[g].held != held[g]) {
        return "a guest has another number of ports";
      }
      if (held[g] == 0 && map->guest[g].sessions.first == 0) {
        return "a guest has nothing and wants nothing";
      }
    }
  }
  return guests + spare == map->last_guest ? NULL : "a guest is lost";
}

#define is_sound(...) is_str(unsound(), NULL, __VA_ARGS__)

#endif
