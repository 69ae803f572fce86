/*
 * mod_extip - the forwards on the router: what others are told of them
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <string.h>

#include "forward_state.h"

void extip_forward_fill(const struct extip_forwarder *forwarder,
  const struct extip_forward_entry *entry,
  struct extip_forward_request *request) {
  request->protocol = entry->forward.protocol;
  request->inside = entry->forward.port.inside;
  request->outside = entry->asked;
  request->exact = !forwarder->conf.any_port;
  request->lifetime = entry->doing == REMOVING ? 0 : forwarder->conf.lifetime;
  memcpy(request->nonce, entry->nonce, sizeof(request->nonce));
}

const struct extip_forward *extip_forward_changed(
  struct extip_forwarder *forwarder, size_t *index) {
  for (size_t i = 0; i < forwarder->wanted; i++) {
    if (forwarder->entries[i].changed) {
      forwarder->entries[i].changed = false;
      *index = i;
      return &forwarder->entries[i].forward;
    }
  }
  return NULL;
}

struct extip_forward_summary extip_forward_summarize(
  const struct extip_forwarder *forwarder, int64_t now) {
  struct extip_forward_summary summary = {
    .total = forwarder->wanted,
    .resting = forwarder->on_way == 0 && extip_forward_due(forwarder) > now,
    .silent = forwarder->silences > 0,
    .settled = forwarder->settled,
    .protocol = extip_forward_current(forwarder),
  };

  for (size_t i = 0; i < forwarder->wanted; i++) {
    const struct extip_forward *forward = &forwarder->entries[i].forward;

    if (forward->state == EXTIP_FORWARD_OPEN) {
      summary.open++;
    } else if (summary.closed == NULL) {
      summary.closed = forward;
    }
  }
  return summary;
}

bool extip_forward_example(const struct extip_forwarder *forwarder,
  enum extip_protocol protocol, struct extip_forward_request *request) {
  for (size_t i = 0; i < forwarder->wanted; i++) {
    const struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->forward.state == EXTIP_FORWARD_OPEN && !entry->remove &&
        entry->forward.protocol == (uint8_t) protocol) {
      extip_forward_fill(forwarder, entry, request);
      return true;
    }
  }
  return false;
}

size_t extip_forward_list_held(const struct extip_forwarder *forwarder,
  struct extip_forward_held *held, size_t size) {
  size_t count = 0;

  for (size_t i = 0; i < forwarder->count && count < size; i++) {
    const struct extip_forward_entry *entry = &forwarder->entries[i];

    /* A configured port keeps its nonce, also while it is not forwarded. */
    if ((entry->wanted && !forwarder->closing) || entry->held) {
      held[count].port = entry->forward.port;
      held[count].protocol = entry->forward.protocol;
      memcpy(held[count].nonce, entry->nonce, sizeof(entry->nonce));
      count++;
    }
  }
  return count;
}

bool extip_forward_closed(const struct extip_forwarder *forwarder) {
  for (size_t i = 0; i < forwarder->count; i++) {
    if (forwarder->entries[i].held) {
      return false;
    }
  }
  return true;
}

void extip_forward_address(
  struct extip_forwarder *forwarder, struct in_addr addr) {
  for (size_t i = 0; i < forwarder->wanted; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->forward.addr != addr.s_addr) {
      entry->forward.addr = addr.s_addr;
      entry->changed = true;
    }
  }
}
