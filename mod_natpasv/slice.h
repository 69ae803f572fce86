/*
 * mod_natpasv - one node's part of the ports that a fleet shares
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * "2/4": the second of four equal parts. "hostname/4": the part is the number
 * at the end of the host's name, from 0, as a StatefulSet counts its pods.
 * Needs no ProFTPD.
 */

#ifndef NATPASV_SLICE_H
#define NATPASV_SLICE_H

#include "ports.h"

struct natpasv_slice {
  unsigned int k, n; /* 1 to n; n 0: all ports */
};

#define NATPASV_SLICE_MAX 64 /* parts */

/* Reads the whole text. -1 with a reason. */
int natpasv_slice_parse(struct natpasv_slice *slice, const char *text,
  const char *hostname, char *reason, size_t reason_size);

/* Leaves the slice of these ports, in the order in which they are written. -1
 * with a reason if the parts would not be equal. */
int natpasv_slice_cut(const struct natpasv_slice *slice,
  struct natpasv_ports *ports, char *reason, size_t reason_size);

#endif
