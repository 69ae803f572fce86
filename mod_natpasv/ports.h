/*
 * mod_natpasv - the ports of a pool
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Converts "60000-60099,60200" to an ordered set of ports, and back. The ports
 * keep the order in which they are written, because "external" counts in it.
 */

#ifndef NATPASV_PORTS_H
#define NATPASV_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATPASV_MAX_RANGES 64
#define NATPASV_POOL_MAX   31 /* letters in the name of a pool */

/* Pools refuse privileged ports, as PassivePorts does. */
#define NATPASV_MIN_PORT 1024
#define NATPASV_MAX_PORT 65535

/* A bitmap with one bit for each port number. */
#define NATPASV_WORDS      1024
#define natpasv_word(port) ((unsigned int) (port) >> 6)
#define natpasv_bit(port)  (UINT64_C(1) << ((unsigned int) (port) &63))

struct natpasv_range {
  unsigned int first, last;
};

struct natpasv_ports {
  unsigned int count; /* of ports */
  unsigned int nranges;
  struct natpasv_range range[NATPASV_MAX_RANGES]; /* as they are written */
};

/* What natpasv_ports_parse accepts, in words for an operator. */
#define NATPASV_PORTS_SYNTAX                                                  \
  "<port>[-<port>][,<port>[-<port>]]... with ports from 1024 to 65535, each " \
  "once"

/* Reads the whole text; no port is below lowest. -1 with errno EINVAL (another
 * syntax), EEXIST (a port is given twice) or E2BIG (more than
 * NATPASV_MAX_RANGES). */
int natpasv_ports_parse(
  struct natpasv_ports *ports, const char *text, unsigned int lowest);

/* Prints the ports; returns what snprintf(3) would. */
int natpasv_ports_print(
  const struct natpasv_ports *ports, char *text, size_t size);

bool natpasv_ports_have(const struct natpasv_ports *ports, unsigned int port);

/* The index of a port in the order written, from 0; -1 if it is not in the
 * set. */
int natpasv_ports_index(const struct natpasv_ports *ports, unsigned int port);

/* The n-th port in that order, from 0; 0 if there are fewer. */
unsigned int natpasv_ports_nth(
  const struct natpasv_ports *ports, unsigned int n);

/* A key that is equal for equal sets of ports, however they are written. */
uint64_t natpasv_ports_key(const struct natpasv_ports *ports);

/* The ports in ascending order, as the fewest possible ranges. Returns their
 * number. */
unsigned int natpasv_ports_runs(const struct natpasv_ports *ports,
  struct natpasv_range runs[NATPASV_MAX_RANGES]);

/* A port that is in both sets, or in a bitmap; 0 if there is none. */
unsigned int natpasv_ports_overlap(
  const struct natpasv_ports *a, const struct natpasv_ports *b);
unsigned int natpasv_ports_marked(
  const struct natpasv_ports *ports, const uint64_t bitmap[NATPASV_WORDS]);

#endif
