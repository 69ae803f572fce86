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
 * One slot a port number, claimed with one compare-and-swap, so a port that
 * belongs to two pools or to none after a reload is still leased to one
 * session at most. No lock anywhere: a process may be killed between any two
 * instructions, and what it leaves behind is either a stale hint, which the
 * next one puts right, or a lease, which a sweep takes back.
 */

#ifndef NATPASV_LEASE_H
#define NATPASV_LEASE_H

#include "ports.h"
#include "table.h"

/* How long a port that a stranger listens on is left alone. Short, because
 * the listener of a session that was killed looks like one for a moment. */
#define NATPASV_STRANGER_MS 1000

/* A session, as far as leases go. All zero at first, but for what is known:
 * table, client, quarantine. */
struct natpasv_lessee {
  struct natpasv_table *table;
  uint32_t client;     /* its address, or a hash of it */
  unsigned quarantine; /* seconds */
  unsigned left;       /* free ports of the pool when it was refused one */

  /* Ports that are in quarantine for this client, as far as was seen in this
   * second; saves looking at each of them again for each claim. */
  uint64_t second;
  uint64_t shunned[NATPASV_WORDS];
};

/* A free port, each equally likely; one that the same client had within the
 * quarantine only if there is no other. As long as it takes to look through
 * ports->count bits, however full the pool. -1 with errno: EBUSY all ports
 * are taken, else from natpasv_random. */
int natpasv_lease_claim(
  struct natpasv_lessee *lessee, const struct natpasv_ports *ports);

/* The lease ends. -1 with errno ESTALE: the table said that it was somebody
 * else's, which only a damaged table does. */
int natpasv_lease_release(struct natpasv_lessee *lessee, unsigned port);

/* The lease ends because a stranger listens on the port. */
void natpasv_lease_stranger(struct natpasv_lessee *lessee, unsigned port);

/* Takes back what sessions that are gone had, and ports that strangers had.
 * Returns how many ports that were. One system call for each lease. */
unsigned natpasv_lease_sweep(
  const struct natpasv_table *table, const struct natpasv_ports *ports);

/* Ports of a pool that can be claimed now. */
unsigned natpasv_lease_free(
  const struct natpasv_table *table, const struct natpasv_ports *ports);

/* For who shows the table: the state of one port now. */
enum natpasv_state { NATPASV_IS_FREE, NATPASV_IS_LEASED, NATPASV_IS_FOREIGN };

enum natpasv_state natpasv_lease_state(
  const struct natpasv_table *table, unsigned port, uint64_t *owner);

/* Seconds since the port was leased or came back; -1 if that is unknown. */
int natpasv_lease_age(const struct natpasv_table *table, unsigned port);

#endif
