/*
 * mod_extip - hears what the router announces
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
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "announce.h"
#include "epoch.h"
#include "natpmp.h"
#include "pcp.h"

#define BATCH 64 /* datagrams read before other descriptors are served */

struct in_addr extip_announce_local(struct in_addr router) {
  struct sockaddr_in sin = {
    .sin_family = AF_INET, .sin_port = htons(EXTIP_PCP_PORT), .sin_addr = router
  };
  struct in_addr any = { INADDR_ANY };
  socklen_t len = sizeof(sin);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool found = fd >= 0 &&
               connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == 0 &&
               getsockname(fd, (struct sockaddr *) &sin, &len) == 0;

  if (fd >= 0) {
    (void) close(fd);
  }
  return found ? sin.sin_addr : any;
}

int extip_announce_open(struct in_addr router) {
  struct sockaddr_in group = { .sin_family = AF_INET,
    .sin_port = htons(EXTIP_PCP_ANNOUNCE_PORT),
    .sin_addr = { htonl(EXTIP_PCP_ANNOUNCE_GROUP) } };
  struct ip_mreq membership = { .imr_multiaddr = group.sin_addr,
    .imr_interface = extip_announce_local(router) };
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int on = 1;

  if (fd < 0) {
    return -1;
  }

  /* Others on this host listen, too: RFC 6886 3.2.1 wants both options. The
   * kernel has every host in this group, which cannot be joined again. */
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
      bind(fd, (struct sockaddr *) &group, sizeof(group)) < 0 ||
      (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership,
         sizeof(membership)) < 0 &&
        errno != EADDRINUSE)) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
    return -1;
  }
  return fd;
}

bool extip_announced_epoch(
  const struct extip_announced *last, uint32_t epoch, int64_t now) {
  return last->known &&
         extip_epoch_is_consistent(last->epoch, epoch, now - last->at);
}

/* ADDR is NULL if there is none in the announcement, as with PCP. Otherwise
 * only another one is news: some routers that speak both protocols count two
 * epochs. */
static enum extip_announcement compare(struct extip_announced *last,
  uint32_t epoch, const struct in_addr *addr, int64_t now) {
  bool news = addr != NULL ? addr->s_addr != last->addr.s_addr
                           : !extip_announced_epoch(last, epoch, now);

  if (addr != NULL) {
    last->addr = *addr;
  }
  last->known = true;
  last->epoch = epoch;
  last->at = now;
  return news ? EXTIP_ANNOUNCED_NEWS : EXTIP_ANNOUNCED_AGAIN;
}

static enum extip_announcement look_at(const unsigned char *buf, size_t len,
  struct extip_announced *last, int64_t now) {
  struct extip_natpmp_answer natpmp;
  struct extip_pcp_answer pcp;
  const char *reason;

  if (extip_pcp_get(buf, len, &pcp, &reason) == 0 &&
      pcp.op == EXTIP_PCP_ANNOUNCE) {
    return compare(last, pcp.epoch, NULL, now);
  }
  if (extip_natpmp_get(buf, len, &natpmp, &reason) == 0 &&
      natpmp.op == EXTIP_NATPMP_ADDRESS) {
    return compare(last, natpmp.epoch, &natpmp.addr, now);
  }
  return EXTIP_ANNOUNCED_NOTHING;
}

enum extip_announcement extip_announce_read(
  int fd, struct in_addr router, struct extip_announced *last, int64_t now) {
  enum extip_announcement most = EXTIP_ANNOUNCED_NOTHING;

  for (int i = 0; i < BATCH; i++) {
    unsigned char buf[EXTIP_PCP_ANSWER_MAX + 1];
    struct sockaddr_in from = { .sin_family = AF_UNSPEC };
    socklen_t from_len = sizeof(from);
    ssize_t len =
      recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *) &from, &from_len);

    if (len < 0 && errno != EINTR) {
      break;
    }
    if (len > 0 && from.sin_family == AF_INET &&
        from.sin_addr.s_addr == router.s_addr) {
      enum extip_announcement one = look_at(buf, (size_t) len, last, now);

      most = one > most ? one : most;
    }
  }
  return most;
}
