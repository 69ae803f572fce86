/*
 * mod_extip - sees the first packets of TCP connections, before any firewall
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ARRIVALS_H
#define EXTIP_ARRIVALS_H

#include <netinet/in.h>
#include <stdint.h>

/* A socket that receives the first packet (SYN) of each connection to this
 * host over IPv4, before netfilter sees it. -1 with errno; only root may. */
int extip_arrivals_open(void);

/* The local port of the next one, and where it comes from; 0: no more now. */
unsigned int extip_arrivals_next(int fd, struct in_addr *from);

#endif
