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

#ifndef EXTIP_ANNOUNCE_H
#define EXTIP_ANNOUNCE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Routers announce to all hosts of the LAN (224.0.0.1, port 5350) that they
 * have started, or have another address (RFC 6886 3.2.1, RFC 6887 14.1). Anyone
 * in the LAN can forge that, so nothing in it is believed: it is a reason to
 * ask.
 */

/* The local address that packets to the ROUTER leave from; INADDR_ANY: there is
 * no way to it. */
struct in_addr extip_announce_local(struct in_addr router);

/* A socket that hears them; -1 with errno. The interface is that of the
 * ROUTER. */
int extip_announce_open(struct in_addr router);

/* What was heard last. */
struct extip_announced {
  bool known;
  struct in_addr addr; /* NAT-PMP's */
  uint32_t epoch;
  int64_t at; /* milliseconds of extip_now() */
};

enum extip_announcement {
  EXTIP_ANNOUNCED_NOTHING,
  EXTIP_ANNOUNCED_AGAIN, /* routers repeat themselves, up to ten times */
  EXTIP_ANNOUNCED_NEWS   /* another address, or a router that has started */
};

/* Reads all that came from the ROUTER. */
enum extip_announcement extip_announce_read(
  int fd, struct in_addr router, struct extip_announced *last, int64_t now);

/* Whether an announcement has told of this epoch of the router. */
bool extip_announced_epoch(
  const struct extip_announced *last, uint32_t epoch, int64_t now);

#endif
