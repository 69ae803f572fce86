/*
 * mod_natpasv - the counts as metrics for Prometheus
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "metrics.h"

/* Of a pool, at this moment. A pool may be in several servers under one name,
 * with the same ports, so a sample is left out if it was there before. */
enum of_pool { POOL_SIZE, POOL_LEASED, POOL_QUARANTINED, POOL_WAITING };

static const struct {
  const char *name, *help;
} of_pool[] = {
  [POOL_SIZE] = { "proftpd_natpasv_pool_ports", "Ports of the pool." },
  [POOL_LEASED] = { "proftpd_natpasv_leased_ports",
    "Ports on which a session waits for its client now." },
  [POOL_QUARANTINED] = { "proftpd_natpasv_quarantined_ports",
    "Free ports that are in quarantine for a client address." },
  [POOL_WAITING] = { "proftpd_natpasv_waiting_sessions",
    "Sessions that wait for a port now." },
};

/* Of a pool and a class of clients, since the counters began. */
static const struct {
  const char *name, *help;
} counters[] = {
  [NATPASV_GRANTED] = { "proftpd_natpasv_ports_granted_total",
    "Ports given to clients." },
  [NATPASV_WAITED] = { "proftpd_natpasv_requests_waited_total",
    "Requests that had to wait for a port." },
  [NATPASV_REFUSED] = { "proftpd_natpasv_requests_refused_total",
    "Requests answered with 425 because no port was free." },
  [NATPASV_FOREIGN] = { "proftpd_natpasv_ports_foreign_total",
    "Ports skipped because another program listened on them." },
  [NATPASV_UNREACHED] = { "proftpd_natpasv_listeners_unreached_total",
    "Listeners to which no client connected." },
  [NATPASV_DROPPED] = { "proftpd_natpasv_packets_dropped_total",
    "Packets and connections from addresses that may not connect." },
  [NATPASV_ACTIVE] = { "proftpd_natpasv_active_transfers_total",
    "Commands for a transfer in active mode." },
  [NATPASV_ACTIVE_REPLACED] = { "proftpd_natpasv_active_replaced_total",
    "Private addresses in PORT or EPRT replaced by the client's own." },
  [NATPASV_ACTIVE_REFUSED] = { "proftpd_natpasv_active_refused_total",
    "Commands refused in active mode." },
  [NATPASV_ACTIVE_FAILED] = { "proftpd_natpasv_active_failed_total",
    "Connections in active mode that could not be made." },
};

_Static_assert(sizeof(counters) / sizeof(counters[0]) == NATPASV_COUNTERS,
  "a name for each counter");

/* Whether a pool of that name precedes this one. */
static bool repeats(const struct natpasv_status *status, unsigned int n) {
  for (unsigned int i = 0; i < n; i++) {
    if (strcmp(status->pools[i].name, status->pools[n].name) == 0) {
      return true;
    }
  }
  return false;
}

static uint64_t pool_value(
  const struct natpasv_status_pool *pool, enum of_pool which) {
  switch (which) {
    case POOL_LEASED:
      return pool->leased;
    case POOL_QUARANTINED:
      return pool->quarantined;
    case POOL_WAITING:
      return pool->waiting;
    default:
      return pool->size;
  }
}

static void add_pools(
  struct prometheus *out, const struct natpasv_status *status) {
  for (enum of_pool which = 0; which < sizeof(of_pool) / sizeof(of_pool[0]);
       which++) {
    prometheus_metric(out, of_pool[which].name, "gauge", of_pool[which].help);
    for (unsigned int i = 0; i < status->npools; i++) {
      const struct prometheus_label labels[] = {
        { "pool", status->pools[i].name }, { NULL, NULL }
      };

      if (!repeats(status, i)) {
        prometheus_number(out, labels, pool_value(&status->pools[i], which));
      }
    }
  }
}

/* A pool that nobody has used counts zeros, for clients without a class. */
static void add_classes(
  struct prometheus *out, const struct natpasv_status_pool *pool, int which) {
  const struct natpasv_counts none = { .class = "" };
  const struct natpasv_counts *classes =
    pool->nclasses > 0 ? pool->classes : &none;
  unsigned int nclasses = pool->nclasses > 0 ? pool->nclasses : 1;

  for (unsigned int i = 0; i < nclasses; i++) {
    const struct prometheus_label labels[] = { { "pool", pool->name },
      { "class", classes[i].class }, { NULL, NULL } };

    prometheus_number(
      out, labels, which < 0 ? classes[i].peak : classes[i].count[which]);
  }
}

void natpasv_metrics(
  const struct natpasv_status *status, prometheus_line line, void *user) {
  static const char *const names[2] = { "proftpd_natpasv_info",
    "proftpd_natpasv_start_timestamp_seconds" };
  struct prometheus out = { .line = line, .user = user };

  prometheus_report(&out, names, status->who, status->since);
  add_pools(&out, status);
  for (int which = -1; which < NATPASV_COUNTERS; which++) {
    prometheus_metric(&out,
      which < 0 ? "proftpd_natpasv_peak_leased_ports" : counters[which].name,
      which < 0 ? "gauge" : "counter",
      which < 0 ? "The largest number of ports leased at the same time."
                : counters[which].help);
    for (unsigned int i = 0; i < status->npools; i++) {
      if (!repeats(status, i)) {
        add_classes(&out, &status->pools[i], which);
      }
    }
  }
  prometheus_flush(&out);
}
