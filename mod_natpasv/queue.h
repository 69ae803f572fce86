/*
 * mod_natpasv - who is next when all ports are taken
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Sessions that wait for a port of a pool stand in the order of their
 * tickets. Nobody is handed a port: who stands so far in front that there are
 * ports for all ahead and for him claims one like anybody else, and those who
 * come later let him. So a session that is killed while it waits holds up
 * nobody longer than NATPASV_NAP_MS.
 */

#ifndef NATPASV_QUEUE_H
#define NATPASV_QUEUE_H

#include "table.h"

/* Longest sleep: after it a session looks for itself at the queue, its client
 * and its signals. */
#define NATPASV_NAP_MS 100

struct natpasv_place {
  struct natpasv_cell *cell;
  uint64_t ticket;
};

/* What a queue is known by in the table. */
uint32_t natpasv_queue_of(const char *pool);

/* -1 with errno ENOSPC when NATPASV_CELLS sessions wait already. */
int natpasv_queue_join(
  struct natpasv_table *table, uint32_t queue, struct natpasv_place *place);

void natpasv_queue_leave(
  struct natpasv_table *table, struct natpasv_place *place);

/* How many stand before that place; before a newcomer if place is NULL. One
 * load when nobody waits. With sure, those whose session has ended are taken
 * out first, at the price of a system call for each. */
unsigned natpasv_queue_ahead(struct natpasv_table *table, uint32_t queue,
  const struct natpasv_place *place, int sure);

/* Sleeps until somebody rings, a signal comes, or so many milliseconds, at
 * most NATPASV_NAP_MS, are over; returns at once when somebody rang since
 * natpasv_queue_rings returned that number. */
uint32_t natpasv_queue_rings(const struct natpasv_place *place);
void natpasv_queue_nap(
  const struct natpasv_place *place, uint32_t rings, unsigned ms);

/* Rings at the first in the queue that is really asleep: there may be a port
 * for him. Costs one load when nobody waits. */
void natpasv_queue_ring(struct natpasv_table *table, uint32_t queue);

#endif
