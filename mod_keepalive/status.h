/*
 * mod_keepalive - the table as a report, for people and for machines
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_STATUS_H
#define KEEPALIVE_STATUS_H

#include "common_json.h"
#include "common_report.h"
#include "table.h"

/* NOW is time_t. */
void keepalive_status_text(
  struct keepalive_table *table, int64_t now, const struct report *out);

/* One JSON value over several lines. WHO is "mod_keepalive/1.0". */
void keepalive_status_json(
  struct keepalive_table *table, const char *who, json_line line, void *user);

/* How many sessions are in transfer, and how many there are. */
unsigned int keepalive_status_sessions(
  struct keepalive_table *table, unsigned int *all);

/* The next network, from *I on, whose path is known to forget; false at the
 * end. */
bool keepalive_status_network(struct keepalive_table *table, unsigned int *i,
  struct keepalive_facts *facts, char text[KEEPALIVE_NETWORK_TEXT]);

/* The name of a result for machines. */
const char *keepalive_status_result(enum keepalive_result result);

#endif
