/*
 * mod_extip - the state of the forwards, for forward.c and forward_tell.c
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FORWARD_STATE_H
#define EXTIP_FORWARD_STATE_H

#include "forward.h"

#define EXTIP_FORWARD_NEVER INT64_MAX

enum extip_forward_doing { NOTHING, MAPPING, REMOVING };

struct extip_forward_entry {
  struct extip_forward forward;
  unsigned char nonce[EXTIP_FORWARD_NONCE_SIZE];
  bool wanted;  /* configured; false: from before, to be removed */
  bool held;    /* the router may have it */
  bool had;     /* so it was before the request that is on its way */
  bool changed; /* not told yet */
  bool remove;  /* what is to be done next is to remove it */
  bool crowded; /* another entry was given its port, and returns it */

  enum extip_forward_doing doing; /* what is on its way */
  uint16_t asked;                 /* outside port in that request */
  unsigned int sends;
  int64_t first_sent;
  int64_t resend; /* or give up; when something is on its way */
  int64_t due;    /* else */
  unsigned int failures;
};

struct extip_forwarder {
  struct extip_forward_conf conf;
  size_t wanted, count; /* of entries; the wanted ones come first */
  size_t on_way;

  /* Small routers take long for a forward, and take longer still if all is
   * repeated meanwhile. */
  size_t window;   /* how many may be on their way; grows with each answer */
  int64_t latency; /* of an answer, milliseconds, as a running mean */
  bool closing;

  /* Finding the protocol. */
  size_t protocol; /* index of the one in use or being tried */
  bool settled;    /* the router speaks it */
  size_t tried;    /* protocols in a row without an answer */
  unsigned int silences;
  int64_t probe_due;
  int64_t heard; /* last answer; -1: none yet */

  int64_t again_last; /* -1: never */
  int64_t again_due;  /* EXTIP_FORWARD_NEVER: not asked for */

  struct extip_forward_entry entries[];
};

static inline enum extip_protocol extip_forward_current(
  const struct extip_forwarder *forwarder) {
  return forwarder->conf.protocols[forwarder->protocol];
}

/* The request for an entry, as it is now. */
void extip_forward_fill(const struct extip_forwarder *forwarder,
  const struct extip_forward_entry *entry,
  struct extip_forward_request *request);

#endif
