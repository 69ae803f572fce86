/*
 * mod_extip - asks all sources at the same time
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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipv4.h"
#include "driver.h"
#include "round.h"
#include "special.h"

#define WAIT_MAX_MS 60000 /* any, so that it fits in an int */

/* libcurl (7.88) gives up a silent address when its timer expires, but opens
 * the socket for the next address only in a further call, for which it sets no
 * timer. So it is called this often while it has a transfer. */
#define TRANSFER_MS 50

/* A descriptor of the caller's; -1: none. */
struct watched {
  int fd;
  void (*readable)(int fd, void *user);
  void *user;
};

/* The owner of a descriptor: one of these is not NULL. */
struct owner {
  const struct watched *watched;
  struct extip_lookup *lookup;
  struct extip_query *query;
};

struct extip_loop {
  CURLM *multi;
  struct watched watched[EXTIP_WATCHED_MAX];
  size_t watched_count;

  /* Queries that are under way, and settled ones that have not been removed
   * yet. */
  struct extip_query **queries;
  size_t query_count;
  bool settled; /* one was in this turn */

  /* One lookup for each name, however many queries wait for it. */
  struct extip_lookup **lookups;
  size_t lookup_count;

  /* The descriptors to wait for, and their owners, in the same order. */
  struct curl_waitfd *waited;
  struct owner *owners;
  unsigned int waited_count;
};

static const char *const status_names[] = {
  [EXTIP_OK] = "ok",
  [EXTIP_NOT_GLOBAL] = "not global",
  [EXTIP_OWN_ADDRESS] = "own address",
  [EXTIP_TIMEOUT] = "timeout",
  [EXTIP_REFUSED] = "refused",
  [EXTIP_UNREACHABLE] = "unreachable",
  [EXTIP_DNS] = "dns",
  [EXTIP_TLS] = "tls",
  [EXTIP_HTTP] = "http",
  [EXTIP_REDIRECT] = "redirect",
  [EXTIP_STUN] = "stun",
  [EXTIP_ROUTER] = "router",
  [EXTIP_BEHIND_NAT] = "behind nat",
  [EXTIP_MALFORMED] = "malformed",
  [EXTIP_TOO_BIG] = "too big",
  [EXTIP_LOCAL] = "local",
  [EXTIP_CANCELLED] = "cancelled",
};
_Static_assert(
  sizeof(status_names) / sizeof(status_names[0]) == EXTIP_CANCELLED + 1,
  "a name for each status");

