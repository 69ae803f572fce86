/*
 * mod_extip - the forwards on the router: what is asked for when
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FORWARD_H
#define EXTIP_FORWARD_H

#include <stddef.h>

#include "portforward.h"

/*
 * Pure logic, without a network and a clock: the caller supplies the time
 * (milliseconds that never go back) and random numbers, sends the requests and
 * hands in the answers. Ports are asked for in their order. At most
 * EXTIP_FORWARD_ON_WAY requests are on their way, and only one until the
 * router has answered: the first port finds out which protocol it speaks.
 */

#define EXTIP_FORWARD_ON_WAY     8
#define EXTIP_FORWARD_NONCE_SIZE 12

/* "Again" means at most so often, milliseconds. */
#define EXTIP_FORWARD_AGAIN_GAP 2000

struct extip_forward_conf {
  const struct forward_port *ports;
  size_t count;
  unsigned int lifetime; /* seconds */
  bool any_port;         /* another outside port is welcome, too */
  enum extip_protocol protocols[EXTIP_PROTOCOLS]; /* in order of preference */
  size_t protocol_count;
};

/* What the router is asked for. */
struct extip_forward_request {
  enum extip_protocol protocol;
  uint16_t inside, outside;
  uint32_t lifetime; /* seconds; 0: the forward is to be removed */
  bool exact;        /* no other outside port is of use */
  unsigned char nonce[EXTIP_FORWARD_NONCE_SIZE]; /* PCP's */
};

enum extip_forward_result {
  EXTIP_FORWARD_GRANTED, /* or removed */
  EXTIP_FORWARD_DENIED,
  EXTIP_FORWARD_UNSUPPORTED /* the router does not speak this protocol */
};

/* An answer to a request for INSIDE. */
struct extip_forward_reply {
  enum extip_protocol protocol;
  enum extip_forward_result result;
  uint16_t inside, outside;
  uint32_t lifetime;   /* seconds; of an error: how long it will last, or 0 */
  struct in_addr addr; /* outside address; INADDR_ANY: not told */
  const unsigned char *nonce; /* NULL: the protocol has none */
  const char *reason;         /* of a refusal, or NULL */
};

/* A forward that this server may have from before, see forward_file.h. */
struct extip_forward_held {
  struct forward_port port;
  enum extip_protocol protocol;
  unsigned char nonce[EXTIP_FORWARD_NONCE_SIZE];
};

struct extip_forwarder;

/*
 * HELD are forwards from before: those of configured ports keep their nonces,
 * and the others are removed. RANDOM fills SIZE bytes with random ones. NULL
 * with errno.
 */
struct extip_forwarder *extip_forward_start(
  const struct extip_forward_conf *conf, const struct extip_forward_held *held,
  size_t held_count, int (*random)(void *bytes, size_t size));

void extip_forward_stop(struct extip_forwarder *forwarder);

/* True if a request has to be sent at NOW. Called until it returns false. */
bool extip_forward_next(struct extip_forwarder *forwarder, int64_t now,
  uint32_t random, struct extip_forward_request *request);

/* When extip_forward_next() has to be called again; INT64_MAX: after an
 * answer. */
int64_t extip_forward_due(const struct extip_forwarder *forwarder);

/* Takes in an answer. What fits no request is ignored. */
void extip_forward_reply(struct extip_forwarder *forwarder,
  const struct extip_forward_reply *reply, int64_t now, int64_t wall,
  uint32_t random);

/* The router may have forgotten everything: all is asked for again, now, or
 * when the last time is EXTIP_FORWARD_AGAIN_GAP ago. */
void extip_forward_again(struct extip_forwarder *forwarder, int64_t now);

/* The outside address, for a protocol whose answers do not have it. */
void extip_forward_address(
  struct extip_forwarder *forwarder, struct in_addr addr);

/* Removes all forwards. True when that is done. */
void extip_forward_close(struct extip_forwarder *forwarder, int64_t now);
bool extip_forward_closed(const struct extip_forwarder *forwarder);

/* There is no time to wait for answers: what is still to be removed is asked
 * for once more, all at once. */
void extip_forward_hurry(struct extip_forwarder *forwarder, int64_t now);

/* The next forward that has changed since it was asked for here, or NULL.
 * INDEX is its place among the configured ports. */
const struct extip_forward *extip_forward_changed(
  struct extip_forwarder *forwarder, size_t *index);

/* What the log tells. */
struct extip_forward_summary {
  size_t open, total;
  bool resting; /* nothing is on its way or about to be asked for */
  bool silent;  /* the router answers in no protocol */
  bool settled; /* it answers in PROTOCOL */
  enum extip_protocol protocol;
  const struct extip_forward *closed; /* the first that is not open, or NULL */
};

struct extip_forward_summary extip_forward_summarize(
  const struct extip_forwarder *forwarder, int64_t now);

/* A request that renews a forward which is open by this protocol; false if
 * there is none. */
bool extip_forward_example(const struct extip_forwarder *forwarder,
  enum extip_protocol protocol, struct extip_forward_request *request);

/* What this server has or may have on the router, for forward_file.h. Returns
 * the number, at most SIZE. */
size_t extip_forward_list_held(const struct extip_forwarder *forwarder,
  struct extip_forward_held *held, size_t size);

#endif
