/*
 * mod_extip - the table as a report, for people and for machines
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_STATUS_H
#define EXTIP_STATUS_H

#include <stdint.h>

#include "table.h"

/* Lines go out one by one: printable ASCII, below 900 bytes, as ftpdctl and its
 * older and newer daemons take them. */
typedef void (*extip_line)(void *user, const char *line);

/* The most lines that extip_status_text() makes. */
#define EXTIP_STATUS_LINES_MAX (8 + 3 * EXTIP_TABLE_SOURCES)

/* One answer as lines of text. STATUS is NULL when there is none. NOW: seconds
 * since the epoch. */
void extip_status_text(const struct extip_table_answer *answer,
  const struct extip_table_status *status, int64_t now, extip_line line,
  void *user);

/* The same as one JSON object over several lines, with a comma after it unless
 * it is the LAST one of the array that the caller opened. Times are seconds
 * since the epoch, or null. */
void extip_status_json(const struct extip_table_answer *answer,
  const struct extip_table_status *status, int last, extip_line line,
  void *user);

#endif
