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

#include <stdatomic.h>
#include <string.h>

#include "forward_table.h"

#define READ_TRIES 100 /* see table.c */

static void write_entry(struct extip_forward_table *table, size_t index,
  const struct extip_forward *forward) {
  _Atomic uint64_t *count = &table->entries[index].writes;
  uint64_t writes = atomic_load_explicit(count, memory_order_relaxed) + 1;

  table->entries[index].copies[writes % 2] = *forward;
  atomic_store_explicit(count, writes, memory_order_release);
  atomic_fetch_add(&table->generation, 1);
}

static bool read_entry(const struct extip_forward_table *table, size_t index,
  struct extip_forward *forward) {
  const _Atomic uint64_t *count = &table->entries[index].writes;

  for (int i = 0; i < READ_TRIES; i++) {
    uint64_t writes = atomic_load_explicit(count, memory_order_acquire);

    memcpy(
      forward, &table->entries[index].copies[writes % 2], sizeof(*forward));
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(count, memory_order_relaxed) == writes) {
      return true;
    }
  }

  memset(forward, 0, sizeof(*forward));
  return false;
}

size_t extip_forward_table_count(const struct extip_forward_table *table) {
  uint32_t count = atomic_load(&table->count);

  return count < EXTIP_FORWARDS_MAX ? count : EXTIP_FORWARDS_MAX;
}

bool extip_forward_table_has_passive(const struct extip_forward_table *table) {
  return atomic_load(&table->passive) != 0;
}

uint64_t extip_forward_table_generation(
  const struct extip_forward_table *table) {
  return atomic_load(&table->generation);
}

void extip_forward_table_claim(struct extip_forward_table *table,
  const struct forward_port *ports, size_t count, bool passive) {
  struct extip_forward before[EXTIP_FORWARDS_MAX];
  size_t known = extip_forward_table_count(table);

  for (size_t i = 0; i < known; i++) {
    (void) read_entry(table, i, &before[i]);
  }

  for (size_t i = 0; i < count; i++) {
    struct extip_forward forward = { .port = ports[i] };

    for (size_t j = 0; j < known; j++) {
      if (memcmp(&before[j].port, &ports[i], sizeof(ports[i])) == 0) {
        forward = before[j];
      }
    }
    write_entry(table, i, &forward);
  }
  atomic_store(&table->count, (uint32_t) count);
  atomic_store(&table->passive, passive);
  atomic_fetch_add(&table->generation, 1);
}

bool extip_forward_table_take(struct extip_forward_table *table, size_t index,
  const struct extip_forward *forward) {
  struct extip_forward safe = *forward, before;

  if (index >= extip_forward_table_count(table) ||
      !read_entry(table, index, &before)) {
    return false;
  }

  safe.port = before.port;
  safe.reason[sizeof(safe.reason) - 1] = '\0';
  if (safe.state >= EXTIP_FORWARD_STATES ||
      (safe.state == EXTIP_FORWARD_OPEN) != (safe.given != 0)) {
    return false;
  }
  write_entry(table, index, &safe);
  return true;
}

bool extip_forward_table_read(const struct extip_forward_table *table,
  size_t index, int64_t now, struct extip_forward *forward) {
  if (!read_entry(table, index, forward)) {
    return false;
  }

  if (forward->state == EXTIP_FORWARD_OPEN && forward->until <= now) {
    forward->state = EXTIP_FORWARD_SILENT;
    forward->given = 0;
  }
  return true;
}
