/*
 * mod_extip - talks to the router: its messages, its forwards
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ROUTER_H
#define EXTIP_ROUTER_H

#include "forward.h"
#include "round.h"
#include "task.h"

/* What the router has to tell. */
struct extip_router_news {
  /* Its address may have changed. */
  void (*woken)(void *user);

  /* Of the forward at INDEX of the task's ports. */
  void (*forward)(
    size_t index, const struct extip_forward *forward, void *user);
  void *user;
};

struct extip_router;

/* FILE is that of forward_file.h, -1: none. NULL with errno. There is one for
 * the process. */
struct extip_router *extip_router_start(const struct extip_router_task *task,
  struct extip_loop *loop, int file, const struct extip_router_news *news);

/* Sends what is due. Returns the milliseconds until the next time. */
int64_t extip_router_turn(struct extip_router *router);

/* Routes or addresses of this host have changed. */
void extip_router_follow(struct extip_router *router);

/* A client could not reach a port: all forwards are asked for again. */
void extip_router_again(struct extip_router *router);

/* Removes all forwards; extip_router_turn() goes on with that until it is
 * done. */
void extip_router_close(struct extip_router *router);
bool extip_router_closed(const struct extip_router *router);

/* Does not wait for further answers: the router may act on what it is sent when
 * this process has ended. */
void extip_router_hurry(struct extip_router *router);

/* For the source pcp:, which asks about a forward in force. False: there is
 * none (yet). CONFIGURED: whether there may ever be one. */
bool extip_router_example(
  struct extip_forward_request *request, bool *configured);

/* The private address that the router said to have outside, in its last answer
 * that told one; INADDR_ANY: it has not. By NAT-PMP, such a router may say no
 * more than that it has no address. */
struct in_addr extip_router_private(void);

#endif
