/*
 * mod_extip - one query of a round, as its driver sees it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_DRIVER_H
#define EXTIP_DRIVER_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "resolve.h"
#include "round.h"

/*
 * What a kind of source does. The loop in round.c calls these functions; after
 * the query is settled, it calls stop and nothing else. All but start and stop
 * may be NULL if the driver asks for no such call.
 */
struct extip_driver {
  void (*start)(struct extip_query *query);

  /* The name given to extip_query_resolve() has these addresses, at least one.
   * If it has none, the query has been settled instead. */
  void (*resolved)(
    struct extip_query *query, const struct in_addr *addrs, size_t count);

  /* query->fd can be read. */
  void (*readable)(struct extip_query *query);

  /* The time query->tick_at has come, and tick_at is -1 again. */
  void (*tick)(struct extip_query *query);

  /* The transfer that the driver added to extip_query_multi() is over. */
  void (*transferred)(struct extip_query *query, CURLcode code);

  /* What the query waits for, in a few words that continue "no answer in 5000
   * ms: ". */
  void (*waiting)(struct extip_query *query, char *buf, size_t bufsz);

  /* Releases everything that query->state holds. Always called, once. */
  void (*stop)(struct extip_query *query);
};

#define EXTIP_DRIVER(kind, scheme, port, reader, longest, driver, form) \
  extern const struct extip_driver extip_##driver##_driver;
EXTIP_KINDS(EXTIP_DRIVER)
#undef EXTIP_DRIVER

CURLM *extip_query_multi(struct extip_query *query);

/* Calls resolved, at once when HOST is an IPv4 address. HOST is copied. */
void extip_query_resolve(struct extip_query *query, const char *host);

/* Remembers ADDR as one of the source's own. */
void extip_query_own(struct extip_query *query, struct in_addr addr);

/* True if ADDR, which a reply named (redirect, alternate server), may be asked:
 * it is globally reachable, or one of the source's own. False: the query has
 * been settled. */
bool extip_query_may_follow(struct extip_query *query, struct in_addr addr);

/* The two ways to settle a query. Only the first call counts; the driver then
 * returns to the loop. */
void extip_query_answer(struct extip_query *query, struct in_addr addr);
__attribute__((format(printf, 3, 4))) void extip_query_fail(
  struct extip_query *query, enum extip_status status, const char *fmt, ...);

/* Settles the query as the error number of a socket call says. */
void extip_query_fail_errno(
  struct extip_query *query, int error, const char *what);

#endif
