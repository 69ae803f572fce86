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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
  EXTIP_ROUTER,      /* the router refused, with its reason */
  EXTIP_BEHIND_NAT,  /* the router's own address is private: never to be used */
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
  struct in_addr addr;           /* network order; for the first three and
                                  * EXTIP_BEHIND_NAT, else 0 */
  unsigned int latency_ms;       /* from the start of the query */
  char reason[EXTIP_REASON_MAX]; /* printable ASCII; "" when EXTIP_OK */

  /* Who answered: address and port of the last connection or STUN reply.
   * sin_family is 0 where there is none (dns:, if:, never connected). */
  struct sockaddr_in peer;

  /* The addresses of the source's name. An answer that is one of these is
   * EXTIP_OWN_ADDRESS. */
  struct in_addr own[EXTIP_OWN_MAX];
  size_t own_count;
};

/* One source that is asked in one round, with its answer. */
struct extip_query {
  /* Set by the caller, who owns what they point at until the query is settled
   * and the loop is free, has had another turn, or is asked again. */
  const struct extip_source *source;
  struct in_addr bind;     /* ExtIPBind; INADDR_ANY: the kernel's choice */
  const char *ca_file;     /* PEM; "": the system's */
  unsigned int timeout_ms; /* from the start of the query, total */
  void (*on_settled)(struct extip_query *query); /* may be NULL */
  void *user;

  struct extip_answer answer; /* filled when the query is settled */

  /* The loop's; drivers read them. */
  struct extip_loop *loop;
  const struct extip_driver *driver;
  int64_t started, deadline; /* extip_now() at which it times out */
  bool settled;
  const struct extip_lookup *lookup; /* the name waited for, or NULL */

  /* The driver's. */
  void *state;
  int fd;          /* to be watched for reading, -1: none */
  int64_t tick_at; /* extip_now() for a call of tick, -1: none */
};

/*
 * The one loop of a process, in which all queries run at the same time. The
 * process has one thread (names are resolved in short-lived children). SIGCHLD
 * must not be ignored, and no other code may wait for these children. SIGPIPE
 * should be ignored. Interrupted system calls are repeated.
 */
struct extip_loop;

/* NULL with errno. There can be one at a time, because it initialises
 * libcurl. */
struct extip_loop *extip_loop_make(void);

/* Ends all queries that are under way without settling them. */
void extip_loop_free(struct extip_loop *loop);

/* Calls READABLE when FD, of EXTIP_WATCHED_MAX at most, can be read, until it
 * is unwatched, which is before it is closed. */
#define EXTIP_WATCHED_MAX 8
void extip_loop_watch(struct extip_loop *loop, int fd,
  void (*readable)(int fd, void *user), void *user);
void extip_loop_unwatch(struct extip_loop *loop, int fd);

/* Starts a query, not from within a call by the loop. It is settled at its
 * timeout at the latest, perhaps before this returns; without memory at once.
 */
void extip_loop_ask(struct extip_loop *loop, struct extip_query *query);

/* One turn: does what is due, and waits at most TIMEOUT_MS for more. Returns 0,
 * or -1 with errno. */
int extip_loop_turn(struct extip_loop *loop, int64_t timeout_ms);

#endif
