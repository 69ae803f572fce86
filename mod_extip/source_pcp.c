/*
 * mod_extip - asks the router for its outside address by PCP
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "pcp.h"
#include "router.h"
#include "router_query.h"

/* PCP tells the outside address of a mapping only, and only ports that are
 * configured are forwarded. So this renews a forward of ours. */

#define LOOK_MS 50 /* how often for a forward, while there is none */

static struct extip_pcp_map asked; /* there is one router */

static bool make_request(struct extip_query *query) {
  struct extip_router_query *state = query->state;
  struct extip_forward_request forward;
  struct sockaddr_in local;
  socklen_t len = sizeof(local);
  bool configured;

  if (!extip_router_example(&forward, &configured)) {
    if (extip_router_private().s_addr != INADDR_ANY) {
      extip_router_query_answer(query, extip_router_private());
    } else if (!configured) {
      extip_query_fail(query, EXTIP_LOCAL,
        "PCP tells the address of a forward, and there is none: see ExtIPForward, or use natpmp:");
    } else {
      query->tick_at = extip_now() + LOOK_MS;
    }
    return false;
  }

  if (getsockname(query->fd, (struct sockaddr *) &local, &len) < 0) {
    local.sin_addr.s_addr = INADDR_ANY;
  }
  asked = (struct extip_pcp_map){ .client = local.sin_addr,
    .inner = forward.inside,
    .outer = forward.outside,
    .lifetime = forward.lifetime,
    .prefer_failure = forward.exact };
  memcpy(asked.nonce, forward.nonce, sizeof(asked.nonce));
  state->length = extip_pcp_put_map(state->request, &asked);
  return true;
}

static void ask(struct extip_query *query) {
  struct extip_router_query *state = query->state;

  if (state->length > 0 || make_request(query)) {
    extip_router_query_send(query);
  }
}

static void start(struct extip_query *query) {
  if (extip_router_query_open(query)) {
    ask(query);
  }
}

static void judge(
  struct extip_query *query, const unsigned char *buf, size_t len) {
  struct extip_pcp_answer answer;
  const char *reason;

  if (extip_pcp_get(buf, len, &answer, &reason) < 0 ||
      (answer.result != EXTIP_PCP_UNSUPP_VERSION &&
        !extip_pcp_answers(&answer, &asked))) {
    extip_router_query_discard(query, reason);
  } else if (answer.result == EXTIP_PCP_SUCCESS ||
             (answer.has_map && answer.outer_addr.s_addr != INADDR_ANY &&
               answer.outer_addr.s_addr != asked.outer_addr.s_addr)) {
    extip_router_query_answer(query, answer.outer_addr);
  } else {
    extip_query_fail(query, EXTIP_ROUTER, "PCP result %u: %s", answer.result,
      extip_pcp_result_text(answer.result));
  }
}

static void readable(struct extip_query *query) {
  unsigned char buf[EXTIP_ROUTER_DATAGRAM_MAX + 1];
  ssize_t len;

  while ((len = extip_router_query_read(query, buf)) >= 0) {
    judge(query, buf, (size_t) len);
  }
}

static void waiting(struct extip_query *query, char *buf, size_t bufsz) {
  const struct extip_router_query *state = query->state;

  if (state->length == 0) {
    snprintf(buf, bufsz, "the router has granted no forward by PCP");
  } else {
    extip_router_query_waiting(query, buf, bufsz);
  }
}

const struct extip_driver extip_pcp_driver = {
  .start = start,
  .readable = readable,
  .tick = ask,
  .waiting = waiting,
  .stop = extip_router_query_stop,
};
