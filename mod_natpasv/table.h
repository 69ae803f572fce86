/*
 * mod_natpasv - the table that all sessions share
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Memory of fixed layout that all sessions map: that of the daemon, or a file
 * (file.h). Zeros mean unused, so a page that nobody needs is never touched.
 *
 * It is changed under one lock, which is held for a microsecond; what is read
 * without the lock may be out of date. A process may be killed between any two
 * instructions. The next one that wants the lock then takes it, and is told to
 * repair what was left incomplete.
 *
 * Nothing in the table is trusted: an index is cut to its range, a chain has a
 * limit, and a port comes from the pool. So a damaged table costs time and
 * leases, but never causes a crash or a port outside the pool.
 *
 * Each session holds the mutex of its place from its first PASV to its end. The
 * mutex is robust: the kernel marks it when the process ends, however it ends.
 * So a look at one word tells whether a session is alive.
 */

#ifndef NATPASV_TABLE_H
#define NATPASV_TABLE_H

#include "common_local.h"
#include "ports.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* Number 0 of each means none. The sizes are powers of two, so an index is cut
 * to its range at no cost. */
#define NATPASV_OWNERS 16384 /* sessions that have ports or wait for one */
#define NATPASV_GUESTS NATPASV_OWNERS
#define NATPASV_SETS   256

#define NATPASV_BUCKETS   4096
#define NATPASV_BLOCK     1024 /* ports */
#define NATPASV_ROWS      256
#define NATPASV_CLASS_MAX 63

/* The owner of a port on which another program listens. */
#define NATPASV_STRANGER UINT16_MAX

/* The turn of an owner: it waits, or was handed the port in the low bits. */
#define NATPASV_WAITS  (UINT32_C(1) << 16)
#define NATPASV_HANDED (UINT32_C(2) << 16)

/* The counters of each pool and class. */
enum natpasv_counter {
  NATPASV_GRANTED,
  NATPASV_WAITED,
  NATPASV_REFUSED,
  NATPASV_FOREIGN,
  NATPASV_UNREACHED,
  NATPASV_DROPPED,
  NATPASV_ACTIVE,          /* transfers by PORT or EPRT */
  NATPASV_ACTIVE_REPLACED, /* private addresses in PORT or EPRT */
  NATPASV_ACTIVE_REFUSED,
  NATPASV_ACTIVE_FAILED, /* connections */
  NATPASV_COUNTERS
};

/* What is said in the log, but not each time. */
enum natpasv_saying {
  NATPASV_SAY_UNREACHED,
  NATPASV_SAY_OPENED,
  NATPASV_SAY_FILLS,
  NATPASV_SAY_LOCAL,
  NATPASV_SAY_FORWARDS,
  NATPASV_SAY_REFUSED,
  NATPASV_SAY_ACTIVE_REFUSED,
  NATPASV_SAY_ACTIVE_FAILED,
  NATPASV_SAY_TLS,
  NATPASV_SAYINGS
};

struct natpasv_row {
  _Atomic uint32_t used;
  uint64_t ports; /* key of the pool's */
  char class[NATPASV_CLASS_MAX + 1];
  _Atomic unsigned long peak;
  _Atomic unsigned long count[NATPASV_COUNTERS];
  _Atomic unsigned long said_s[NATPASV_SAYINGS]; /* when, in seconds */
};

/* A list of numbers, each with its neighbours in an array of links. */
struct natpasv_link {
  uint16_t next, before;
};

struct natpasv_list {
  uint16_t first, last;
};

/* The ports of a pool, for which sessions wait. */
struct natpasv_set {
  uint64_t key;
  uint32_t guests, waiting;
  struct natpasv_list turns; /* guests that wait, next one first */
  uint16_t nranges;
  struct {
    uint16_t first, last;
  } range[NATPASV_MAX_RANGES];
};

/* A client address with all its sessions, for one set of ports. */
struct natpasv_guest {
  uint64_t client;
  uint32_t held; /* listeners */
  uint16_t set;
  uint16_t next;                /* in its bucket, or unused */
  struct natpasv_list sessions; /* that wait, in order of arrival */
};

