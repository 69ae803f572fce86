/*
 * mod_natpasv - what the host says about its ports
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_HOST_H
#define NATPASV_HOST_H

#include "ports.h"

/* Each answers 0, or -1 when this host does not say (no Linux, no /proc). */

/* Ports the kernel gives to outgoing connections, without those that are
 * reserved; and the list of those as the kernel shows it. */
#define NATPASV_RESERVED_MAX 512
int natpasv_host_ephemeral(struct natpasv_ports *ports, char *reserved);

/* A bit for each TCP port that a socket listens on, whatever the address. */
int natpasv_host_listeners(uint64_t listeners[NATPASV_WORDS]);

#endif
