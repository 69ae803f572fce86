/*
 * mod_natpasv - gives a port to a session
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_GRANT_H
#define NATPASV_GRANT_H

#include "listener.h"
#include "pools.h"
#include "queue.h"

/* A session, and what governs the ports that it gets. */
struct natpasv_terms {
  const struct natpasv_pool *pool; /* NULL the kernel's choice */
  unsigned int wait;               /* seconds */
  struct natpasv_row *row;         /* where it is counted, or NULL */
  struct natpasv_lessee lessee;
};

/* Room for the cause in words. */
#define NATPASV_CAUSE_MAX 160

/* Opens a listener on a port of the pool, and never on another one. NULL with
 * errno and the cause: EBUSY: no port became free in time; ENOSPC: the table is
 * full; else a failure of the system. The session's former data connection is
 * closed first if its port is needed. */
conn_t *natpasv_grant(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, conn_t **former, char *cause);

/* Does what can wait until the client has its reply: looks how full the pool
 * is. Returns how many of its ports are in use. */
unsigned int natpasv_after_answer(struct natpasv_terms *terms);

/* Returns a port, which goes to the next waiter. */
void natpasv_return(struct natpasv_terms *terms, unsigned int port);

/* The session ends, perhaps in the middle of a wait. */
void natpasv_grant_stop(struct natpasv_terms *terms);

#endif
