/*
 * mod_natpasv - a port for a session that asks for one
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

/* How often, at most, a pool without a free port is looked through for
 * sessions that are gone. */
#define NATPASV_SWEEP_MS 250

/* A session and the terms on which it gets ports. */
struct natpasv_terms {
  const struct natpasv_pool *pool; /* NULL the kernel's choice */
  unsigned wait;                   /* seconds */
  struct natpasv_row *row;         /* where it is counted, or NULL */
  struct natpasv_lessee lessee;
  struct natpasv_table table;
};

/* Room for the cause in words. */
#define NATPASV_CAUSE_MAX 128

/* An open listener on a port of the pool, never another one. NULL with errno
 * and the cause: EBUSY no port came free in time, else a system's failure. The
 * session's former data connection is closed first if its port is needed. */
conn_t *natpasv_grant(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, conn_t **former, char *cause);

/* What can wait until the client has its answer, whatever that was: a look at
 * the table for damage, and at how full the pool has become. */
void natpasv_after_answer(struct natpasv_terms *terms);

/* The port goes back; whoever waits for it is told. */
void natpasv_return(struct natpasv_terms *terms, unsigned port);

#endif
