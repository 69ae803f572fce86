/*
 * mod_extip - asks the router for its outside address by NAT-PMP
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "natpmp.h"
#include "router.h"
#include "router_query.h"

static void start(struct extip_query *query) {
  if (extip_router_query_open(query)) {
    struct extip_router_query *state = query->state;

    state->length = EXTIP_NATPMP_ADDRESS_REQUEST_SIZE;
    extip_natpmp_put_address_request(state->request);
    extip_router_query_send(query);
  }
}

static void judge(
  struct extip_query *query, const unsigned char *buf, size_t len) {
  struct extip_natpmp_answer answer;
  const char *reason;

  if (extip_natpmp_get(buf, len, &answer, &reason) < 0 ||
      answer.op != EXTIP_NATPMP_ADDRESS) {
    extip_router_query_discard(query, reason);
  } else if (answer.result == EXTIP_NATPMP_NETWORK_FAILURE &&
             extip_router_private().s_addr != INADDR_ANY) {
    extip_router_query_answer(query, extip_router_private());
  } else if (answer.result != EXTIP_NATPMP_SUCCESS) {
    extip_query_fail(query, EXTIP_ROUTER, "NAT-PMP result %u: %s",
      answer.result, extip_natpmp_result_text(answer.result));
  } else {
    extip_router_query_answer(query, answer.addr);
  }
}

static void readable(struct extip_query *query) {
  unsigned char buf[EXTIP_ROUTER_DATAGRAM_MAX + 1];
  ssize_t len;

  while ((len = extip_router_query_read(query, buf)) >= 0) {
    judge(query, buf, (size_t) len);
  }
}

const struct extip_driver extip_natpmp_driver = {
  .start = start,
  .readable = readable,
  .tick = extip_router_query_send,
  .waiting = extip_router_query_waiting,
  .stop = extip_router_query_stop,
};
