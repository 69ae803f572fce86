/*
 * mod_natpasv - client addresses and their turns
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Sets of ports, the guests of a set (client addresses that have some of its
 * ports or wait for one) and the sessions of a guest that wait. All of this is
 * called with the lock held.
 */

#ifndef NATPASV_TURNS_H
#define NATPASV_TURNS_H

#include "lease.h"

/* The set of these ports; last is where it was found before. It is created if
 * necessary, in the place of an unused one if there is no other. 0 if all are
 * in use. */
uint16_t natpasv_turns_set(struct natpasv_map *map,
  const struct natpasv_ports *ports, uint64_t key, uint16_t last);

bool natpasv_turns_has(const struct natpasv_set *set, unsigned int port);

/* How many listeners a client address has. */
uint32_t natpasv_turns_held(
  struct natpasv_map *map, uint16_t set, uint64_t client);

/* Whether a session whose client has so many may have one of so many. */
bool natpasv_turns_may(
  const struct natpasv_owner *owner, unsigned int held, unsigned int free);

/* One of so many free ports for a session; 0 if there is none. */
unsigned int natpasv_turns_give(
  struct natpasv_map *map, uint16_t set, uint16_t owner, unsigned int free);
void natpasv_turns_take_back(struct natpasv_map *map, unsigned int port);

/* A session joins the queue behind those of its client; false if there is no
 * place. When it leaves, the caller sets its turn, and its client's next turn
 * is the last of the round. */
bool natpasv_turns_join(struct natpasv_map *map, uint16_t set, uint16_t owner);
void natpasv_turns_quit(struct natpasv_map *map, uint16_t owner);

/* The session whose turn it is, among those that may have one of so many ports;
 * 0 if there is none. */
uint16_t natpasv_turns_next(
  struct natpasv_map *map, const struct natpasv_set *set, unsigned int free);

/* Rebuilds everything. The order of the waiting sessions is lost. */
void natpasv_turns_rebuild(struct natpasv_map *map);

#endif
