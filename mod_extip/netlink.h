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

#ifndef EXTIP_NETLINK_H
#define EXTIP_NETLINK_H

#include <stdbool.h>

/* A descriptor that becomes readable with such changes, or -1 with errno. */
int extip_netlink_open(void);

/* Reads all messages. True if one of them can mean another external address: an
 * IPv4 address of the host or a default route has changed. */
bool extip_netlink_read(int fd);

#endif
