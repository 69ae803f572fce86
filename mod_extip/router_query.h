/*
 * mod_extip - what the sources that ask the router have in common
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ROUTER_QUERY_H
#define EXTIP_ROUTER_QUERY_H

#include "driver.h"

#define EXTIP_ROUTER_DATAGRAM_MAX 1100 /* RFC 6887 7: any longer is wrong */

/* One question, repeated until there is an answer; the state of a query. */
struct extip_router_query {
  unsigned char request[64];
  size_t length;
  unsigned int sent;
  unsigned int strays; /* datagrams that were ignored, and why the last one */
  const char *stray;
};

/* The router of the query, which becomes the peer of the answer. False: the
 * query is settled, because there is none. */
bool extip_router_query_find(struct extip_query *query);

/* Opens the socket of the query to its router, which is all it hears; sets
 * query->state. Returns false if the query is settled instead. */
bool extip_router_query_open(struct extip_query *query);

/* Sends the request, and again from each tick. */
void extip_router_query_send(struct extip_query *query);

/* Reads what came: the bytes of one datagram, or -1: there is none (any more),
 * or the query is settled. */
ssize_t extip_router_query_read(
  struct extip_query *query, unsigned char buf[EXTIP_ROUTER_DATAGRAM_MAX + 1]);

/* Counts an answer that is none, and why; NULL: it is one to another request.
 */
void extip_router_query_discard(struct extip_query *query, const char *reason);

/* Settles the query with the router's outside address, which is not what the
 * Internet sees if it is private. */
void extip_router_query_answer(struct extip_query *query, struct in_addr addr);

void extip_router_query_waiting(
  struct extip_query *query, char *buf, size_t bufsz);
void extip_router_query_stop(struct extip_query *query);

#endif
