/*
 * mod_extip - takes the address on a network interface
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "driver.h"
#include "special.h"

/*
 * An interface with one IPv4 address gives that, one with several gives the
 * only one that is globally reachable: a public alias beside a private address.
 */
static void start(struct extip_query *query) {
  const char *name = query->source->host;
  struct in_addr first = { 0 };
  struct in_addr global = { 0 };
  size_t count = 0;
  size_t globals = 0;
  struct ifaddrs *list;

  if (getifaddrs(&list) < 0) {
    extip_query_fail_errno(query, errno, "getifaddrs");
    return;
  }
  for (const struct ifaddrs *ifa = list; ifa != NULL; ifa = ifa->ifa_next) {
    struct sockaddr_in sin;

    if (strcmp(ifa->ifa_name, name) != 0 || ifa->ifa_addr == NULL ||
        ifa->ifa_addr->sa_family != AF_INET) {
      continue;
    }
    memcpy(&sin, ifa->ifa_addr, sizeof(sin));
    if (count++ == 0) {
      first = sin.sin_addr;
    }
    if (extip_is_global(sin.sin_addr, NULL)) {
      globals++;
      global = sin.sin_addr;
    }
  }
  freeifaddrs(list);

  if (globals == 1) {
    extip_query_answer(query, global);
  } else if (count == 1) {
    extip_query_answer(query, first);
  } else if (count == 0) {
    extip_query_fail(query, EXTIP_LOCAL, "interface '%s' %s", name,
      if_nametoindex(name) != 0 ? "has no IPv4 address" : "does not exist");
  } else {
    extip_query_fail(query, EXTIP_MALFORMED,
      "interface '%s' has %zu IPv4 addresses, %zu of them public", name, count,
      globals);
  }
}

static void stop(struct extip_query *query) {
  (void) query;
}

const struct extip_driver extip_if_driver = {
  .start = start,
  .stop = stop,
};
