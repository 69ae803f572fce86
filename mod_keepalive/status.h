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

#include "table.h"

/* Takes one line of ASCII, shorter than 300 bytes, without its end. */
typedef void (*keepalive_line)(void *user, const char *line);

void keepalive_status_text(
  struct keepalive_table *table, int64_t now, keepalive_line line, void *user);

/* One JSON value over several lines. */
void keepalive_status_json(
  struct keepalive_table *table, keepalive_line line, void *user);

/* "192.0.2.1 during RETR: silent for 20s, ...", the words of the log as well.
 */
const char *keepalive_death_print(
  const struct keepalive_death *death, char *text, size_t size);

#endif
