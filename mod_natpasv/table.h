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
 * A file of fixed layout, mapped by every session. All bytes 0 is a valid,
 * empty table. Nothing in it is trusted: an index, a count or a name that
 * comes out of it is checked or only a hint, so that a damaged table costs
 * time, but never a crash nor a port outside the pool.
 *
 * Who is alive: each session that writes into the table has an identity that
 * is never used again, and holds a POSIX lock on the byte of that number. The
 * kernel drops the lock when the session ends, however it ends, and gives no
 * later process with the same process id the same byte.
 */

#ifndef NATPASV_TABLE_H
#define NATPASV_TABLE_H

#include "ports.h"

#include <stdatomic.h>
#include <sys/types.h>

#define NATPASV_ROWS      256
#define NATPASV_CELLS     1024
#define NATPASV_POOL_MAX  31 /* letters in the name of a pool */
#define NATPASV_CLASS_MAX 63

/* What is counted for each pool and class. */
enum natpasv_counter {
  NATPASV_GRANTED,
  NATPASV_WAITED,
  NATPASV_REFUSED,
  NATPASV_FOREIGN,
  NATPASV_UNREACHED,
  NATPASV_COUNTERS
};

struct natpasv_row {
  _Atomic uint64_t key; /* hash of pool and class */
  _Atomic uint64_t swept_ms;
  _Atomic uint64_t peak;
  _Atomic uint64_t count[NATPASV_COUNTERS];
  char pool[NATPASV_POOL_MAX + 1];
  char class[NATPASV_CLASS_MAX + 1];
};

/* The place of a session that waits for a port. */
struct natpasv_cell {
  _Atomic uint64_t owner;
  _Atomic uint64_t ticket;
  _Atomic uint32_t pool;  /* hash of its name */
  _Atomic uint32_t rings; /* futex: changes when it is worth a look */
};

struct natpasv_map {
  _Atomic uint64_t magic;
  _Atomic uint64_t tickets;
  _Atomic uint32_t waiting; /* hint: cells in use */
  _Atomic uint32_t freed;   /* counts ports that came back */
  struct natpasv_row row[NATPASV_ROWS];
  struct natpasv_cell cell[NATPASV_CELLS];
  /* Hint, one bit a port: not worth trying. owner decides. */
  _Atomic uint64_t taken[NATPASV_WORDS];
  /* 0, the identity of a session, or NATPASV_STRANGER and a time. */
  _Atomic uint64_t owner[NATPASV_MAX_PORT + 1];
  /* Client, and second of the last claim or release: for the quarantine. */
  _Atomic uint64_t recent[NATPASV_MAX_PORT + 1];
};

/* In owner: somebody else listens on the port; the other bits are the time in
 * milliseconds when that was found. */
#define NATPASV_STRANGER (UINT64_C(1) << 63)

struct natpasv_table {
  struct natpasv_map *map;
  int fd;
  uint64_t self; /* identity, 0 before natpasv_table_enrol */
};

/* Opens or makes the file. -1 with errno; EBADF is not a table of this
 * version, or not a plain file of the caller alone. While it is open it does
 * no harm if somebody cuts it off: SIGBUS is caught and the file made whole. */
int natpasv_table_open(struct natpasv_table *table, const char *path);

/* What is wrong, in words for who runs the server. */
const char *natpasv_table_error(int failure);

void natpasv_table_close(struct natpasv_table *table);

/* Takes an identity; once for a process, before anything is taken. */
int natpasv_table_enrol(struct natpasv_table *table);

/* The process id of an identity, 0 if that session has ended. */
pid_t natpasv_table_alive(const struct natpasv_table *table, uint64_t identity);

/* Whether any session at all is alive. */
int natpasv_table_busy(const struct natpasv_table *table);

/* Empties it, counters included. */
void natpasv_table_clear(struct natpasv_table *table);

/* Puts right a file that was cut off or written over at its head. 1 if that
 * was needed now or since the last time, else 0; -1 with errno if it failed. */
int natpasv_table_mend(struct natpasv_table *table);

/* Milliseconds since some fixed point, the same for all processes. */
uint64_t natpasv_now_ms(void);

/* FNV-1a, for keys. */
uint64_t natpasv_hash(uint64_t hash, const void *data, size_t size);
#define NATPASV_HASH UINT64_C(0xcbf29ce484222325)

#endif
