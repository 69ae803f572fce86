/*
 * mod_natpasv - which session has which port
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * There is one slot for each port number, so a port that belongs to two pools
 * or to none after a reload is still leased to one session at most. These
 * functions are called with the lock held, unless their comments say otherwise.
 */

#ifndef NATPASV_LEASE_H
#define NATPASV_LEASE_H

#include "table.h"

/* How long a port on which another program listens is skipped, in seconds. This
 * is short, because the listener of a killed session looks like one for a
 * moment. */
#define NATPASV_STRANGER_S 1

/* Ports of a set that are free. Called without the lock: the result may be out
 * of date. */
unsigned int natpasv_lease_free(
  const struct natpasv_map *map, const struct natpasv_set *set);

/* One of so many free ports of a set for a session, each equally likely; one
 * that its client had last, within the quarantine, only if there was no other
 * in this second. 0 if there is none, or nothing to draw lots with. */
unsigned int natpasv_lease_take(
  struct natpasv_map *map, uint16_t set, uint16_t owner, unsigned int free);

/* Ends the lease: the port is free, or another program has it. */
void natpasv_lease_end(struct natpasv_map *map, unsigned int port);
void natpasv_lease_stranger(struct natpasv_map *map, unsigned int port);

/* How many ports of a pool other programs have, as far as was seen. */
unsigned int natpasv_lease_strangers(
  const struct natpasv_map *map, const struct natpasv_ports *ports);

/* Whether a port of another program has been skipped for long enough. */
bool natpasv_lease_stranger_over(
  const struct natpasv_map *map, unsigned int port);

/* Repairs the bits of all ports. */
void natpasv_lease_rebuild(struct natpasv_map *map);

/* Seconds since the port was leased or returned; -1 if unknown. Called without
 * the lock. */
int natpasv_lease_age(const struct natpasv_map *map, unsigned int port);

#endif
