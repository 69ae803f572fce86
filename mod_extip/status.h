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

#include "common_json.h"
#include "common_report.h"
#include "table.h"

/* The largest number of lines that extip_status_text() prints. */
#define EXTIP_STATUS_LINES_MAX (13 + 7 * EXTIP_TABLE_SOURCES)

/* The age of an address that is withdrawn because of ExtIPMaxAge, in seconds;
 * 0: it is announced. NOW, here and below: seconds since the epoch. */
int64_t extip_status_withdrawn(const struct extip_record *whole, int64_t now);

/* One record as lines of text. The helper in it is 0 when there is none. */
void extip_status_text(
  const struct extip_record *whole, int64_t now, const struct report *out);

/* The same as an object within the array that the caller has opened. */
void extip_status_json(
  const struct extip_record *whole, int64_t now, struct json *json);

#endif
