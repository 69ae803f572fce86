/*
 * mod_extip - takes the address that a name stands for
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#include "driver.h"

static void start(struct extip_query *query) {
  extip_query_resolve(query, query->source->host);
}

static void resolved(
  struct extip_query *query, const struct in_addr *addrs, size_t count) {
  if (count > 1) {
    extip_query_fail(
      query, EXTIP_MALFORMED, "the name has %zu IPv4 addresses", count);
    return;
  }
  extip_query_answer(query, addrs[0]);
}

static void stop(struct extip_query *query) {
  (void) query;
}

const struct extip_driver extip_dns_driver = {
  .start = start,
  .resolved = resolved,
  .stop = stop,
};
