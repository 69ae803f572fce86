/*
 * mod_keepalive - what the kernel knows about a TCP connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_TCPINFO_H
#define KEEPALIVE_TCPINFO_H

#include <stdbool.h>
#include <stdint.h>

struct keepalive_tcpinfo {
  bool closed;             /* TCP has given it up, or the peer has reset it */
  double heard;            /* when anything came from the peer, ACKs too */
  unsigned int unanswered; /* segments and probes without an ACK */
  unsigned int tries;      /* unanswered probes and retransmissions */
  uint32_t segs_in;        /* segments that came from the peer */
  uint32_t resent;         /* segments that were sent again */
  unsigned int unread;     /* bytes that the peer has not acknowledged yet */
  unsigned int unsent;     /* bytes that its window has kept back */
  unsigned int room;       /* bytes that its window has room for */
};

/* Times are those of keepalive_now(). Returns -1 with errno; ENOSYS: the kernel
 * does not tell. */
int keepalive_tcpinfo_get(int fd, struct keepalive_tcpinfo *info);

/* Seconds of a clock that cannot be set. */
double keepalive_now(void);

#endif
