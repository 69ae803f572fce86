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

#ifndef EXTIP_ROUND_H
#define EXTIP_ROUND_H

#include <netinet/in.h>
#include <stddef.h>

#include "uri.h"

enum extip_status {
  EXTIP_OK,          /* one globally reachable address */
  EXTIP_NOT_GLOBAL,  /* one address, but a reserved one: the caller decides */
  EXTIP_OWN_ADDRESS, /* the source gave its own address: never to be used */
  EXTIP_TIMEOUT,     /* no (complete) answer in time */
  EXTIP_REFUSED,     /* connection refused, or port unreachable */
  EXTIP_UNREACHABLE, /* no route, connection reset or cut short */
  EXTIP_DNS,         /* the source's name does not resolve */
  EXTIP_TLS,         /* handshake failed, certificate or name not valid */
  EXTIP_HTTP,        /* status code other than 200 */
  EXTIP_REDIRECT,    /* redirect that is not followed */
  EXTIP_STUN,        /* STUN error reply */
  EXTIP_MALFORMED,   /* an answer, but not exactly one IPv4 address */
  EXTIP_TOO_BIG,     /* more than is read of any answer */
  EXTIP_LOCAL,       /* the fault is here: bind address, CA file, memory */
  EXTIP_CANCELLED    /* the round ended before the source answered */
};

/* Short lower-case word for logs and status, such as "timeout". */
const char *extip_status_name(enum extip_status status);

#define EXTIP_OWN_MAX    8   /* addresses kept of a source's own */
#define EXTIP_REASON_MAX 160 /* bytes of a reason with its NUL */

struct extip_answer {
  enum extip_status status;
  struct in_addr addr; /* network order; for the first three, else 0 */
  unsigned latency_ms; /* from the start of the round */
  char reason[EXTIP_REASON_MAX]; /* printable ASCII; "" when EXTIP_OK */

  /* Who answered: address and port of the last connection or STUN reply.
   * sin_family is 0 where there is none (dns:, if:, never connected). */
  struct sockaddr_in peer;

  /* What the source's name stood for; an answer equal to one of these is
   * EXTIP_OWN_ADDRESS. */
  struct in_addr own[EXTIP_OWN_MAX];
  size_t own_count;
};

/* One source to ask, and the room for its answer. The caller owns everything a
 * query points at, for the time of the round. */
struct extip_query {
  const struct extip_source *source;
  struct in_addr bind; /* ExtIPBind; INADDR_ANY: the kernel's choice */
  const char *ca_file; /* PEM; NULL: the system's */
  unsigned timeout_ms; /* from the start of the round, total */
  void *user;          /* the caller's own */

  struct extip_answer answer; /* filled when the query is settled */
};

struct extip_round_opts {
  /* When it becomes readable, or is hung up, the round ends: what is not
   * answered is EXTIP_CANCELLED. Nothing is read from it. -1: none. */
  int wake_fd;

  /* Called once for each query when it is settled, in the order in which that
   * happens, before extip_round_run() returns. Non-zero ends the round, e.g.
   * because the quorum is there and nobody need wait for a source that hangs.
   * Not called for queries that this cancels. NULL: none. */
  int (*settled)(struct extip_query *query, void *user);
  void *user;
};

/*
 * Asks all queries at once and returns when each has its answer, which is no
 * later than the largest timeout_ms: 0, or 1 when opts ended the round early;
 * in both cases every answer is filled. -1 with errno when there is no memory
 * or descriptor to begin with; every answer is then EXTIP_LOCAL.
 *
 * The caller must be a process of one thread (names are resolved in short-lived
 * child processes that are gone at the return, however dead the resolver is);
 * SIGCHLD must not be ignored and nobody else may wait for these children.
 * SIGPIPE should be ignored. Interrupted system calls are taken up again.
 */
int extip_round_run(struct extip_query *queries, size_t count,
  const struct extip_round_opts *opts);

/* Gives back what the first round set up for good (libcurl); for tests and
 * orderly ends. No round after it. */
void extip_round_free(void);

#endif
