/*
 * mod_natpasv - a port for a session that asks for one
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "grant.h"
#include "client.h"
#include "count.h"
#include "queue.h"

/* One try: a listener; or NULL with EBUSY when no port is free. */
static conn_t *try(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed) {
  const struct natpasv_pool *pool = terms->pool;

  for (;;) {
    conn_t *conn;
    int failure, port = natpasv_lease_claim(&terms->lessee, &pool->ports);

    if (port < 0) {
      return NULL;
    }

    conn = natpasv_listener_open(addr, (unsigned) port, closed);
    if (conn != NULL) {
      return conn;
    }

    failure = errno;
    if (failure != EADDRINUSE) {
      (void) natpasv_lease_release(&terms->lessee, (unsigned) port);
      errno = failure;
      return NULL;
    }

    natpasv_lease_stranger(&terms->lessee, (unsigned) port);
    natpasv_count(terms->row, NATPASV_FOREIGN);
    pr_trace_msg("natpasv", 5,
      "port %d of pool '%s' is in use by somebody else, trying another", port,
      pool->name);
  }
}

/* Whether there are ports for all who came before us and for us. */
static int is_our_turn(
  struct natpasv_terms *terms, const struct natpasv_place *place) {
  uint32_t queue = terms->pool->queue;
  unsigned free,
    ahead = natpasv_queue_ahead(&terms->table, queue, place, FALSE);

  if (ahead == 0) {
    return TRUE;
  }

  free = natpasv_lease_free(&terms->table, &terms->pool->ports);
  terms->lessee.left = free;
  return ahead < free || (free > 0 && natpasv_queue_ahead(&terms->table, queue,
                                        place, TRUE) < free);
}

static conn_t *try_in_turn(struct natpasv_terms *terms,
  const struct natpasv_place *place, const pr_netaddr_t *addr,
  natpasv_closed closed) {
  for (;;) {
    if (is_our_turn(terms, place)) {
      conn_t *conn = try(terms, addr, closed);

      if (conn != NULL || errno != EBUSY) {
        return conn;
      }
    }

    if (terms->lessee.left > 0 ||
        !natpasv_count_sweep_due(terms->row, NATPASV_SWEEP_MS) ||
        natpasv_lease_sweep(&terms->table, &terms->pool->ports) == 0) {
      errno = EBUSY;
      return NULL;
    }
    natpasv_queue_ring(&terms->table, terms->pool->queue);
  }
}

static conn_t *stand_in_line(struct natpasv_terms *terms,
  struct natpasv_place *place, const pr_netaddr_t *addr,
  natpasv_closed closed) {
  uint64_t end = natpasv_now_ms() + terms->wait * UINT64_C(1000);

  for (;;) {
    uint32_t rings = natpasv_queue_rings(place);
    uint64_t now;
    conn_t *conn = try_in_turn(terms, place, addr, closed);

    if (conn != NULL || errno != EBUSY) {
      return conn;
    }

    now = natpasv_now_ms();
    if (now >= end || natpasv_client_gave_up()) {
      errno = EBUSY;
      return NULL;
    }

    natpasv_queue_nap(place, rings,
      end - now < NATPASV_NAP_MS ? (unsigned) (end - now) : NATPASV_NAP_MS);
    pr_signals_handle();
  }
}

static conn_t *wait_for_port(struct natpasv_terms *terms,
  const pr_netaddr_t *addr, natpasv_closed closed) {
  struct natpasv_place place;
  conn_t *conn;
  int failure;

  natpasv_count(terms->row, NATPASV_WAITED);
  if (natpasv_queue_join(&terms->table, terms->pool->queue, &place) < 0) {
    errno = EBUSY;
    return NULL;
  }

  conn = stand_in_line(terms, &place, addr, closed);
  failure = errno;
  natpasv_queue_leave(&terms->table, &place);

  /* A ring that was meant for us may have come too late to use it. */
  natpasv_queue_ring(&terms->table, terms->pool->queue);
  errno = failure;
  return conn;
}

conn_t *natpasv_grant(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, conn_t **former, char *cause) {
  const struct natpasv_pool *pool = terms->pool;
  conn_t *conn = NULL;
  int failure;

  if (pool == NULL) {
    conn = natpasv_listener_open(addr, 0, closed);

  } else if (terms->table.self != 0 ||
             natpasv_table_enrol(&terms->table) == 0) {
    conn = try_in_turn(terms, NULL, addr, closed);
    if (conn == NULL && errno == EBUSY && *former != NULL) {
      natpasv_listener_drop(former);
      conn = try_in_turn(terms, NULL, addr, closed);
    }
    if (conn == NULL && errno == EBUSY && terms->wait > 0) {
      conn = wait_for_port(terms, addr, closed);
    }
    if (conn != NULL) {
      natpasv_count(terms->row, NATPASV_GRANTED);
    }
  }

  if (conn != NULL) {
    return conn;
  }

  failure = errno;
  if (failure == EBUSY) {
    unsigned left = terms->lessee.left;

    /* As it was when that was decided, not as it is now. */
    natpasv_count(terms->row, NATPASV_REFUSED);
    (void) pr_snprintf(cause, NATPASV_CAUSE_MAX,
      "no free port in pool '%s' (%u of %u in use%s)", pool->name,
      pool->ports.count - left, pool->ports.count,
      left > 0 ? ", the rest is for who came first" : "");

  } else {
    (void) pr_snprintf(cause, NATPASV_CAUSE_MAX, "%s", strerror(failure));
  }

  errno = failure;
  return NULL;
}

/* Not before the answer: until then, table.c sees to it that a table that was
 * cut off is no more than an empty one. */
static void mend(struct natpasv_table *table) {
  int mended = natpasv_table_mend(table);

  if (mended > 0) {
    natpasv_log(PR_LOG_NOTICE,
      "table '%s' was damaged: its head or length was put right, leases stay "
      "as far as they can be read",
      natpasv_table_path());

  } else if (mended < 0) {
    natpasv_log(PR_LOG_ERR, "table '%s' cannot be put right: %s",
      natpasv_table_path(), strerror(errno));
  }
}

void natpasv_after_answer(struct natpasv_terms *terms) {
  if (terms->pool != NULL && terms->table.map != NULL) {
    const struct natpasv_ports *ports = &terms->pool->ports;

    mend(&terms->table);
    natpasv_count_peak(
      terms->row, ports->count - natpasv_lease_free(&terms->table, ports));
  }
}

void natpasv_return(struct natpasv_terms *terms, unsigned port) {
  if (natpasv_lease_release(&terms->lessee, port) < 0) {
    natpasv_log(PR_LOG_NOTICE,
      "table '%s' was damaged: the lease of port %u had another owner; the "
      "port comes back when the pool has no other",
      natpasv_table_path(), port);
  }
  natpasv_queue_ring(&terms->table, terms->pool->queue);
}
