/*
 * mod_natpasv - what happened, for each pool and class
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The rows of the table. Peak is of the whole pool, as seen when one of the
 * class was given a port.
 */

#ifndef NATPASV_COUNT_H
#define NATPASV_COUNT_H

#include "table.h"

/* A row as shown: names are cut to their limits and printable. */
struct natpasv_counts {
  char pool[NATPASV_POOL_MAX + 1];
  char class[NATPASV_CLASS_MAX + 1];
  uint64_t peak;
  uint64_t count[NATPASV_COUNTERS];
};

/* The row of a pool and class, made if need be; NULL when all are in use:
 * then nothing is counted. class is "" for clients of no class. */
struct natpasv_row *natpasv_count_row(
  struct natpasv_table *table, const char *pool, const char *class);

/* These take NULL for a row. */
void natpasv_count(struct natpasv_row *row, enum natpasv_counter which);
void natpasv_count_peak(struct natpasv_row *row, unsigned leased);

/* Whether the last sweep for this row is longer ago than that; if so, the
 * caller is the one who does it. */
int natpasv_count_sweep_due(struct natpasv_row *row, unsigned every_ms);

/* The i-th row, 0 to NATPASV_ROWS - 1; -1 if it is empty or damaged. */
int natpasv_count_get(
  const struct natpasv_table *table, unsigned i, struct natpasv_counts *counts);

#endif
