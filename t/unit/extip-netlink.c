/*
 * Which messages of the kernel about addresses and routes wake mod_extip, and
 * which do not; and more of them than the socket holds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include <sys/socket.h>
#include <sys/types.h>

static ssize_t next_datagram(int fd, void *buf, size_t size, int flags);
static int bind_or_not(
  int fd, const struct sockaddr *address, socklen_t size);

#define recv next_datagram
#define bind bind_or_not
#include "../../mod_extip/netlink.c"
#undef recv
#undef bind

#include <fcntl.h>

static int refusal = 0; /* the kernel's, of a netlink socket */
static int asked = 0;   /* the flags of the last recv(2) */

static int bind_or_not(
  int fd, const struct sockaddr *address, socklen_t size) {
  errno = refusal;
  return refusal != 0 ? -1 : bind(fd, address, size);
}

/* What the socket has to say: datagrams, and failures between them. */
static struct datagram {
  const void *bytes;
  size_t len;
  int failure;
} script[4];
static unsigned int at;

static ssize_t next_datagram(int fd, void *buf, size_t size, int flags) {
  const struct datagram *now = &script[at];

  (void) fd;
  asked |= flags;
  if (now->bytes == NULL) {
    at += now->failure != 0;
    errno = now->failure != 0 ? now->failure : EAGAIN;
    return -1;
  }

  at++;
  memcpy(buf, now->bytes, now->len < size ? now->len : size);
  return (ssize_t) now->len;
}

static bool wakes(
  struct datagram first, struct datagram second, struct datagram third) {
  script[0] = first;
  script[1] = second;
  script[2] = third;
  at = 0;
  return extip_netlink_read(-1);
}

struct message {
  struct nlmsghdr head;
  union {
    struct ifaddrmsg address;
    struct rtmsg route;
  };
};

#define ADDRESS(type, scope) \
  { \
    .head = { NLMSG_LENGTH(sizeof(struct ifaddrmsg)), type, 0, 0, 0 }, \
    .address = { .ifa_scope = scope } \
  }
#define ROUTE(type, bits, flags) \
  { \
    .head = { NLMSG_LENGTH(sizeof(struct rtmsg)), type, 0, 0, 0 }, \
    .route = { .rtm_dst_len = bits, .rtm_flags = flags } \
  }

static const struct {
  const char *what;
  struct message message;
  bool wakes;
} cases[] = {
  { "a new address", ADDRESS(RTM_NEWADDR, RT_SCOPE_UNIVERSE), true },
  { "an address that goes", ADDRESS(RTM_DELADDR, RT_SCOPE_UNIVERSE), true },
  { "an address of the link", ADDRESS(RTM_NEWADDR, RT_SCOPE_LINK), true },
  { "an address of this host alone", ADDRESS(RTM_NEWADDR, RT_SCOPE_HOST),
    false },
  { "a default route", ROUTE(RTM_NEWROUTE, 0, 0), true },
  { "a default route that goes", ROUTE(RTM_DELROUTE, 0, 0), true },
  { "half of a default route", ROUTE(RTM_NEWROUTE, 1, 0), true },
  { "a route to a quarter of all", ROUTE(RTM_NEWROUTE, 2, 0), false },
  { "a route to a host", ROUTE(RTM_NEWROUTE, 32, 0), false },
  { "a route of the cache", ROUTE(RTM_NEWROUTE, 0, RTM_F_CLONED), false },
  { "a link", ADDRESS(RTM_NEWLINK, RT_SCOPE_UNIVERSE), false },
  { "an address that is cut off",
    { .head = { NLMSG_LENGTH(sizeof(struct ifaddrmsg)) - 1, RTM_NEWADDR, 0, 0,
        0 } },
    false },
  { "a route that is cut off",
    { .head = { NLMSG_LENGTH(sizeof(struct rtmsg)) - 1, RTM_NEWROUTE, 0, 0,
        0 } },
    false },
};

static void test_socket(void) {
  int fd = extip_netlink_open(), before = dup(STDIN_FILENO), type = 0, next;
  struct sockaddr_nl bound = { 0 };
  socklen_t size = sizeof(type);

  (void) getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
  is_int(type, SOCK_RAW, "the socket is a raw one");
  ok((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, "... that does not wait");
  ok((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0,
    "... and is not for other programs");
  size = sizeof(bound);
  (void) getsockname(fd, (struct sockaddr *) &bound, &size);
  is_int(bound.nl_groups, RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE,
    "it hears of addresses and routes");
  (void) close(fd);

  /* The first descriptor is one like any other. */
  (void) close(STDIN_FILENO);
  is_int(extip_netlink_open(), STDIN_FILENO, "the socket may be descriptor 0");
  size = sizeof(bound);
  (void) getsockname(STDIN_FILENO, (struct sockaddr *) &bound, &size);
  is_int(bound.nl_groups, RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE,
    "... and hears the same");
  (void) dup2(before, STDIN_FILENO);

  refusal = EPERM;
  errno = 0;
  ok(extip_netlink_open() == -1 && errno == EPERM,
    "a socket that cannot listen is an error");
  refusal = 0;
  next = dup(STDIN_FILENO);
  is_int(next, fd, "... and is closed");
  (void) close(next);
  (void) close(before);
}

int main(void) {
  static const struct datagram none = { NULL, 0, 0 },
                               interrupted = { NULL, 0, EINTR },
                               overrun = { NULL, 0, ENOBUFS };
  static const struct message idle = ROUTE(RTM_NEWROUTE, 24, 0),
                              busy = ROUTE(RTM_NEWROUTE, 0, 0);
  struct message both[2] = { idle, busy };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct datagram one = { &cases[i].message, cases[i].message.head.nlmsg_len,
      0 };

    ok(wakes(one, none, none) == cases[i].wakes, "%s %s", cases[i].what,
      cases[i].wakes ? "wakes" : "does not wake");
  }

  ok(!wakes(none, none, none), "nothing to read does not wake");
  ok(wakes(overrun, none, none), "more than the socket could hold wakes");
  ok(wakes(interrupted,
       (struct datagram){ &busy, busy.head.nlmsg_len, 0 }, none),
    "a signal is not the end of what there is to read");
  ok(wakes((struct datagram){ &busy, busy.head.nlmsg_len, 0 },
       (struct datagram){ &idle, idle.head.nlmsg_len, 0 }, none) &&
       at == 2,
    "all is read, and what wakes is not forgotten");
  ok(wakes((struct datagram){ "", 0, 0 },
       (struct datagram){ &busy, busy.head.nlmsg_len, 0 }, none),
    "an empty datagram is not the end of what there is to read");
  is_int(asked, 0, "all is read as it comes");
  test_socket();
  both[0].head.nlmsg_len = both[1].head.nlmsg_len = sizeof(struct message);
  ok(wakes((struct datagram){ both, sizeof(both), 0 }, none, none),
    "the second message of a datagram counts as well");
  return done_testing();
}