/* A session. */
struct natpasv_owner {
  pthread_mutex_t life;
  uint64_t client; /* its address */
  uint32_t pid;    /* 0: nobody */
  uint32_t check;  /* of these two */
  _Atomic uint32_t turn;
  uint32_t handed_ms;
  uint32_t quarantine;    /* seconds */
  uint32_t stale;         /* second in which it had all that is free before */
  _Atomic uint32_t ready; /* whether life is initialised */
  uint16_t set;           /* that it waits for */
  uint8_t any;            /* share any: no fair share for its client */
};

struct natpasv_port {
  uint32_t since;  /* second of the last claim or release */
  uint32_t client; /* that had it last, in short */
  uint16_t owner;  /* 0, a session, or NATPASV_STRANGER */
  uint16_t set;    /* that it was claimed from */
};

struct natpasv_map {
  uint64_t magic;
  uint32_t size;
  _Atomic uint32_t ready;
  _Atomic uint32_t lock;
  uint32_t swept_ms, handed_ms;
  uint32_t strangers; /* hint: there may be some */
  uint16_t last_owner, free_owner, last_set, next_set, handed_to;
  uint16_t last_guest, spare_guest; /* those after the last were never used */
  uint64_t seed;                    /* of the hash of addresses */
  struct local_run local_run;
  struct natpasv_set set[NATPASV_SETS];
  struct natpasv_owner owner[NATPASV_OWNERS];
  struct natpasv_link session[NATPASV_OWNERS];
  struct natpasv_guest guest[NATPASV_GUESTS];
  struct natpasv_link turn[NATPASV_GUESTS];
  uint16_t bucket[NATPASV_BUCKETS];
  uint64_t taken[NATPASV_WORDS]; /* a bit for each port with an owner */
  uint16_t taken_in[(NATPASV_MAX_PORT + 1) / NATPASV_BLOCK]; /* how many */
  struct natpasv_row row[NATPASV_ROWS];
  int64_t since; /* time_t: when the rows were empty */
  struct natpasv_port port[NATPASV_MAX_PORT + 1];
};

struct natpasv_table {
  struct natpasv_map *map;
  int fd;          /* of a file; -1 memory */
  uint16_t self;   /* owner; 0 before natpasv_table_enrol */
  pid_t pid;       /* that enrolled */
  uint32_t locked; /* what this process writes into the lock */
};

/* The place of that number, which is cut to its range. */
static inline struct natpasv_owner *natpasv_owner(
  struct natpasv_map *map, unsigned int n) {
  return &map->owner[n % NATPASV_OWNERS];
}

/* Whether a header is that of a table with this layout, or with another one. */
bool natpasv_table_is_ours(uint64_t magic, uint32_t size);
bool natpasv_table_is_older(uint64_t magic);

/* Initialises new memory, whose bytes are all 0, at the cost of one page. */
void natpasv_table_begin(struct natpasv_table *table);

/* Initialises the whole table, or all but the counters and the last owners of
 * ports. */
void natpasv_table_clear(struct natpasv_table *table);
void natpasv_table_reset(struct natpasv_table *table);

/* Initialises a table that is new or has a damaged header. Returns 1 if it did,
 * 0 if the table is sound, which costs a load or two. */
int natpasv_table_mend(struct natpasv_table *table);

/* Takes a place for this process, unless it has one, before it takes anything
 * else. Returns 0; 1 if the place belonged to a session that has died, whose
 * ports have to be taken back; -1 with errno ENOSPC. */
int natpasv_table_enrol(struct natpasv_table *table);

/* Whether this process still has its place, which it loses if the table is
 * damaged. */
bool natpasv_table_is_enrolled(const struct natpasv_table *table);

/* Signs the place, under the lock. */
void natpasv_table_sign(struct natpasv_table *table, uint64_t client);

/* Gives the place up; for a session that continues without the table. A session
 * need not: its end is seen. */
void natpasv_table_leave(struct natpasv_table *table);

/* Whether the session in that place is alive. */
bool natpasv_table_alive(const struct natpasv_table *table, uint16_t owner);

/* Takes the lock. Returns 0; 1 if its owner has died, or has not moved for a
 * second, and may have left changes incomplete. */
int natpasv_table_lock(struct natpasv_table *table);
void natpasv_table_unlock(struct natpasv_table *table);

/* FNV-1a, for keys. */
uint64_t natpasv_hash(uint64_t hash, const void *data, size_t size);
#define NATPASV_HASH UINT64_C(0xcbf29ce484222325)

#endif
