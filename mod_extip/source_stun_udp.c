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
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "job.h"
#include "stun.h"

/* RFC 8489 6.2.1: the first retransmission comes after RTO, each further one
 * after twice the time, and the request is sent Rc times in all. */
#define RTO_MS 500
#define RC     7

#define BATCH 64 /* datagrams read before others have their turn */

struct state {
  struct in_addr addrs[EXTIP_LOOKUP_MAX]; /* the name's */
  size_t addr_count;
  size_t addr_used; /* index of the one that is asked */
  bool redirected;  /* by error 300, which is followed once */

  struct sockaddr_in server;
  unsigned char id[EXTIP_STUN_ID_SIZE];
  unsigned sent;
  unsigned strays; /* datagrams discarded, and why the last one was */
  char stray[sizeof(((struct extip_stun_reply *) 0)->why)];
};

static void close_socket(struct extip_job *job) {
  if (job->fd >= 0) {
    close(job->fd);
    job->fd = -1;
  }
  job->tick_at = -1;
}

/* -1 with errno. The socket is connected: the kernel drops what comes from
 * anywhere else, and tells of a closed port. */
static int open_socket(
  struct extip_job *job, const struct sockaddr_in *server) {
  struct sockaddr_in local = { .sin_family = AF_INET,
    .sin_addr = job->query->bind };

  job->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (job->fd < 0) {
    return -1;
  }
  if (local.sin_addr.s_addr != INADDR_ANY &&
      bind(job->fd, (struct sockaddr *) &local, sizeof(local)) < 0) {
    return -1;
  }
  return connect(job->fd, (const struct sockaddr *) server, sizeof(*server));
}

static void ask_next(struct extip_job *job, int error);

static void transmit(struct extip_job *job) {
  struct state *state = job->state;
  unsigned char request[EXTIP_STUN_REQUEST_SIZE];

  extip_stun_request(request, state->id);
  if (send(job->fd, request, sizeof(request), MSG_NOSIGNAL) < 0 &&
      errno != EAGAIN && errno != EINTR) {
    ask_next(job, errno);
    return;
  }
  if (++state->sent < RC) {
    job->tick_at = extip_now() + ((int64_t) RTO_MS << (state->sent - 1));
  }
}

/* Opens a transaction of its own with one server. */
static void ask(struct extip_job *job, struct in_addr addr, uint16_t port) {
  struct state *state = job->state;

  memset(&state->server, 0, sizeof(state->server));
  state->server.sin_family = AF_INET;
  state->server.sin_addr = addr;
  state->server.sin_port = htons(port);
  state->sent = 0;
  if (RAND_bytes(state->id, sizeof(state->id)) != 1) {
    extip_job_fail(job, EXTIP_LOCAL, "no random transaction id");
    return;
  }
  close_socket(job);
  if (open_socket(job, &state->server) < 0) {
    ask_next(job, errno);
    return;
  }
  transmit(job);
}

/* Goes on to the name's next address after ERROR, if there is one. */
static void ask_next(struct extip_job *job, int error) {
  struct state *state = job->state;

  if (state->redirected || state->addr_used + 1 >= state->addr_count) {
    extip_job_fail_errno(job, error, "STUN");
    return;
  }
  state->addr_used++;
  ask(job, state->addrs[state->addr_used], job->query->source->port);
}

static void start(struct extip_job *job) {
  job->state = calloc(1, sizeof(struct state));
  if (job->state == NULL) {
    extip_job_fail_errno(job, ENOMEM, "STUN");
    return;
  }
  extip_job_resolve(job, job->query->source->host);
}

static void resolved(
  struct extip_job *job, const struct in_addr *addrs, size_t count) {
  struct state *state = job->state;

  memcpy(state->addrs, addrs, count * sizeof(*addrs));
  state->addr_count = count;
  for (size_t i = 0; i < count; i++) {
    extip_job_own(job, addrs[i]);
  }
  ask(job, addrs[0], job->query->source->port);
}

static void follow(
  struct extip_job *job, const struct extip_stun_reply *reply) {
  struct state *state = job->state;

  if (state->redirected) {
    extip_job_fail(job, EXTIP_STUN, "sent on to another server twice");
    return;
  }
  if (reply->port == 0) {
    extip_job_fail(job, EXTIP_STUN, "sent on to port 0");
    return;
  }
  if (!extip_job_may_follow(job, reply->addr)) {
    return;
  }
  state->redirected = true;
  extip_job_own(job, reply->addr);
  ask(job, reply->addr, reply->port);
}

static void judge(struct extip_job *job, const unsigned char *buf, size_t len) {
  struct state *state = job->state;
  struct extip_stun_reply reply;
  enum extip_stun_result result = extip_stun_parse(buf, len, state->id, &reply);

  if (result == EXTIP_STUN_STRAY) {
    state->strays++;
    memcpy(state->stray, reply.why, sizeof(state->stray));
    return;
  }
  job->query->answer.peer = state->server;
  switch (result) {
    case EXTIP_STUN_ADDRESS:
      extip_job_answer(job, reply.addr);
      break;
    case EXTIP_STUN_ALTERNATE:
      follow(job, &reply);
      break;
    case EXTIP_STUN_ERROR:
      extip_job_fail(job, EXTIP_STUN, "%s", reply.why);
      break;
    default:
      extip_job_fail(job, EXTIP_MALFORMED, "%s", reply.why);
  }
}

static void readable(struct extip_job *job) {
  int fd = job->fd;

  for (int i = 0; i < BATCH && !job->settled && job->fd == fd; i++) {
    unsigned char buf[EXTIP_STUN_REPLY_MAX + 1];
    ssize_t len = recv(fd, buf, sizeof(buf), 0);

    if (len >= 0) {
      judge(job, buf, (size_t) len);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      ask_next(job, errno);
      return;
    }
  }
}

static void waiting(struct extip_job *job, char *buf, size_t bufsz) {
  const struct state *state = job->state;

  if (state->strays == 0) {
    snprintf(buf, bufsz, "nothing came back");
  } else {
    snprintf(
      buf, bufsz, "discarded %u, the last: %s", state->strays, state->stray);
  }
}

static void stop(struct extip_job *job) {
  close_socket(job);
  free(job->state);
  job->state = NULL;
}

const struct extip_driver extip_stun_udp_driver = {
  .start = start,
  .resolved = resolved,
  .readable = readable,
  .tick = transmit,
  .waiting = waiting,
  .stop = stop,
};
