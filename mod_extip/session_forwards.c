/*
 * mod_extip - a session: which ports the router forwards
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "session.h"
#include "shared.h"

/* The forwards, as they were at the last look. */
static struct forward *list = NULL; /* room for all, once there is one */
static struct forwards forwards = { .forward = NULL };
static uint64_t seen = 0;       /* generation of the table */
static int64_t seen_until = -1; /* when the first of them is over */

static struct forward describe(const struct extip_forward *forward) {
  return (struct forward){ .inside = forward->port.inside,
    .outside = forward->given,
    .addr = { forward->addr },
    .open = forward->state == EXTIP_FORWARD_OPEN,
    .state = extip_forward_state_name(forward->state) };
}

static void look(const struct extip_forward_table *table, int64_t now) {
  size_t count = extip_forward_table_count(table);

  seen = extip_forward_table_generation(table);
  seen_until = INT64_MAX;
  forwards.generation++;
  forwards.count = (unsigned int) count;
  for (size_t i = 0; i < count; i++) {
    struct extip_forward forward;

    (void) extip_forward_table_read(table, i, now, &forward);
    list[i] = describe(&forward);
    if (list[i].open && forward.until < seen_until) {
      seen_until = forward.until;
    }
  }
}

const struct forwards *extip_session_forwards(void) {
  const struct extip_forward_table *table = extip_shared_forwards_view();
  int64_t now = extip_now();

  if (table == NULL || !extip_forward_table_has_passive(table)) {
    return NULL;
  }

  if (list == NULL) {
    list = calloc(EXTIP_FORWARDS_MAX, sizeof(*list));
    if (list == NULL) {
      return NULL;
    }
    forwards.forward = list;
  }

  if (extip_forward_table_generation(table) != seen || now >= seen_until) {
    look(table, now);
  }
  return &forwards;
}

void extip_session_forwards_free(void) {
  free(list);
  list = NULL;
  seen = 0;
  seen_until = -1;
}

const struct forward *extip_session_forward(pool *p, const char *port) {
  const struct extip_forward_table *table = extip_shared_forwards_view();
  size_t count = table != NULL ? extip_forward_table_count(table) : 0;

  unsigned long number = strtoul(port, NULL, 10);

  for (size_t i = 0; i < count; i++) {
    struct extip_forward forward;
    struct forward *found;

    (void) extip_forward_table_read(table, i, extip_now(), &forward);
    if (forward.port.inside == number) {
      found = pcalloc(p, sizeof(*found));
      *found = describe(&forward);
      return found;
    }
  }
  return NULL;
}

void extip_session_doubt_forwards(void) {
  struct extip_wake wake = { INADDR_NONE, 0 };

  if (extip_session_forwards() != NULL) {
    (void) extip_shared_wake(&wake);
  }
}
