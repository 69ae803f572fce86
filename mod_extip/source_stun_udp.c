/*
 * mod_extip - asks a STUN server over UDP
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver.h"
#include "stun.h"

/* RFC 8489 6.2.1: the first retransmission comes after RTO, each further one
 * after twice the time, and the request is sent Rc times in all. */
#define RTO_MS 500
#define RC     7

#define BATCH 64 /* datagrams read before other descriptors are served */

struct state {
  struct in_addr addrs[EXTIP_LOOKUP_MAX]; /* the name's */
  size_t addr_count;
  size_t addr_used; /* index of the one that is asked */
  int64_t leave_at; /* extip_now() at which the next one is asked */
  bool redirected;  /* by error 300, which is followed once */

  struct sockaddr_in server;
  unsigned char id[EXTIP_STUN_ID_SIZE];
  unsigned int sent;
  unsigned int strays; /* datagrams discarded, and why the last one was */
  char stray[sizeof(((struct extip_stun_reply *) 0)->reason)];
};

static void close_socket(struct extip_query *query) {
  if (query->fd >= 0) {
    close(query->fd);
    query->fd = -1;
  }
  query->tick_at = -1;
}

/* -1 with errno. The socket is connected: the kernel drops what comes from
 * anywhere else, and tells of a closed port. */
static int open_socket(
  struct extip_query *query, const struct sockaddr_in *server) {
  struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr = query->bind };

  query->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (query->fd < 0) {
    return -1;
  }
  if (local.sin_addr.s_addr != INADDR_ANY &&
      bind(query->fd, (struct sockaddr *) &local, sizeof(local)) < 0) {
    return -1;
  }
  return connect(query->fd, (const struct sockaddr *) server, sizeof(*server));
}

static bool has_next(const struct state *state) {
  return !state->redirected && state->addr_used + 1 < state->addr_count;
}

static void ask_next(struct extip_query *query, int error);

static void transmit(struct extip_query *query) {
  struct state *state = query->state;
  unsigned char request[EXTIP_STUN_REQUEST_SIZE];
  int64_t now = extip_now();

  extip_stun_request(request, state->id);
  if (send(query->fd, request, sizeof(request), MSG_NOSIGNAL) < 0 &&
      errno != EAGAIN && errno != EINTR) {
    ask_next(query, errno);
    return;
  }
  if (++state->sent < RC) {
    query->tick_at = now + ((int64_t) RTO_MS << (state->sent - 1));
  }
  if (has_next(state) &&
      (query->tick_at < 0 || query->tick_at > state->leave_at)) {
    query->tick_at = state->leave_at;
  }
}

/* If an address is silent, the next one is asked, as libcurl does it: each gets
 * half of the remaining time, and the last one all of it. */
static void tick(struct extip_query *query) {
  const struct state *state = query->state;

  if (has_next(state) && extip_now() >= state->leave_at) {
    ask_next(query, ETIMEDOUT);
  } else {
    transmit(query);
  }
}

/* Opens a transaction of its own with one server. */
static void ask(struct extip_query *query, struct in_addr addr, uint16_t port) {
  struct state *state = query->state;
  int64_t now = extip_now();

  memset(&state->server, 0, sizeof(state->server));
  state->server.sin_family = AF_INET;
  state->server.sin_addr = addr;
  state->server.sin_port = htons(port);
  state->sent = 0;
  state->leave_at = now + (query->deadline - now) / 2;
  if (!extip_stun_new_id(state->id)) {
    extip_query_fail(query, EXTIP_LOCAL, "no random transaction id");
    return;
  }
  close_socket(query);
  if (open_socket(query, &state->server) < 0) {
    ask_next(query, errno);
    return;
  }
  transmit(query);
}

/* Goes on to the name's next address after ERROR, if there is one. */
static void ask_next(struct extip_query *query, int error) {
  struct state *state = query->state;

  if (!has_next(state)) {
    extip_query_fail_errno(query, error, "STUN");
    return;
  }
  state->addr_used++;
  ask(query, state->addrs[state->addr_used], query->source->port);
}

static void start(struct extip_query *query) {
  query->state = calloc(1, sizeof(struct state));
  if (query->state == NULL) {
    extip_query_fail_errno(query, ENOMEM, "STUN");
    return;
  }
  extip_query_resolve(query, query->source->host);
}

static void resolved(
  struct extip_query *query, const struct in_addr *addrs, size_t count) {
  struct state *state = query->state;

  memcpy(state->addrs, addrs, count * sizeof(*addrs));
  state->addr_count = count;
  for (size_t i = 0; i < count; i++) {
    extip_query_own(query, addrs[i]);
  }
  ask(query, addrs[0], query->source->port);
}

static void follow(
  struct extip_query *query, const struct extip_stun_reply *reply) {
  struct state *state = query->state;

  if (state->redirected) {
    extip_query_fail(query, EXTIP_STUN, "redirected to another server twice");
    return;
  }
  if (reply->port == 0) {
    extip_query_fail(query, EXTIP_STUN, "redirected to port 0");
    return;
  }
  if (!extip_query_may_follow(query, reply->addr)) {
    return;
  }
  state->redirected = true;
  extip_query_own(query, reply->addr);
  ask(query, reply->addr, reply->port);
}

static void judge(
  struct extip_query *query, const unsigned char *buf, size_t len) {
  struct state *state = query->state;
  struct extip_stun_reply reply;
  enum extip_stun_result result = extip_stun_parse(buf, len, state->id, &reply);

  if (result == EXTIP_STUN_STRAY) {
    state->strays++;
    memcpy(state->stray, reply.reason, sizeof(state->stray));
    return;
  }
  query->answer.peer = state->server;
  switch (result) {
    case EXTIP_STUN_ADDRESS:
      extip_query_answer(query, reply.addr);
      break;
    case EXTIP_STUN_ALTERNATE:
      follow(query, &reply);
      break;
    case EXTIP_STUN_ERROR:
      extip_query_fail(query, EXTIP_STUN, "%s", reply.reason);
      break;
    default:
      extip_query_fail(query, EXTIP_MALFORMED, "%s", reply.reason);
  }
}

static void readable(struct extip_query *query) {
  int fd = query->fd;

  for (int i = 0; i < BATCH && !query->settled && query->fd == fd; i++) {
    unsigned char buf[EXTIP_STUN_REPLY_MAX + 1];
    ssize_t len = recv(fd, buf, sizeof(buf), 0);

    if (len >= 0) {
      judge(query, buf, (size_t) len);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      ask_next(query, errno);
      return;
    }
  }
}

static void waiting(struct extip_query *query, char *buf, size_t bufsz) {
  const struct state *state = query->state;

  if (state->strays == 0 && state->addr_used > 0) {
    snprintf(buf, bufsz, "nothing came back from any of %zu addresses",
      state->addr_used + 1);
  } else if (state->strays == 0) {
    snprintf(buf, bufsz, "nothing came back");
  } else {
    snprintf(
      buf, bufsz, "discarded %u, the last: %s", state->strays, state->stray);
  }
}

static void stop(struct extip_query *query) {
  close_socket(query);
  free(query->state);
  query->state = NULL;
}

const struct extip_driver extip_stun_udp_driver = {
  .start = start,
  .resolved = resolved,
  .readable = readable,
  .tick = tick,
  .waiting = waiting,
  .stop = stop,
};
