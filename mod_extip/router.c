/*
 * mod_extip - talks to the router: its messages, its forwards
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "announce.h"
#include "behind_nat.h"
#include "clock.h"
#include "epoch.h"
#include "forward_file.h"
#include "gateway.h"
#include "log.h"
#include "natpmp.h"
#include "pcp.h"
#include "router.h"
#include "router_upnp.h"

/* How often the outside address is asked for by NAT-PMP and UPnP, whose
 * forwards do not tell it. */
#define ADDRESS_GAP_MS 1000

#define BATCH 64 /* datagrams read before other descriptors are served */

/* The kernel tells of a removed address before it takes the routes away. */
#define FOLLOW_DELAY_MS 250

struct extip_router {
  const struct extip_router_task *task;
  struct extip_router_news news;
  struct extip_loop *loop;
  struct extip_forwarder *forwarder;
  int file;

  struct in_addr address; /* the router's; INADDR_ANY: there is none */
  struct in_addr client;  /* our own, as it sees it */
  int fd;                 /* to it; -1: not open */
  int announce_fd;
  struct extip_announced announced;
  int64_t address_asked;
  int64_t follow_due; /* INT64_MAX: nothing has changed */
  struct extip_router_upnp upnp;

  struct {
    bool known;
    uint32_t value;
    int64_t at;
  } epoch;

  /* What was logged last. */
  struct {
    size_t open, total;
    bool silent, gone, any, deaf;
    struct in_addr behind_nat;
    char reason[EXTIP_FORWARD_REASON];
  } said;

  /* What the file has. */
  struct {
    bool known;
    size_t count;
    enum extip_protocol protocol;
  } written;
};

static struct extip_router *only = NULL;

static uint32_t random32(void) {
  uint32_t random = 0;

  /* For jitter only: without entropy there is none. */
  return getrandom(&random, sizeof(random), GRND_NONBLOCK) > 0 ? random : 0;
}

static int random_bytes(void *bytes, size_t size) {
  return getrandom(bytes, size, 0) == (ssize_t) size ? 0 : -1;
}

/* Sending */

