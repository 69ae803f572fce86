/*
 * mod_natpasv - counts events for each pool and class
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The rows of the table, for each set of ports and class. Peak is of all these
 * ports, as seen when one of the class was given one.
 */

#ifndef NATPASV_COUNT_H
#define NATPASV_COUNT_H

#include "table.h"

/* A row as shown: the name is cut to its limit and printable. */
struct natpasv_counts {
  uint64_t ports; /* natpasv_ports_key of the pool's */
  char class[NATPASV_CLASS_MAX + 1];
  unsigned long peak;
  unsigned long count[NATPASV_COUNTERS];
};

/* The row of these ports and this class, created if necessary; NULL if all rows
 * are in use, and then nothing is counted. class is "" for clients without a
 * class. */
struct natpasv_row *natpasv_count_row(
  struct natpasv_table *table, uint64_t ports, const char *class);

/* These take NULL for a row. */
void natpasv_count(struct natpasv_row *row, enum natpasv_counter which);
void natpasv_count_more(
  struct natpasv_row *row, enum natpasv_counter which, unsigned int more);
void natpasv_count_peak(struct natpasv_row *row, unsigned long leased);

/* Whether it was last said longer ago than that, or never; if so, the caller is
 * the one who says it. */
bool natpasv_count_say(
  struct natpasv_row *row, enum natpasv_saying which, unsigned int every_ms);

/* The i-th row, 0 to NATPASV_ROWS - 1; -1 if it is empty. */
int natpasv_count_get(const struct natpasv_table *table, unsigned int i,
  struct natpasv_counts *counts);

#endif
