/*
 * mod_extip - the forwards as the daemon's sessions see them
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FORWARD_TABLE_H
#define EXTIP_FORWARD_TABLE_H

#include <stddef.h>

#include "portforward.h"

/* As with the table in table.h: the daemon is the only writer, and of the two
 * copies of an entry the one that is not valid is replaced, so a reader without
 * a lock always finds a complete one. All bytes 0: no forwards. */
struct extip_forward_table {
  _Atomic uint64_t generation; /* changes with each entry that is written */
  _Atomic uint32_t count;
  _Atomic uint32_t passive; /* passive ports are to be forwarded */
  struct {
    _Atomic uint64_t writes;
    struct extip_forward copies[2];
  } entries[EXTIP_FORWARDS_MAX];
};

/* In the daemon: from now on these ports are to be forwarded. What is known of
 * them stays. */
void extip_forward_table_claim(struct extip_forward_table *table,
  const struct forward_port *ports, size_t count, bool passive);

/* In the daemon: takes over what the helper sent, which is not trusted. False
 * if there is no such entry. */
bool extip_forward_table_take(struct extip_forward_table *table, size_t index,
  const struct extip_forward *forward);

size_t extip_forward_table_count(const struct extip_forward_table *table);

bool extip_forward_table_has_passive(const struct extip_forward_table *table);

/* Changes with each change. */
uint64_t extip_forward_table_generation(
  const struct extip_forward_table *table);

/* False, with zeros, if the writer was faster each time. INDEX is below the
 * count. A forward that is not renewed by NOW is not open. */
bool extip_forward_table_read(const struct extip_forward_table *table,
  size_t index, int64_t now, struct extip_forward *forward);

#endif
