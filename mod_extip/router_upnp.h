/*
 * mod_extip - forwards by UPnP, through a process of its own
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ROUTER_UPNP_H
#define EXTIP_ROUTER_UPNP_H

#include "forward.h"
#include "round.h"
#include "upnp_child.h"

/* Requests that may wait for an answer. */
#define EXTIP_ROUTER_UPNP_QUEUE 64

/* The process and what it was asked; answers come in the order of requests. */
struct extip_router_upnp {
  struct extip_loop *loop;
  struct in_addr router;
  unsigned int lifetime; /* of a forward that the router keeps for ever */

  /* Takes an answer; the outside address in it is INADDR_ANY. */
  void (*take)(const struct extip_forward_reply *reply, void *user);
  void (*address)(struct in_addr addr, void *user);
  void *user;

  struct extip_upnp_child *child;          /* NULL: it does not run */
  uint16_t asked[EXTIP_ROUTER_UPNP_QUEUE]; /* inside ports; 0: the address */
  size_t first, count;
  bool missing; /* it was logged that there is no such program */
};

/* Asks, and starts the process first if it does not run. Failures are taken as
 * answers. */
void extip_router_upnp_ask(
  struct extip_router_upnp *upnp, const struct extip_forward_request *request);

/* Asks for the outside address. */
void extip_router_upnp_ask_address(struct extip_router_upnp *upnp);

/* Ends the process; it is started again when it is needed. */
void extip_router_upnp_stop(struct extip_router_upnp *upnp);

#endif
