/*
 * mod_extip - notices changes of the host's addresses and routes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

#define MESSAGES_MAX 8192 /* the kernel sends no larger datagram here */

int extip_netlink_open(void) {
  struct sockaddr_nl address = {
    .nl_family = AF_NETLINK,
    .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE,
  };
  int fd =
    socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

  if (fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
    return -1;
  }

  return fd;
}

static bool matters(const struct nlmsghdr *message) {
  switch (message->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const struct ifaddrmsg *address = NLMSG_DATA(message);

      return message->nlmsg_len >= NLMSG_LENGTH(sizeof(*address)) &&
             address->ifa_scope < RT_SCOPE_HOST;
    }

    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const struct rtmsg *route = NLMSG_DATA(message);

      /* A VPN may replace the default route by two halves. Containers that
       * come and go add and remove many longer routes. */
      return message->nlmsg_len >= NLMSG_LENGTH(sizeof(*route)) &&
             route->rtm_dst_len <= 1 && (route->rtm_flags & RTM_F_CLONED) == 0;
    }

    default:
      return false;
  }
}

bool extip_netlink_read(int fd) {
  union {
    struct nlmsghdr align;
    char bytes[MESSAGES_MAX];
  } buf;
  bool found = false;

  while (true) {
    ssize_t got = recv(fd, &buf, sizeof(buf), 0);

    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }

      /* More messages came than the socket could hold. */
      if (errno == ENOBUFS) {
        found = true;
        continue;
      }

      return found;
    }

    unsigned int len = (unsigned int) got;

    for (const struct nlmsghdr *message = &buf.align; NLMSG_OK(message, len);
         message = NLMSG_NEXT(message, len)) {
      found |= matters(message);
    }
  }
}
