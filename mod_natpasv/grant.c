/*
 * mod_natpasv - gives a port to a session
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "grant.h"
#include "async.h"
#include "client.h"
#include "count.h"
#include "futex.h"
#include "lease.h"
#include "log.h"

/* Opens a listener on a port that the session has leased. NULL with errno;
 * EADDRINUSE: another program listens there, and the lease has ended. */
static conn_t *open_port(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, unsigned int port) {
  conn_t *conn = natpasv_listener_open(addr, port, closed);
  int xerrno = errno;

  if (conn != NULL) {
    return conn;
  }

  if (xerrno == EADDRINUSE) {
    natpasv_queue_stranger(&terms->lessee, port);
    natpasv_count(terms->row, NATPASV_FOREIGN);
    pr_trace_msg(NATPASV_TRACE, 5,
      "port %u of pool '%s' is in use by another program: trying the next one",
      port, terms->pool->name);
  } else {
    (void) natpasv_queue_release(&terms->lessee, port);
  }
  errno = xerrno;
  return NULL;
}

/* Opens a listener without waiting; NULL with EBUSY if no port is free. */
static conn_t *try(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, bool sure) {
  conn_t *conn = NULL;

  do {
    unsigned int port = natpasv_queue_claim(&terms->lessee, sure);

    if (port == 0) {
      return NULL;
    }
    conn = open_port(terms, addr, closed, port);
  } while (conn == NULL && errno == EADDRINUSE);
  return conn;
}

/* Waits for a port. Returns it, or 0 with errno when the wait is over. */
static unsigned int stand_in_line(struct natpasv_terms *terms, uint64_t end) {
  struct natpasv_lessee *lessee = &terms->lessee;
  unsigned int port = natpasv_queue_join(lessee);

  while (port == 0 && (errno == EBUSY || errno == EAGAIN)) {
    uint64_t now = natpasv_now_ms();
    unsigned int nap = natpasv_queue_nap(lessee);

    if (now >= end) {
      port = natpasv_queue_leave(lessee);
      errno = EBUSY;
      return port;
    }

    natpasv_futex_attend();
    if (natpasv_client_gave_up()) {
      natpasv_grant_stop(terms);
      errno = EBUSY;
      return 0;
    }

    port = natpasv_queue_wait(
      lessee, end - now < nap ? (unsigned int) (end - now) : nap);
    if (port == 0 && errno == ESTALE) {
      port = natpasv_queue_join(lessee);
    }
    if (port == 0) {
      int xerrno = errno;

      pr_signals_handle();
      errno = xerrno;
    }
  }
  return port;
}

static conn_t *wait_for_port(struct natpasv_terms *terms,
  const pr_netaddr_t *addr, natpasv_closed closed) {
  uint64_t end = natpasv_now_ms() + terms->wait * UINT64_C(1000);
  conn_t *conn = NULL;
  unsigned int port;
  int xerrno;

  natpasv_count(terms->row, NATPASV_WAITED);
  natpasv_async_naps_start();
  do {
    port = stand_in_line(terms, end);
    if (port != 0) {
      conn = open_port(terms, addr, closed, port);
    }
  } while (port != 0 && conn == NULL && errno == EADDRINUSE);

  xerrno = errno;
  natpasv_async_naps_stop();
  errno = xerrno;
  return conn;
}

static conn_t *grant(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, conn_t **former) {
  conn_t *conn = try(terms, addr, closed, false);

  if (conn == NULL && errno == EBUSY && *former != NULL) {
    natpasv_listener_drop(former);
    conn = try(terms, addr, closed, false);
  }
  if (conn == NULL && errno == EBUSY && terms->wait > 0) {
    conn = wait_for_port(terms, addr, closed);
  }
  if (conn == NULL && errno == EBUSY) {
    conn = try(terms, addr, closed, true);
  }
  return conn;
}

/* These are the numbers of the moment of the decision, not of now. */
static void explain(const struct natpasv_terms *terms, char *cause) {
  const struct natpasv_lessee *lessee = &terms->lessee;
  unsigned int size = lessee->ports->count;

  unsigned int strangers =
    natpasv_lease_strangers(lessee->table->map, lessee->ports);

  if (lessee->left == 0 && strangers > 0) {
    (void) pr_snprintf(cause, NATPASV_CAUSE_MAX,
      "no free port in pool '%s' (%u of %u in use, %u of them by other programs)",
      terms->pool->name, size, size, strangers);

  } else if (lessee->left == 0) {
    (void) pr_snprintf(cause, NATPASV_CAUSE_MAX,
      "no free port in pool '%s' (%u of %u in use)", terms->pool->name, size,
      size);
  } else {
    (void) pr_snprintf(cause, NATPASV_CAUSE_MAX,
      "no further port of pool '%s' for this client: it has %u of %u, and the last %u are kept for others",
      terms->pool->name, lessee->held, size, lessee->left);
  }
}

static int enrol(struct natpasv_terms *terms) {
  if (natpasv_table_mend(terms->lessee.table) > 0) {
    natpasv_log(PR_LOG_NOTICE,
      "the table of leases was damaged and has been initialised: ports that are in use are skipped when a session tries them");
  }
  return natpasv_queue_enrol(&terms->lessee);
}

conn_t *natpasv_grant(struct natpasv_terms *terms, const pr_netaddr_t *addr,
  natpasv_closed closed, conn_t **former, char *cause) {
  conn_t *conn = NULL;
  int xerrno;

  if (terms->pool == NULL) {
    conn = natpasv_listener_open(addr, 0, closed);

  } else if (enrol(terms) == 0) {
    conn = grant(terms, addr, closed, former);
    if (conn != NULL) {
      natpasv_count(terms->row, NATPASV_GRANTED);
    }
  }

  xerrno = errno;
  if (conn != NULL) {
    return conn;
  }

  if (xerrno == EBUSY) {
    natpasv_count(terms->row, NATPASV_REFUSED);
    explain(terms, cause);
  } else {
    (void) pr_snprintf(cause, NATPASV_CAUSE_MAX, "%s",
      xerrno == ENOSPC ? "the table of leases is full" : strerror(xerrno));
  }
  errno = xerrno;
  return NULL;
}

unsigned int natpasv_after_answer(struct natpasv_terms *terms) {
  unsigned int leased = 0;

  if (terms->pool != NULL && terms->lessee.table != NULL) {
    const struct natpasv_map *map = terms->lessee.table->map;
    unsigned int free =
      natpasv_lease_free(map, &map->set[terms->lessee.set % NATPASV_SETS]);

    leased = terms->lessee.ports->count - free;
    natpasv_count_peak(terms->row, leased);
  }
  return leased;
}

void natpasv_return(struct natpasv_terms *terms, unsigned int port) {
  if (natpasv_queue_release(&terms->lessee, port) < 0) {
    natpasv_log(PR_LOG_NOTICE,
      "the table of leases was damaged: the lease of port %u had another owner; the port is free again when its pool has no other",
      port);
  }
}

void natpasv_grant_stop(struct natpasv_terms *terms) {
  if (terms->lessee.table != NULL &&
      natpasv_table_is_enrolled(terms->lessee.table)) {
    unsigned int port = natpasv_queue_leave(&terms->lessee);

    if (port != 0) {
      (void) natpasv_queue_release(&terms->lessee, port);
    }
  }
}