static void send_bytes(
  struct extip_router *router, const unsigned char *bytes, size_t len) {
  /* What is not sent now is repeated later. */
  if (router->fd >= 0 &&
      send(router->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    errno = 0;
  }
}

static void send_request(
  struct extip_router *router, const struct extip_forward_request *request) {
  unsigned char natpmp[EXTIP_NATPMP_MAP_REQUEST_SIZE];
  unsigned char pcp[EXTIP_PCP_MAP_REQUEST_MAX];
  struct extip_pcp_map map = { .client = router->client,
    .inner = request->inside,
    .outer = request->outside,
    .lifetime = request->lifetime,
    .prefer_failure = request->exact };

  switch (request->protocol) {
    case EXTIP_PCP:
      memcpy(map.nonce, request->nonce, sizeof(map.nonce));
      send_bytes(router, pcp, extip_pcp_put_map(pcp, &map));
      break;

    case EXTIP_NATPMP:
      extip_natpmp_put_map_request(
        natpmp, request->inside, request->outside, request->lifetime);
      send_bytes(router, natpmp, sizeof(natpmp));
      break;

    default:
      extip_router_upnp_ask(&router->upnp, request);
      break;
  }
}

static void ask_for_address(
  struct extip_router *router, enum extip_protocol protocol, int64_t now) {
  unsigned char request[EXTIP_NATPMP_ADDRESS_REQUEST_SIZE];

  if (router->address_asked >= 0 &&
      now - router->address_asked < ADDRESS_GAP_MS) {
    return;
  }

  router->address_asked = now;
  if (protocol == EXTIP_UPNP) {
    extip_router_upnp_ask_address(&router->upnp);
  } else {
    extip_natpmp_put_address_request(request);
    send_bytes(router, request, sizeof(request));
  }
}

/* Hearing */

static void look_at_epoch(
  struct extip_router *router, uint32_t epoch, int64_t now) {
  if (router->epoch.known && !extip_epoch_is_consistent(router->epoch.value,
                               epoch, now - router->epoch.at)) {
    extip_log(EXTIP_LOG_NOTICE,
      "the router has restarted or been replaced: requesting all forwards again");
    if (!extip_announced_epoch(&router->announced, epoch, now)) {
      extip_forward_again(router->forwarder, now);
      router->news.woken(router->news.user);
    }
  }
  router->epoch.known = true;
  router->epoch.value = epoch;
  router->epoch.at = now;
}

static void say_behind_nat(struct extip_router *router, struct in_addr addr) {
  char reason[EXTIP_REASON_MAX];

  if (addr.s_addr == INADDR_ANY ||
      addr.s_addr == router->said.behind_nat.s_addr) {
    return;
  }

  router->said.behind_nat.s_addr = INADDR_ANY;
  if (extip_behind_nat(addr, reason, sizeof(reason))) {
    router->said.behind_nat = addr;
    extip_log(EXTIP_LOG_NOTICE, "%s", reason);
  }
}

static void pass_on(
  struct extip_router *router, const struct extip_forward_reply *reply) {
  say_behind_nat(router, reply->addr);
  extip_forward_reply(
    router->forwarder, reply, extip_now(), time(NULL), random32());
}

static void take_address(struct in_addr addr, void *user) {
  struct extip_router *router = user;

  say_behind_nat(router, addr);
  extip_forward_address(router->forwarder, addr);
}

static void take_pcp(
  struct extip_router *router, const struct extip_pcp_answer *answer) {
  bool granted = answer->result == EXTIP_PCP_SUCCESS;
  struct extip_forward_reply reply = { .protocol = EXTIP_PCP,
    .result = granted ? EXTIP_FORWARD_GRANTED : EXTIP_FORWARD_DENIED,
    .inside = answer->inner,
    .outside = answer->outer,
    .lifetime = answer->lifetime,
    .addr = answer->outer_addr,
    .nonce = answer->nonce,
    .reason = granted ? NULL : extip_pcp_result_text(answer->result) };

  if (answer->op == EXTIP_PCP_MAP && answer->has_map) {
    look_at_epoch(router, answer->epoch, extip_now());
    pass_on(router, &reply);
  }
}

static void take_natpmp(
  struct extip_router *router, const struct extip_natpmp_answer *answer) {
  bool granted = answer->result == EXTIP_NATPMP_SUCCESS;
  struct extip_forward_reply reply = { .protocol = EXTIP_NATPMP,
    .result = granted ? EXTIP_FORWARD_GRANTED : EXTIP_FORWARD_DENIED,
    .inside = answer->inner,
    .outside = answer->outer,
    .lifetime = answer->lifetime,
    .reason = granted ? NULL : extip_natpmp_result_text(answer->result) };

  look_at_epoch(router, answer->epoch, extip_now());
  if (answer->op == EXTIP_NATPMP_MAP_TCP) {
    pass_on(router, &reply);
    if (granted && answer->lifetime > 0) {
      ask_for_address(router, EXTIP_NATPMP, extip_now());
    }
  } else if (granted) {
    take_address(answer->addr, router);
  }
}

static void take_upnp(const struct extip_forward_reply *reply, void *user) {
  struct extip_router *router = user;

  pass_on(router, reply);
  if (reply->result == EXTIP_FORWARD_GRANTED && reply->lifetime > 0) {
    ask_for_address(router, EXTIP_UPNP, extip_now());
  }
}

static void take(
  struct extip_router *router, const unsigned char *buf, size_t len) {
  struct extip_natpmp_answer natpmp;
  struct extip_pcp_answer pcp;
  const char *reason;
  bool is_pcp = extip_pcp_get(buf, len, &pcp, &reason) == 0;

  /* The router says which version it speaks, in the form of that one. */
  if (is_pcp && pcp.result == EXTIP_PCP_UNSUPP_VERSION) {
    struct extip_forward_reply reply = {
      .result = EXTIP_FORWARD_UNSUPPORTED,
      .protocol =
        extip_forward_summarize(router->forwarder, extip_now()).protocol,
    };

    pass_on(router, &reply);
  } else if (is_pcp) {
    take_pcp(router, &pcp);
  } else if (extip_natpmp_get(buf, len, &natpmp, &reason) == 0) {
    take_natpmp(router, &natpmp);
  }
}

static void on_answer(int fd, void *user) {
  struct extip_router *router = user;

  for (int i = 0; i < BATCH; i++) {
    unsigned char buf[EXTIP_PCP_ANSWER_MAX + 1];
    ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (len >= 0) {
      take(router, buf, (size_t) len);
    } else if (errno != EINTR && errno != ECONNREFUSED) {
      return;
    }
  }
}

static void on_announcement(int fd, void *user) {
  struct extip_router *router = user;

  int64_t now = extip_now();
  enum extip_announcement what =
    extip_announce_read(fd, router->address, &router->announced, now);

  /* A repetition may be of a router that has lost its forwards meanwhile and
   * counts its time on, but it has no other address. */
  if (what != EXTIP_ANNOUNCED_NOTHING) {
    extip_forward_again(router->forwarder, now);
  }
  if (what == EXTIP_ANNOUNCED_NEWS) {
    router->news.woken(router->news.user);
  }
}

/* The sockets */

static void close_fd(struct extip_router *router, int *fd) {
  if (*fd >= 0) {
    extip_loop_unwatch(router->loop, *fd);
    (void) close(*fd);
  }
  *fd = -1;
}

/* The socket is connected: the kernel drops what comes from anywhere else. -1
 * while there is no way to the router, or not the address to leave from. */
static int connect_socket(struct extip_router *router) {
  struct sockaddr_in sin = { .sin_family = AF_INET,
    .sin_addr = router->task->bind };
  struct sockaddr_in peer = { .sin_family = AF_INET,
    .sin_port = htons(EXTIP_PCP_PORT),
    .sin_addr = router->address };
  socklen_t len = sizeof(sin);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd >= 0 && (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) < 0 ||
                   connect(fd, (struct sockaddr *) &peer, sizeof(peer)) < 0 ||
                   getsockname(fd, (struct sockaddr *) &sin, &len) < 0)) {
    (void) close(fd);
    return -1;
  }

  router->client = sin.sin_addr;
  return fd;
}

