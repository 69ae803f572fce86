/*
 * mod_natpasv - what ftpdctl shows, as text and as JSON
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Prints its arguments. Needs no ProFTPD. Names come from count.h and are safe
 * to print.
 */

#ifndef NATPASV_STATUS_H
#define NATPASV_STATUS_H

#include "common_json.h"
#include "common_report.h"
#include "count.h"

struct natpasv_status_pool {
  const char *name;
  unsigned int size, leased, quarantined, waiting;
  struct natpasv_counts all;            /* of its classes together */
  const struct natpasv_counts *classes; /* each */
  unsigned int nclasses;
  unsigned int to_forward, forwarded; /* by the router; 0: nobody asks it */
};

struct natpasv_status_lease {
  unsigned int port;
  const char *class;
  const char *client;
  pid_t pid;
  int age; /* seconds, -1 unknown */
};

/* What is shown: the pools, and since when (time_t) what is counted. */
struct natpasv_status {
  const char *who; /* "mod_natpasv/1.0" */
  int64_t since;
  const struct natpasv_status_pool *pools;
  unsigned int npools;
};

/* NOW is time_t. */
void natpasv_status_text(
  const struct natpasv_status *status, int64_t now, const struct report *out);

void natpasv_status_json(
  const struct natpasv_status *status, json_line line, void *user);

/* TOTAL is the number of all leases, of which these are the first. */
void natpasv_status_leases(const struct natpasv_status_lease *leases,
  unsigned int nleases, unsigned int total, const struct report *out);
void natpasv_status_leases_json(const char *who, int64_t since,
  const struct natpasv_status_lease *leases, unsigned int nleases,
  unsigned int total, json_line line, void *user);

#endif