static const struct extip_driver *const drivers[] = {
#define DRIVER(kind, scheme, port, reader, longest, driver, form) \
  [EXTIP_SOURCE_##kind] = &extip_##driver##_driver,
  EXTIP_KINDS(DRIVER)
#undef DRIVER
};

const char *extip_status_name(enum extip_status status) {
  return status_names[status];
}

CURLM *extip_query_multi(struct extip_query *query) {
  return query->loop->multi;
}

/* Settling */

static void settle(struct extip_query *query, enum extip_status status) {
  query->answer.status = status;
  query->answer.latency_ms = (unsigned int) (extip_now() - query->started);
  query->settled = true;
  query->lookup = NULL;
  query->loop->settled = true;
  if (query->on_settled != NULL) {
    query->on_settled(query);
  }
}

void extip_query_fail(
  struct extip_query *query, enum extip_status status, const char *fmt, ...) {
  struct extip_answer *answer = &query->answer;
  va_list args;

  if (query->settled) {
    return;
  }
  va_start(args, fmt);
  vsnprintf(answer->reason, sizeof(answer->reason), fmt, args);
  va_end(args);
  settle(query, status);
}

void extip_query_fail_errno(
  struct extip_query *query, int error, const char *what) {
  enum extip_status status = EXTIP_UNREACHABLE;

  switch (error) {
    case ECONNREFUSED:
      status = EXTIP_REFUSED;
      break;
    case EADDRNOTAVAIL:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EACCES:
    case EPERM:
      status = EXTIP_LOCAL;
      break;
    default:
      break;
  }
  extip_query_fail(query, status, "%s: %s", what, strerror(error));
}

static bool is_own(const struct extip_answer *answer, struct in_addr addr) {
  for (size_t i = 0; i < answer->own_count; i++) {
    if (answer->own[i].s_addr == addr.s_addr) {
      return true;
    }
  }
  return false;
}

void extip_query_answer(struct extip_query *query, struct in_addr addr) {
  struct extip_answer *answer = &query->answer;
  char text[INET_ADDRSTRLEN];
  const char *reason;

  if (query->settled) {
    return;
  }
  answer->addr = addr;
  inet_ntop(AF_INET, &addr, text, sizeof(text));
  if (is_own(answer, addr)) {
    extip_query_fail(
      query, EXTIP_OWN_ADDRESS, "%s is the source's own address", text);
  } else if (!extip_is_global(addr, &reason)) {
    extip_query_fail(query, EXTIP_NOT_GLOBAL, "%s is %s", text, reason);
  } else {
    answer->reason[0] = '\0';
    settle(query, EXTIP_OK);
  }
}

void extip_query_own(struct extip_query *query, struct in_addr addr) {
  struct extip_answer *answer = &query->answer;

  if (answer->own_count < EXTIP_OWN_MAX && !is_own(answer, addr)) {
    answer->own[answer->own_count++] = addr;
  }
}

bool extip_query_may_follow(struct extip_query *query, struct in_addr addr) {
  char text[INET_ADDRSTRLEN];
  const char *reason;

  if (extip_is_global(addr, &reason) || is_own(&query->answer, addr)) {
    return true;
  }
  inet_ntop(AF_INET, &addr, text, sizeof(text));
  extip_query_fail(
    query, EXTIP_REDIRECT, "redirects to %s, which is %s", text, reason);
  return false;
}

/* Names */

static const struct extip_lookup *find_lookup(
  const struct extip_loop *loop, const char *name) {
  for (size_t i = 0; i < loop->lookup_count; i++) {
    if (strcmp(extip_lookup_name(loop->lookups[i]), name) == 0 &&
        extip_lookup_fd(loop->lookups[i]) >= 0) {
      return loop->lookups[i];
    }
  }
  return NULL;
}

/* NULL with errno. */
static const struct extip_lookup *add_lookup(
  struct extip_query *query, const char *name) {
  struct extip_loop *loop = query->loop;
  int64_t left = query->deadline - extip_now();
  struct extip_lookup **lookups =
    realloc(loop->lookups, (loop->lookup_count + 1) * sizeof(*lookups));

  if (lookups == NULL) {
    return NULL;
  }
  loop->lookups = lookups;
  lookups[loop->lookup_count] =
    extip_lookup_start(name, left > 0 ? (unsigned int) left : 0);
  return lookups[loop->lookup_count] != NULL ? lookups[loop->lookup_count++]
                                             : NULL;
}

static void pass_on_lookup(
  struct extip_query *query, const struct extip_lookup *lookup) {
  const struct in_addr *addrs;
  const char *reason;
  size_t count = extip_lookup_result(lookup, &addrs, &reason);

  query->lookup = NULL;
  if (count == 0) {
    extip_query_fail(
      query, EXTIP_DNS, "'%.80s': %s", extip_lookup_name(lookup), reason);
    return;
  }
  query->driver->resolved(query, addrs, count);
}

static void finish_lookup(
  struct extip_loop *loop, struct extip_lookup *lookup) {
  extip_lookup_read(lookup);
  for (size_t i = 0; i < loop->query_count; i++) {
    if (loop->queries[i]->lookup == lookup) {
      pass_on_lookup(loop->queries[i], lookup);
    }
  }
}

void extip_query_resolve(struct extip_query *query, const char *host) {
  const struct extip_lookup *lookup;
  struct in_addr addr;

  if (extip_ipv4_parse(host, strlen(host), &addr)) {
    query->driver->resolved(query, &addr, 1);
    return;
  }
  lookup = find_lookup(query->loop, host);
  if (lookup == NULL) {
    lookup = add_lookup(query, host);
  }
  if (lookup == NULL) {
    extip_query_fail_errno(query, errno, "cannot start to resolve the name");
  } else {
    query->lookup = lookup;
  }
}

/* The loop */

static void time_out(struct extip_query *query) {
  char waiting[96] = "";

  if (query->lookup != NULL) {
    extip_query_fail(query, EXTIP_DNS, "'%.80s' not resolved in %u ms",
      extip_lookup_name(query->lookup), query->timeout_ms);
    return;
  }
  if (query->driver->waiting != NULL) {
    query->driver->waiting(query, waiting, sizeof(waiting));
  }
  extip_query_fail(query, EXTIP_TIMEOUT, "no answer in %u ms%s%s",
    query->timeout_ms, *waiting != '\0' ? ": " : "", waiting);
}

/* Does what is due. Returns the milliseconds until the next time. */
static int64_t run_clock(struct extip_loop *loop) {
  int64_t next = INT64_MAX, now = extip_now();

  for (size_t i = 0; i < loop->query_count; i++) {
    struct extip_query *query = loop->queries[i];

    if (query->settled) {
      continue;
    }
    if (now >= query->deadline) {
      time_out(query);
    } else if (query->tick_at >= 0 && now >= query->tick_at) {
      query->tick_at = -1;
      query->driver->tick(query);
    }
    if (!query->settled) {
      next = query->deadline < next ? query->deadline : next;
      next =
        query->tick_at >= 0 && query->tick_at < next ? query->tick_at : next;
    }
  }
  return next > now ? next - now : 0;
}

/* True while there are more to come. */
static bool run_transfers(struct extip_loop *loop) {
  CURLMsg *message;
  int running = 0;
  int left;

  curl_multi_perform(loop->multi, &running);
  while ((message = curl_multi_info_read(loop->multi, &left)) != NULL) {
    CURLcode code = message->data.result;
    char *private = NULL;
    struct extip_query *query;

    /* The driver may free the handle: MESSAGE is not used after this. */
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    query = (struct extip_query *) (void *) private;
    if (query != NULL && !query->settled) {
      query->driver->transferred(query, code);
    }
  }
  return running > 0;
}

static void wait_for(struct extip_loop *loop, int fd, struct owner owner) {
  struct curl_waitfd *waited = &loop->waited[loop->waited_count];

  if (fd >= 0) {
    waited->fd = fd;
    waited->events = CURL_WAIT_POLLIN;
    waited->revents = 0;
    loop->owners[loop->waited_count++] = owner;
  }
}

/* Collects the descriptors to wait for, and their owners; -1 without memory. */
static int collect(struct extip_loop *loop) {
  size_t room = loop->watched_count + loop->lookup_count + loop->query_count;
  struct curl_waitfd *waited =
    realloc(loop->waited, (room + 1) * sizeof(*waited));
  struct owner *owners;

  if (waited == NULL) {
    return -1;
  }
  loop->waited = waited;
  owners = realloc(loop->owners, (room + 1) * sizeof(*owners));
  if (owners == NULL) {
    return -1;
  }
  loop->owners = owners;
  loop->waited_count = 0;

  for (size_t i = 0; i < loop->watched_count; i++) {
    const struct watched *watched = &loop->watched[i];

    wait_for(loop, watched->fd, (struct owner){ .watched = watched });
  }
  for (size_t i = 0; i < loop->lookup_count; i++) {
    struct extip_lookup *lookup = loop->lookups[i];

    wait_for(loop, extip_lookup_fd(lookup), (struct owner){ .lookup = lookup });
  }
  for (size_t i = 0; i < loop->query_count; i++) {
    struct extip_query *query = loop->queries[i];

    wait_for(loop, query->fd, (struct owner){ .query = query });
  }
  return 0;
}

/* Waits at most TIMEOUT_MS and does what has become possible. */
static int wait_and_read(struct extip_loop *loop, int64_t timeout_ms) {
  if (collect(loop) < 0) {
    return -1;
  }
  if (curl_multi_poll(loop->multi, loop->waited, loop->waited_count,
        timeout_ms < WAIT_MAX_MS ? (int) timeout_ms : WAIT_MAX_MS,
        NULL) != CURLM_OK) {
    errno = EIO;
    return -1;
  }
  for (unsigned int i = 0; i < loop->waited_count; i++) {
    const struct owner *owner = &loop->owners[i];
    int fd = loop->waited[i].fd;

    if (loop->waited[i].revents == 0) {
      continue;
    }
    if (owner->watched != NULL && owner->watched->fd == fd) {
      owner->watched->readable(fd, owner->watched->user);
    } else if (owner->watched != NULL) {
      continue;
    } else if (owner->lookup != NULL) {
      finish_lookup(loop, owner->lookup);
    } else if (!owner->query->settled && owner->query->fd == fd) {
      owner->query->driver->readable(owner->query);
    }
  }
  return 0;
}

static bool is_waited_for(
  const struct extip_loop *loop, const struct extip_lookup *lookup) {
  for (size_t i = 0; i < loop->query_count; i++) {
    if (loop->queries[i]->lookup == lookup) {
      return true;
    }
  }
  return false;
}

/* Releases what settled queries hold, and lookups without a query, before the
 * slowest query is settled; or ALL queries. */
static void sweep(struct extip_loop *loop, bool all) {
  size_t queries = loop->query_count, lookups = loop->lookup_count;

  loop->query_count = 0;
  for (size_t i = 0; i < queries; i++) {
    struct extip_query *query = loop->queries[i];

    if (all || query->settled) {
      query->driver->stop(query);
    } else {
      loop->queries[loop->query_count++] = query;
    }
  }

  loop->lookup_count = 0;
  for (size_t i = 0; i < lookups; i++) {
    struct extip_lookup *lookup = loop->lookups[i];

    if (is_waited_for(loop, lookup)) {
      loop->lookups[loop->lookup_count++] = lookup;
    } else {
      extip_lookup_free(lookup);
    }
  }
}

int extip_loop_turn(struct extip_loop *loop, int64_t timeout_ms) {
  int64_t next;
  bool transfers;

  sweep(loop, false);

  /* First, because libcurl has the same deadline, and says less of it. */
  (void) run_clock(loop);
  transfers = run_transfers(loop);
  next = run_clock(loop);
  next = next < timeout_ms ? next : timeout_ms;
  next = transfers && next > TRANSFER_MS ? TRANSFER_MS : next;

  /* The caller may have to act on it. */
  next = loop->settled ? 0 : next;
  loop->settled = false;
  sweep(loop, false);
  return wait_and_read(loop, next);
}

void extip_loop_watch(struct extip_loop *loop, int fd,
  void (*readable)(int fd, void *user), void *user) {
  for (size_t i = 0; fd >= 0 && i < EXTIP_WATCHED_MAX; i++) {
    if (i == loop->watched_count || loop->watched[i].fd < 0) {
      loop->watched[i] = (struct watched){ fd, readable, user };
      loop->watched_count += i == loop->watched_count;
      return;
    }
  }
}

void extip_loop_unwatch(struct extip_loop *loop, int fd) {
  for (size_t i = 0; fd >= 0 && i < loop->watched_count; i++) {
    if (loop->watched[i].fd == fd) {
      loop->watched[i].fd = -1;
    }
  }
}

void extip_loop_ask(struct extip_loop *loop, struct extip_query *query) {
  struct extip_query **queries;

  /* It may be one that was just settled. */
  sweep(loop, false);
  queries = realloc(loop->queries, (loop->query_count + 1) * sizeof(*queries));
  memset(&query->answer, 0, sizeof(query->answer));
  query->loop = loop;
  query->driver = drivers[query->source->kind];
  query->started = extip_now();
  query->deadline = query->started + query->timeout_ms;
  query->settled = false;
  query->lookup = NULL;
  query->state = NULL;
  query->fd = -1;
  query->tick_at = -1;
  if (queries == NULL) {
    extip_query_fail_errno(query, ENOMEM, "query");
    return;
  }
  loop->queries = queries;
  queries[loop->query_count++] = query;
  query->driver->start(query);
}

struct extip_loop *extip_loop_make(void) {
  struct extip_loop *loop = calloc(1, sizeof(*loop));

  if (loop == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    free(loop);
    errno = ENOMEM;
    return NULL;
  }
  loop->multi = curl_multi_init();
  if (loop->multi == NULL) {
    extip_loop_free(loop);
    errno = ENOMEM;
    return NULL;
  }
  return loop;
}

void extip_loop_free(struct extip_loop *loop) {
  sweep(loop, true);
  if (loop->multi != NULL) {
    curl_multi_cleanup(loop->multi);
  }
  curl_global_cleanup();
  free(loop->lookups);
  free(loop->queries);
  free(loop->waited);
  free(loop->owners);
  free(loop);
}
