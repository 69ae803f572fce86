/*
 * mod_natpasv - ports of this host that others use
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_HOSTPORTS_H
#define NATPASV_HOSTPORTS_H

#include "ports.h"

/* Each returns 0, or -1 if the host does not tell (no Linux, no /proc). */

/* The range from which the kernel takes ports for outgoing connections; a bit
 * for each of them that is not reserved; and the list of the reserved ones as
 * the kernel shows it, to be freed; NULL if the kernel has no such list. */
int natpasv_hostports_ephemeral(
  struct natpasv_range *range, uint64_t ports[NATPASV_WORDS], char **reserved);

/* A bit for each TCP port that a socket listens on, whatever the address. */
int natpasv_hostports_listeners(uint64_t listeners[NATPASV_WORDS]);

#endif
