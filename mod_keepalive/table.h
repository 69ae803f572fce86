/*
 * mod_keepalive - the table that sessions share with the daemon
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_TABLE_H
#define KEEPALIVE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "network.h"
#include "result.h"
#include "rule.h"

#define KEEPALIVE_SLOTS  8192
#define KEEPALIVE_LAYOUT 3 /* changes with struct keepalive_table */

#define KEEPALIVE_COMMAND_LEN 8

/* A session. Only the session itself writes to it, except for owner and
 * next. */
struct keepalive_slot {
  _Atomic uint64_t owner; /* see keepalive_table_owner(); 0: free */
  _Atomic uint32_t next;  /* of a free slot: the number of the next one, or 0 */
  _Atomic uint32_t sent;  /* payload keepalives during this transfer */
  _Atomic uint64_t skipped[KEEPALIVE_RESULTS];
  _Atomic int64_t began; /* of this transfer (time_t), 0: none */
  uint32_t interval;
  unsigned char client[16]; /* an IPv6 address; IPv4 is mapped */
  char command[KEEPALIVE_COMMAND_LEN];
  char method[KEEPALIVE_COMMAND_LEN];
};

struct keepalive_table {
  _Atomic int64_t since;      /* time_t, 0: not begun */
  _Atomic uint64_t free;      /* number of the first slot that is free again,
                               * and how often that changed */
  _Atomic uint32_t used;      /* slots below this one have been in use */
  _Atomic uint32_t inspected; /* the slot that was checked last */
  _Atomic uint64_t transfers;
  _Atomic uint64_t sent[KEEPALIVE_METHODS];
  _Atomic uint64_t skipped[KEEPALIVE_RESULTS];
  _Atomic uint64_t
    broken;              /* replies that could not be completed: see reply.h */
  _Atomic uint64_t gone; /* clients that were given up */
  _Atomic uint64_t forgotten; /* connections that a path had forgotten */
  _Atomic uint64_t first;     /* the address of the first client, and ... */
  _Atomic uint32_t same;    /* ... how many clients after it had the same one */
  _Atomic uint32_t advised; /* method reply was recommended */
  struct keepalive_network network[KEEPALIVE_NETWORKS];
  struct keepalive_slot slot[KEEPALIVE_SLOTS];
};

/* To be called when the memory is new, and again whenever it is found. */
void keepalive_table_start(struct keepalive_table *table, int64_t now);

/* Identifies a process by its number and its start time; 0 if there is none.
 * Needs /proc, so a session calls this before it changes its root. */
uint64_t keepalive_table_owner(int pid);

/* Claims a slot for this process; NULL if none is free. The cost does not
 * depend on how many are in use. */
struct keepalive_slot *keepalive_table_claim(
  struct keepalive_table *table, uint64_t owner);

void keepalive_table_release(
  struct keepalive_table *table, struct keepalive_slot *slot, uint64_t owner);

/* A killed session does not release its slot. This frees those among the next
 * COUNT slots, in turn, whose owner has certainly ended. */
void keepalive_table_inspect(struct keepalive_table *table, unsigned int count);

/* Whether a live process owns this slot. If not, the slot is freed. */
bool keepalive_table_in_use(
  struct keepalive_table *table, struct keepalive_slot *slot);

#endif
