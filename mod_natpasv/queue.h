/*
 * mod_natpasv - which session gets the next port
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Sessions wait for the ports of a set, whatever the name of the pool. Pools of
 * the same ports are one set, and sets may overlap. A session that returns a
 * port hands it to the first session in the queue. Client addresses take turns:
 * an address that waits with many sessions has one turn in each round. An
 * address that holds n listeners gets another only while more than n ports are
 * free.
 *
 * So whenever the lock is free, no session waits for a port that it could have,
 * and a session that asks for a port need not look at the queue.
 */

#ifndef NATPASV_QUEUE_H
#define NATPASV_QUEUE_H

#include "table.h"

/* What the queue knows of a session. */
struct natpasv_lessee {
  struct natpasv_table *table;
  const struct natpasv_ports *ports; /* of its pool */
  uint64_t key;                      /* natpasv_ports_key of them */
  uint64_t client;                   /* its address, hashed */
  unsigned int quarantine;           /* seconds */
  bool any;            /* share any: no fair share for its client */
  uint16_t set;        /* its index at the last look-up */
  uint32_t rebuilt_ms; /* when it last rebuilt a table that seemed full */

  /* Set when a port is refused: */
  unsigned int left; /* free ones */
  unsigned int held; /* listeners of its client */
};

/* Takes a place in the table unless the session has one. Returns 0, or -1 with
 * errno ENOSPC. */
int natpasv_queue_enrol(struct natpasv_lessee *lessee);

/* Claims a port. Returns 0 with errno: EBUSY: none is free, or the free ones
 * are kept for other clients; ENOSPC: the table is full. With sure, ports of
 * sessions that have ended are taken back before a refusal; otherwise at most
 * once a second. */
unsigned int natpasv_queue_claim(struct natpasv_lessee *lessee, bool sure);

/* As natpasv_queue_claim(), but with EBUSY the session joins the queue. */
unsigned int natpasv_queue_join(struct natpasv_lessee *lessee);

/* Sleeps so many milliseconds at most, by natpasv_futex_nap(). Returns the port
 * that was handed to the session; 0 with errno: EAGAIN: it still waits; ESTALE:
 * it has lost its turn, because it did not take its port in time. */
unsigned int natpasv_queue_wait(struct natpasv_lessee *lessee, unsigned int ms);

/* How long to sleep: so long that one of all waiting sessions sweeps each
 * second. That the client has left is for a signal to tell. */
unsigned int natpasv_queue_nap(const struct natpasv_lessee *lessee);

/* Leaves the queue. Returns a port that it was handed meanwhile, or 0. */
unsigned int natpasv_queue_leave(struct natpasv_lessee *lessee);

/* Ends a lease. Returns -1 with errno ESTALE if the port had another owner,
 * which means that the table was damaged. */
int natpasv_queue_release(struct natpasv_lessee *lessee, unsigned int port);

/* Ends a lease because another program listens on the port. */
void natpasv_queue_stranger(struct natpasv_lessee *lessee, unsigned int port);

/* Takes back the ports of sessions that have ended, those of other programs,
 * and those that a session was handed and did not take. Returns their
 * number. */
unsigned int natpasv_queue_sweep(struct natpasv_lessee *lessee);

/* The number of sessions that wait for these ports, for display: the result may
 * be out of date. */
unsigned int natpasv_queue_waiting(const struct natpasv_map *map, uint64_t key);

#endif