static void open_socket(struct extip_router *router) {
  router->fd = connect_socket(router);
  extip_loop_watch(router->loop, router->fd, on_answer, router);
}

/* This host has another address than the one that the socket sends from. */
static bool has_moved(const struct extip_router *router) {
  return router->fd >= 0 && router->task->bind.s_addr == INADDR_ANY &&
         extip_announce_local(router->address).s_addr != router->client.s_addr;
}

static void open_sockets(struct extip_router *router) {
  close_fd(router, &router->fd);
  close_fd(router, &router->announce_fd);
  extip_router_upnp_stop(&router->upnp);
  router->address = extip_gateway();
  router->upnp = (struct extip_router_upnp){ .loop = router->loop,
    .router = router->address,
    .lifetime = router->task->forwards.lifetime,
    .take = take_upnp,
    .address = take_address,
    .user = router };
  router->epoch.known = false;
  router->announced = (struct extip_announced){ .known = false };
  router->address_asked = -1;
  if (router->address.s_addr == INADDR_ANY) {
    return;
  }

  if (router->task->port_count > 0 || router->written.count > 0) {
    open_socket(router);
  }

  router->announce_fd = extip_announce_open(router->address);
  if (router->announce_fd < 0 && !router->said.deaf) {
    extip_log(EXTIP_LOG_NOTICE,
      "cannot receive the router's announcements: port %d: %s",
      EXTIP_PCP_ANNOUNCE_PORT, strerror(errno));
  }
  router->said.deaf = router->announce_fd < 0;
  extip_loop_watch(router->loop, router->announce_fd, on_announcement, router);
}

static void follow(struct extip_router *router) {
  router->follow_due = INT64_MAX;
  if (extip_gateway_follow() || router->fd < 0 || has_moved(router)) {
    open_sockets(router);
  }
  extip_forward_again(router->forwarder, extip_now());
}

/* Starting and ending */

struct extip_router *extip_router_start(const struct extip_router_task *task,
  struct extip_loop *loop, int file, const struct extip_router_news *news) {
  struct extip_router *router = calloc(1, sizeof(*router));
  struct extip_forward_held *held =
    calloc(2 * EXTIP_FORWARDS_MAX, sizeof(*held));
  struct extip_forward_conf conf = { .ports = task->ports,
    .count = task->port_count,
    .lifetime = task->forwards.lifetime,
    .any_port = task->forwards.any_port,
    .protocol_count = task->gateway.protocol_count };

  memcpy(conf.protocols, task->gateway.protocols, sizeof(conf.protocols));
  if (router != NULL && held != NULL) {
    size_t count =
      file >= 0 ? extip_forward_file_read(file, held, 2 * EXTIP_FORWARDS_MAX)
                : 0;

    router->written.count = count;
    router->forwarder = extip_forward_start(&conf, held, count, random_bytes);
  }
  free(held);
  if (router == NULL || router->forwarder == NULL) {
    free(router);
    return NULL;
  }

  router->task = task;
  router->loop = loop;
  router->news = *news;
  router->file = file;
  router->fd = router->announce_fd = -1;
  router->follow_due = INT64_MAX;
  extip_gateway_configure(task->gateway.router);
  open_sockets(router);
  only = router;
  return router;
}

void extip_router_follow(struct extip_router *router) {
  if (router->follow_due == INT64_MAX) {
    router->follow_due = extip_now() + FOLLOW_DELAY_MS;
  }
}

void extip_router_again(struct extip_router *router) {
  extip_forward_again(router->forwarder, extip_now());
}

