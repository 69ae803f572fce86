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

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "behind_nat.h"
#include "gateway.h"
#include "ipv4.h"
#include "router_query.h"

/* RFC 6886 3.1: repeated after 250 ms, each further time after twice that. */
#define RESEND_MS 250
#define SENDS     9

bool extip_router_query_find(struct extip_query *query) {
  struct sockaddr_in *router = &query->answer.peer;
  const char *host = query->source->host;

  memset(router, 0, sizeof(*router));
  if (!extip_ipv4_parse(host, strlen(host), &router->sin_addr)) {
    router->sin_addr = extip_gateway();
  }
  if (router->sin_addr.s_addr == INADDR_ANY) {
    extip_query_fail(query, EXTIP_LOCAL,
      "this host has no gateway: name the router in ExtIPGateway");
    return false;
  }

  router->sin_family = AF_INET;
  router->sin_port = htons(query->source->port);
  extip_query_own(query, router->sin_addr);
  return true;
}

/* The socket is connected: the kernel drops what comes from anywhere else. */
static int open_socket(struct extip_query *query) {
  const struct sockaddr_in *router = &query->answer.peer;
  struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr = query->bind };

  query->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return query->fd < 0 ||
             bind(query->fd, (struct sockaddr *) &local, sizeof(local)) < 0
           ? -1
           : connect(
               query->fd, (const struct sockaddr *) router, sizeof(*router));
}

bool extip_router_query_open(struct extip_query *query) {
  query->state = calloc(1, sizeof(struct extip_router_query));
  if (query->state == NULL) {
    extip_query_fail_errno(query, ENOMEM, "router");
    return false;
  }

  if (!extip_router_query_find(query)) {
    return false;
  }
  if (open_socket(query) < 0) {
    extip_query_fail_errno(query, errno, "router");
    return false;
  }
  return true;
}

void extip_router_query_send(struct extip_query *query) {
  struct extip_router_query *state = query->state;

  if (send(query->fd, state->request, state->length, MSG_NOSIGNAL) < 0 &&
      errno != EAGAIN && errno != EINTR) {
    extip_query_fail_errno(query, errno, "router");
    return;
  }
  if (++state->sent < SENDS) {
    query->tick_at = extip_now() + ((int64_t) RESEND_MS << (state->sent - 1));
  }
}

ssize_t extip_router_query_read(
  struct extip_query *query, unsigned char buf[EXTIP_ROUTER_DATAGRAM_MAX + 1]) {
  ssize_t len = -1;

  while (!query->settled &&
         (len = recv(query->fd, buf, EXTIP_ROUTER_DATAGRAM_MAX + 1, 0)) < 0 &&
         errno == EINTR) {
    continue;
  }
  if (!query->settled && len < 0 && errno != EAGAIN) {
    extip_query_fail_errno(query, errno, "router");
  }
  return len;
}

void extip_router_query_discard(struct extip_query *query, const char *reason) {
  struct extip_router_query *state = query->state;

  state->strays++;
  state->stray = reason != NULL ? reason : "an answer to another request";
}

void extip_router_query_answer(struct extip_query *query, struct in_addr addr) {
  char reason[EXTIP_REASON_MAX];

  if (extip_behind_nat(addr, reason, sizeof(reason))) {
    query->answer.addr = addr;
    extip_query_fail(query, EXTIP_BEHIND_NAT, "%s", reason);
  } else {
    extip_query_answer(query, addr);
  }
}

void extip_router_query_waiting(
  struct extip_query *query, char *buf, size_t bufsz) {
  const struct extip_router_query *state = query->state;

  if (state->strays == 0) {
    snprintf(buf, bufsz, "is %s switched on in the router?",
      query->source->kind == EXTIP_SOURCE_NATPMP ? "NAT-PMP" : "PCP");
  } else {
    snprintf(
      buf, bufsz, "discarded %u, the last: %s", state->strays, state->stray);
  }
}

void extip_router_query_stop(struct extip_query *query) {
  if (query->fd >= 0) {
    close(query->fd);
    query->fd = -1;
  }
  free(query->state);
  query->state = NULL;
}
