/*
 * mod_keepalive - the table that sessions share with the daemon
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Slots for sessions, counters, and facts about networks, in memory that a
 * daemon and its sessions share. Slots are claimed and released without a lock.
 * Needs no ProFTPD. */

#include "table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Slots that are free again form a stack. A slot's number is its index plus 1.
 * The upper bits count all changes, so that a stack which was changed and
 * changed back is not taken for the same. */
#define NUMBER(head)          ((uint32_t) (head))
#define CHANGED(head, number) ((((head) >> 32) + 1) << 32 | (number))

static void push(struct keepalive_table *table, struct keepalive_slot *slot) {
  uint32_t number = (uint32_t) (slot - table->slot) + 1;
  uint64_t head = atomic_load(&table->free);

  do {
    atomic_store(&slot->next, NUMBER(head));
  } while (
    !atomic_compare_exchange_weak(&table->free, &head, CHANGED(head, number)));
}

static struct keepalive_slot *pop(struct keepalive_table *table) {
  uint64_t head = atomic_load(&table->free);
  uint32_t next;

  do {
    if (NUMBER(head) == 0 || NUMBER(head) > KEEPALIVE_SLOTS) {
      return NULL;
    }
    next = atomic_load(&table->slot[NUMBER(head) - 1].next);
  } while (
    !atomic_compare_exchange_weak(&table->free, &head, CHANGED(head, next)));

  return &table->slot[NUMBER(head) - 1];
}

/* The first slot that was never in use. Its page is not touched before. */
static struct keepalive_slot *take_fresh(struct keepalive_table *table) {
  uint32_t used = atomic_load(&table->used);

  do {
    if (used >= KEEPALIVE_SLOTS) {
      return NULL;
    }
  } while (!atomic_compare_exchange_weak(&table->used, &used, used + 1));

  return &table->slot[used];
}

void keepalive_table_start(struct keepalive_table *table, int64_t now) {
  int64_t none = 0;

  (void) atomic_compare_exchange_strong(&table->since, &none, now);
}

/* Field 22 of stat, counted after the name, which may contain anything. */
static uint32_t start_of(int pid) {
  char path[32], text[1024], *field;
  FILE *file;
  size_t len;

  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  file = fopen(path, "re");
  if (file == NULL) {
    return 0;
  }

  len = fread(text, 1, sizeof(text) - 1, file);
  (void) fclose(file);
  text[len] = '\0';
  field = strrchr(text, ')');
  for (int i = 2; field != NULL && i < 22; i++) {
    field = strchr(field + 1, ' ');
  }

  return field != NULL ? (uint32_t) strtoull(field, NULL, 10) : 0;
}

uint64_t keepalive_table_owner(int pid) {
  uint32_t start = start_of(pid);

  return start != 0 ? (uint64_t) (uint32_t) pid << 32 | start : 0;
}

struct keepalive_slot *keepalive_table_claim(
  struct keepalive_table *table, uint64_t owner) {
  struct keepalive_slot *slot;

  if (owner == 0) {
    return NULL;
  }

  slot = pop(table);
  if (slot == NULL) {
    slot = take_fresh(table);
  }

  if (slot != NULL) {
    atomic_store(&slot->began, 0);
    atomic_store(&slot->owner, owner);
  }

  return slot;
}

void keepalive_table_release(
  struct keepalive_table *table, struct keepalive_slot *slot, uint64_t owner) {
  /* Only one process releases the slot: its owner, or one that found the owner
   * gone. */
  if (owner != 0 && atomic_compare_exchange_strong(&slot->owner, &owner, 0)) {
    push(table, slot);
  }
}

static bool is_there(uint64_t owner) {
  return kill((pid_t) (owner >> 32), 0) == 0 || errno != ESRCH;
}

/* A process that is there may be another one with the same number. Its start
 * time tells, but may be hidden from this process (hidepid), which proves
 * nothing. */
static bool has_ended(uint64_t owner) {
  uint32_t start;

  if (!is_there(owner)) {
    return true;
  }

  start = start_of((int) (owner >> 32));
  return start != 0 && start != (uint32_t) owner;
}

void keepalive_table_inspect(
  struct keepalive_table *table, unsigned int count) {
  uint32_t used = atomic_load(&table->used);

  for (unsigned int i = 0; i < count && used > 0 && used <= KEEPALIVE_SLOTS;
       i++) {
    struct keepalive_slot *slot =
      &table->slot[atomic_fetch_add(&table->inspected, 1) % used];
    uint64_t owner = atomic_load(&slot->owner);

    if (owner != 0 && has_ended(owner)) {
      keepalive_table_release(table, slot, owner);
    }
  }
}

bool keepalive_table_in_use(
  struct keepalive_table *table, struct keepalive_slot *slot) {
  uint64_t owner = atomic_load(&slot->owner);

  if (owner == 0) {
    return false;
  }

  if (is_there(owner)) {
    return true;
  }

  keepalive_table_release(table, slot, owner);
  return false;
}
