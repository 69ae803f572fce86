/*
 * common_gateway.h - the default gateways of this host
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Asks the kernel (rtnetlink), which needs neither privileges nor /proc and so
 * works in a chroot. Needs Linux, and no ProFTPD. */

#ifndef COMMON_GATEWAY_H
#define COMMON_GATEWAY_H

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Each uplink has one. */
#define GATEWAYS_MAX 8

struct gateway {
  unsigned char address[16]; /* a struct in_addr or in6_addr */
  uint32_t metric;
  int interface; /* its index */
};

struct gateways {
  unsigned int count;
  struct gateway gateway[GATEWAYS_MAX]; /* lowest metric first */
};

static inline size_t gateway_size(int family) {
  return family == AF_INET ? 4 : 16;
}

static inline bool gateways_have(
  const struct gateways *gateways, int family, const void *address) {
  for (unsigned int i = 0; i < gateways->count; i++) {
    if (memcmp(gateways->gateway[i].address, address, gateway_size(family)) ==
        0) {
      return true;
    }
  }
  return false;
}

static inline void gateway_add(
  struct gateways *gateways, int family, const struct gateway *gateway) {
  unsigned int i = gateways->count;

  if (i == GATEWAYS_MAX || gateways_have(gateways, family, gateway->address)) {
    return;
  }

  gateways->count++;
  for (; i > 0 && gateways->gateway[i - 1].metric > gateway->metric; i--) {
    gateways->gateway[i] = gateways->gateway[i - 1];
  }
  gateways->gateway[i] = *gateway;
}

static inline void gateway_read_attributes(struct gateways *gateways,
  int family, struct gateway gateway, const struct rtattr *attribute,
  unsigned int size);

/* A route over several uplinks at the same time. */
static inline void gateway_read_hops(struct gateways *gateways, int family,
  struct gateway gateway, const struct rtattr *attribute) {
  const struct rtnexthop *hop = RTA_DATA(attribute);
  int left = (int) RTA_PAYLOAD(attribute);

  while (left >= (int) sizeof(*hop) && RTNH_OK(hop, left)) {
    gateway.interface = hop->rtnh_ifindex;
    gateway_read_attributes(gateways, family, gateway, RTNH_DATA(hop),
      (unsigned int) (hop->rtnh_len - sizeof(*hop)));
    left -= RTNH_ALIGN(hop->rtnh_len);
    hop = RTNH_NEXT(hop);
  }
}

static inline void gateway_read_attributes(struct gateways *gateways,
  int family, struct gateway gateway, const struct rtattr *attribute,
  unsigned int size) {
  bool found = false;

  for (; RTA_OK(attribute, size); attribute = RTA_NEXT(attribute, size)) {
    const void *data = RTA_DATA(attribute);
    size_t length = RTA_PAYLOAD(attribute);

    if (attribute->rta_type == RTA_GATEWAY && length == gateway_size(family)) {
      memcpy(gateway.address, data, length);
      found = true;

    } else if (attribute->rta_type == RTA_PRIORITY && length == 4) {
      memcpy(&gateway.metric, data, length);

    } else if (attribute->rta_type == RTA_OIF && length == 4) {
      memcpy(&gateway.interface, data, length);

    } else if (attribute->rta_type == RTA_MULTIPATH) {
      gateway_read_hops(gateways, family, gateway, attribute);
    }
  }

  if (found) {
    gateway_add(gateways, family, &gateway);
  }
}

static inline void gateway_read_route(
  struct gateways *gateways, int family, const struct nlmsghdr *message) {
  const struct rtmsg *route = NLMSG_DATA(message);

  /* A VPN may replace the default route by two halves. */
  if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(*route)) &&
      route->rtm_family == family && route->rtm_type == RTN_UNICAST &&
      route->rtm_dst_len <= 1 && (route->rtm_flags & RTM_F_CLONED) == 0) {
    gateway_read_attributes(gateways, family, (struct gateway){ .metric = 0 },
      RTM_RTA(route), RTM_PAYLOAD(message));
  }
}

/* Asks for all routes of the family. 0, or -1 with errno. */
static inline int gateway_ask(int fd, int family) {
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
  } ask = {
    .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
      .nlmsg_type = RTM_GETROUTE,
      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
    .route = { .rtm_family = (unsigned char) family },
  };

  return send(fd, &ask, sizeof(ask), 0) == (ssize_t) sizeof(ask) ? 0 : -1;
}

/* Reads the answer. 0, or -1 with errno. */
static inline int gateway_hear(int fd, int family, struct gateways *gateways) {
  union {
    struct nlmsghdr align;
    char bytes[8192]; /* the kernel sends no larger datagram here */
  } buf;

  while (true) {
    /* The kernel creates the next part of its answer in this call. */
    ssize_t got = recv(fd, &buf, sizeof(buf), MSG_DONTWAIT);
    unsigned int size = got > 0 ? (unsigned int) got : 0;

    if (got <= 0) {
      return -1;
    }

    for (const struct nlmsghdr *message = &buf.align; NLMSG_OK(message, size);
         message = NLMSG_NEXT(message, size)) {
      if (message->nlmsg_type == NLMSG_DONE) {
        return 0;
      }
      if (message->nlmsg_type == NLMSG_ERROR) {
        errno = EIO;
        return -1;
      }
      if (message->nlmsg_type == RTM_NEWROUTE) {
        gateway_read_route(gateways, family, message);
      }
    }
  }
}

/* The gateways of the default routes, of FAMILY AF_INET or AF_INET6, in all
 * tables of routes. This takes some 20 us on a host with a few routes. Returns
 * 0, also if there is none; or -1 with errno. */
static inline int gateways_read(int family, struct gateways *gateways) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  int res, xerrno;

  gateways->count = 0;
  if (fd < 0) {
    return -1;
  }

  res = gateway_ask(fd, family);
  if (res == 0) {
    res = gateway_hear(fd, family, gateways);
  }
  xerrno = errno;
  (void) close(fd);
  errno = xerrno;
  return res;
}

static inline uint64_t gateway_now_us(void) {
  struct timespec now;

  (void) clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

/* What a process knows of the gateways of one family. */
struct gateway_memory {
  struct gateways gateways;
  uint64_t fresh_until_us;
};

/* How long an answer is good for: a second, and so long that reading never
 * takes more than a thousandth of the time, however many routes there are. */
#define GATEWAY_FRESH_US 1000000
#define GATEWAY_SHARE    1000

/* Whether this address is a default gateway of this host now. MEMORY is all 0
 * before the first call. Without an answer of the kernel there is none. */
static inline bool gateway_is(
  struct gateway_memory *memory, int family, const void *address) {
  uint64_t begin = gateway_now_us(), rest;

  if (begin >= memory->fresh_until_us) {
    if (gateways_read(family, &memory->gateways) < 0) {
      memory->gateways.count = 0;
    }
    rest = (gateway_now_us() - begin) * GATEWAY_SHARE;
    memory->fresh_until_us =
      begin + (rest > GATEWAY_FRESH_US ? rest : GATEWAY_FRESH_US);
  }
  return gateways_have(&memory->gateways, family, address);
}

#endif