void extip_router_close(struct extip_router *router) {
  extip_forward_close(router->forwarder, extip_now());
}

bool extip_router_closed(const struct extip_router *router) {
  return extip_forward_closed(router->forwarder);
}

void extip_router_hurry(struct extip_router *router) {
  extip_forward_hurry(router->forwarder, extip_now());
}

bool extip_router_example(
  struct extip_forward_request *request, bool *configured) {
  *configured = only != NULL && only->task->port_count > 0;
  return only != NULL &&
         extip_forward_example(only->forwarder, EXTIP_PCP, request);
}

struct in_addr extip_router_private(void) {
  struct in_addr none = { INADDR_ANY };

  return only != NULL ? only->said.behind_nat : none;
}

/* Telling */

static void write_file(
  struct extip_router *router, const struct extip_forward_summary *summary) {
  static struct extip_forward_held held[2 * EXTIP_FORWARDS_MAX];
  size_t count = extip_forward_list_held(
    router->forwarder, held, sizeof(held) / sizeof(held[0]));

  if (router->file < 0 || (count == 0 && router->written.count == 0) ||
      (router->written.known && count == router->written.count &&
        summary->protocol == router->written.protocol)) {
    return;
  }

  router->written.known = true;
  router->written.count = count;
  router->written.protocol = summary->protocol;
  if (extip_forward_file_write(router->file, held, count) < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "cannot save the list of forwards, so they may remain on the router after a restart: %s",
      strerror(errno));
  }
}

static const char *show(struct in_addr addr, char *buf) {
  return inet_ntop(AF_INET, &addr, buf, INET_ADDRSTRLEN);
}

/* Said once, until there is an answer. */
static void say_silent(struct extip_router *router) {
  char addr[INET_ADDRSTRLEN];
  bool gone = router->address.s_addr == INADDR_ANY;

  if (router->said.silent && router->said.gone == gone) {
    return;
  }

  router->said.silent = true;
  router->said.gone = gone;
  if (gone) {
    extip_log(EXTIP_LOG_WARNING,
      "no port is forwarded: this host has no gateway, and ExtIPGateway names no router");
  } else {
    extip_log(EXTIP_LOG_WARNING,
      "no port is forwarded: the router %s does not answer; switch PCP, NAT-PMP or UPnP on in it",
      show(router->address, addr));
  }
}

static void say_forwards(
  struct extip_router *router, const struct extip_forward_summary *summary) {
  const char *reason = summary->closed != NULL ? summary->closed->reason : "";
  char addr[INET_ADDRSTRLEN], port[32] = "";

  if (router->said.any && !router->said.silent &&
      router->said.open == summary->open &&
      strcmp(router->said.reason, reason) == 0) {
    return;
  }

  router->said.any = true;
  router->said.silent = false;
  router->said.open = summary->open;
  snprintf(router->said.reason, sizeof(router->said.reason), "%s", reason);
  if (summary->closed != NULL) {
    snprintf(port, sizeof(port), "; port %u: ", summary->closed->port.inside);
  }
  extip_log(EXTIP_LOG_NOTICE, "router %s forwards %zu of %zu ports (%s)%s%s",
    show(router->address, addr), summary->open, summary->total,
    extip_protocol_name(summary->protocol), port, reason);
}

static void tell(struct extip_router *router, int64_t now) {
  struct extip_forward_summary summary =
    extip_forward_summarize(router->forwarder, now);
  const struct extip_forward *forward;
  size_t index;

  while ((forward = extip_forward_changed(router->forwarder, &index)) != NULL) {
    router->news.forward(index, forward, router->news.user);
  }

  if (summary.total > 0 && summary.silent) {
    say_silent(router);
  } else if (summary.total > 0 && summary.settled && summary.resting) {
    say_forwards(router, &summary);
  }
}

int64_t extip_router_turn(struct extip_router *router) {
  int64_t now = extip_now(), due;
  struct extip_forward_request request;
  struct extip_forward_summary summary;

  if (router->follow_due <= now) {
    follow(router);
  }

  /* The nonces are remembered before anything is asked for with them. */
  summary = extip_forward_summarize(router->forwarder, now);
  write_file(router, &summary);
  while (extip_forward_next(router->forwarder, now, random32(), &request)) {
    if (router->fd < 0 && router->address.s_addr != INADDR_ANY) {
      open_socket(router);
    }
    send_request(router, &request);
  }
  tell(router, now);

  due = extip_forward_due(router->forwarder);
  due = router->follow_due < due ? router->follow_due : due;
  return due <= now ? 0 : due - now;
}
