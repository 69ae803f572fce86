/*
 * mod_extip - has a TURN server connect to ports (RFC 6062)
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
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "trial.h"
#include "turn.h"

#define CONNECT_MS 5000 /* to the server, and for each of its answers */

/* How long its connections may take. A packet that a router drops is answered
 * by nobody, and a server waits for half a minute. */
#define TRY_MS 8000

/* Challenges in a row, by servers whose nonces are short-lived. */
#define CHALLENGES_MAX 3

/* The connection to the server, and what has been read of the next message. */
struct server {
  int fd;
  unsigned char buf[EXTIP_STUN_REPLY_MAX];
  size_t len;
};

static int connect_before(
  const struct addrinfo *info, int64_t deadline, int *fd) {
  struct pollfd wait = { .events = POLLOUT };
  int error = 0;
  socklen_t len = sizeof(error);

  wait.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  *fd = wait.fd;
  if (wait.fd < 0) {
    return errno;
  }
  if (connect(wait.fd, info->ai_addr, info->ai_addrlen) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  if (poll(&wait, 1, (int) (deadline - extip_now())) <= 0) {
    return ETIMEDOUT;
  }
  return getsockopt(wait.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? errno
                                                                     : error;
}

static int open_connection(
  const struct extip_probe *probe, char *reason, size_t size) {
  const struct addrinfo hints = { .ai_family = AF_INET,
    .ai_socktype = SOCK_STREAM };
  struct addrinfo *found = NULL;
  char port[8];
  int res, fd = -1, error = ETIMEDOUT;

  snprintf(port, sizeof(port), "%u", probe->port);
  res = getaddrinfo(probe->host, port, &hints, &found);
  if (res != 0) {
    snprintf(reason, size, "%s: %s", probe->host, gai_strerror(res));
    return -1;
  }

  for (const struct addrinfo *info = found; info != NULL && error != 0;
       info = info->ai_next) {
    error = connect_before(info, extip_now() + CONNECT_MS, &fd);
    if (error != 0 && fd >= 0) {
      (void) close(fd);
      fd = -1;
    }
  }
  freeaddrinfo(found);
  if (fd < 0) {
    snprintf(reason, size, "cannot connect to %s port %u: %s", probe->host,
      probe->port, strerror(error));
  }
  return fd;
}

/* A few kilobytes fit into the buffer of a connection that carries nothing
 * else. */
static int transmit(
  const struct server *server, const unsigned char *bytes, size_t len) {
  return send(server->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t) len ? 0 : -1;
}

/* Length of the next whole message, which is then at the start of the buffer.
 * 0 with a reason if none comes in time; "" if it is only late. */
static size_t receive(
  struct server *server, int64_t deadline, char *reason, size_t size) {
  struct pollfd wait = { .fd = server->fd, .events = POLLIN };

  *reason = '\0';
  while (true) {
    size_t whole = EXTIP_STUN_HEADER_SIZE;
    int64_t left = deadline - extip_now();
    ssize_t got;

    if (server->len >= EXTIP_STUN_HEADER_SIZE) {
      whole = extip_stun_length(server->buf);
      if (whole == 0) {
        snprintf(reason, size, "the server does not speak STUN");
        return 0;
      }
      if (server->len == whole) {
        return whole;
      }
    }

    if (left <= 0 || poll(&wait, 1, (int) left) == 0) {
      return 0;
    }
    got = recv(server->fd, server->buf + server->len, whole - server->len, 0);
    if (got <= 0) {
      snprintf(reason, size, "the server ended the connection");
      return 0;
    }
    server->len += (size_t) got;
  }
}

/* Sends Allocate, once more for each challenge. */
static int allocate(struct server *server, struct extip_turn_login *login,
  struct extip_turn_reply *reply, char *reason, size_t size) {
  unsigned char request[EXTIP_TURN_REQUEST_MAX], id[EXTIP_STUN_ID_SIZE];
  enum extip_turn_result result = EXTIP_TURN_CHALLENGE;

  for (int i = 0; result == EXTIP_TURN_CHALLENGE && i <= CHALLENGES_MAX; i++) {
    size_t len;

    if (!extip_stun_new_id(id) ||
        (len = extip_turn_put_allocate(request, id, login)) == 0 ||
        transmit(server, request, len) < 0) {
      snprintf(reason, size, "cannot send a request: %s", strerror(errno));
      return -1;
    }

    len = receive(server, extip_now() + CONNECT_MS, reason, size);
    if (len == 0) {
      if (*reason == '\0') {
        snprintf(
          reason, size, "no answer from the server in %d ms", CONNECT_MS);
      }
      return -1;
    }
    server->len = 0;
    result =
      extip_turn_parse(server->buf, len, EXTIP_TURN_ALLOCATE, id, login, reply);
  }

  if (result != EXTIP_TURN_OK) {
    snprintf(reason, size, "%s",
      *reply->reason != '\0' ? reply->reason : "one challenge after another");
    return -1;
  }
  return 0;
}

/* The ports being tried, and which are answered. */
struct tries {
  unsigned char id[EXTIP_TRIAL_PORTS][EXTIP_STUN_ID_SIZE];
  bool done[EXTIP_TRIAL_PORTS];
  size_t open;
};

static void request_all(const struct server *server,
  const struct extip_trial *trial, const struct extip_turn_login *login,
  struct tries *tries) {
  unsigned char request[EXTIP_TURN_REQUEST_MAX];

  for (size_t i = 0; i < trial->count; i++) {
    size_t len;

    if (extip_stun_new_id(tries->id[i]) &&
        (len = extip_turn_put_connect(
           request, tries->id[i], login, trial->addr, trial->ports[i])) > 0 &&
        transmit(server, request, len) == 0) {
      tries->open++;
    } else {
      printf("%u untold cannot send a request\n", trial->ports[i]);
      tries->done[i] = true;
    }
  }
}

/* RFC 6062 5.2: 446 is a port that has been tried already, 447 one to which no
 * connection could be made. Another error says nothing about the port. */
#define EXISTS 446
#define FAILED 447

static void tell(unsigned int port, enum extip_turn_result result,
  const struct extip_turn_reply *reply) {
  if (result == EXTIP_TURN_OK || reply->code == EXISTS) {
    printf("%u reached\n", port);
  } else {
    printf("%u %s %s\n", port, reply->code == FAILED ? "closed" : "untold",
      *reply->reason != '\0' ? reply->reason : "no answer");
  }
}

static void take_reply(const struct server *server, size_t len,
  const struct extip_trial *trial, struct extip_turn_login *login,
  struct tries *tries) {
  for (size_t i = 0; i < trial->count; i++) {
    struct extip_turn_reply reply;

    if (tries->done[i] ||
        memcmp(server->buf + EXTIP_STUN_HEADER_SIZE - EXTIP_STUN_ID_SIZE,
          tries->id[i], EXTIP_STUN_ID_SIZE) != 0) {
      continue;
    }
    tell(trial->ports[i],
      extip_turn_parse(
        server->buf, len, EXTIP_TURN_CONNECT, tries->id[i], login, &reply),
      &reply);
    tries->done[i] = true;
    tries->open--;
    return;
  }
}

static void try_ports(struct server *server, const struct extip_trial *trial,
  struct extip_turn_login *login) {
  struct tries tries = { .open = 0 };
  int64_t deadline = extip_now() + TRY_MS;
  char reason[128];
  size_t len;

  request_all(server, trial, login, &tries);
  while (tries.open > 0 &&
         (len = receive(server, deadline, reason, sizeof(reason))) > 0) {
    take_reply(server, len, trial, login, &tries);
    server->len = 0;
  }

  for (size_t i = 0; i < trial->count; i++) {
    if (tries.done[i]) {
      continue;
    }
    if (*reason != '\0') {
      printf("%u untold %s\n", trial->ports[i], reason);
    } else {
      printf("%u closed no answer in %d s\n", trial->ports[i], TRY_MS / 1000);
    }
  }
}

int extip_trial_turn(struct extip_trial *trial, char *reason, size_t size) {
  static struct extip_turn_login login;
  static struct server server;
  struct extip_turn_reply reply;
  char text[INET_ADDRSTRLEN];
  int res;

  login.user = trial->user;
  login.password = trial->password;
  server.fd = open_connection(&trial->probe, reason, size);
  if (server.fd < 0) {
    return -1;
  }

  res = allocate(&server, &login, &reply, reason, size);
  if (res == 0) {
    printf("from %s\n", inet_ntop(AF_INET, &reply.relayed, text, sizeof(text)));
    if (reply.mapped.s_addr != INADDR_ANY) {
      printf(
        "seen %s\n", inet_ntop(AF_INET, &reply.mapped, text, sizeof(text)));
    }
    (void) fflush(stdout);
    try_ports(&server, trial, &login);
  }

  /* With this connection the server ends the allocation (RFC 8656 7). */
  (void) close(server.fd);
  return res;
}
