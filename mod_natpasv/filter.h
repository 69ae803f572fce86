/*
 * mod_natpasv - which packets reach a listener
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The networks from which packets reach a listening socket; the kernel drops
 * all others before it looks at the socket, so that a stranger's SYN is never
 * answered. Needs no ProFTPD.
 */

#ifndef NATPASV_FILTER_H
#define NATPASV_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#define NATPASV_NETS_MAX 64

struct natpasv_net {
  bool ipv6;
  unsigned int bits;
  unsigned char address[16];
};

/* All zero: nobody. */
struct natpasv_filter {
  unsigned int count;
  struct natpasv_net net[NATPASV_NETS_MAX];
};

/* Admits the addresses of a network: the first bits of a struct in_addr or
 * in6_addr, as family says. An IPv4-mapped network counts as IPv4, as its
 * packets do. Returns -1 if there are NATPASV_NETS_MAX already. */
int natpasv_filter_add(struct natpasv_filter *filter, int family,
  const void *address, unsigned int bits);

/* Whether the filter admits an address. */
bool natpasv_filter_passes(
  const struct natpasv_filter *filter, int family, const void *address);

/* Sets the filter on a socket in any TCP state, in the place of a former one.
 * Returns -1 with errno: ENOPROTOOPT: the system has no filters; EPERM: it
 * requires CAP_NET_ADMIN (Linux 6.18.44, for example). A connection that is
 * accepted on the socket inherits the filter. */
int natpasv_filter_attach(int fd, const struct natpasv_filter *filter);

/* The number of packets for this socket that were dropped; 0 if the system does
 * not count them. */
unsigned int natpasv_filter_dropped(int fd);

#endif
