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
 * Turns "60000-60099,60200" into a set of ports with an order, and back. The
 * order is the one written: it is what "external" counts along.
 */

#ifndef NATPASV_PORTS_H
#define NATPASV_PORTS_H

#include <stddef.h>
#include <stdint.h>

#define NATPASV_MAX_RANGES 64

/* ProFTPD refuses privileged ports for PassivePorts; so do pools. */
#define NATPASV_MIN_PORT 1024
#define NATPASV_MAX_PORT 65535

/* A bitmap with one bit for each port number. */
#define NATPASV_WORDS      1024
#define natpasv_word(port) ((unsigned) (port) >> 6)
#define natpasv_bit(port)  (UINT64_C(1) << ((unsigned) (port) &63))

struct natpasv_range {
  unsigned first, last;
};

struct natpasv_ports {
  unsigned count; /* of ports */
  unsigned nranges;
  struct natpasv_range range[NATPASV_MAX_RANGES];
  unsigned first_word, last_word; /* of mask that are not 0 */
  uint64_t mask[NATPASV_WORDS];
};

/* What natpasv_ports_parse accepts, in words for an operator. */
#define NATPASV_PORTS_SYNTAX                                                  \
  "<port>[-<port>][,<port>[-<port>]]... with ports from 1024 to 65535, each " \
  "once"

/* Reads the whole text, ports from lowest on; -1 with errno set to EINVAL (not
 * of that syntax), EEXIST (a port is there twice) or E2BIG (more than
 * NATPASV_MAX_RANGES). */
int natpasv_ports_parse(
  struct natpasv_ports *ports, const char *text, unsigned lowest);

/* The other way round; returns what snprintf(3) would. */
int natpasv_ports_print(
  const struct natpasv_ports *ports, char *text, size_t size);

int natpasv_ports_have(const struct natpasv_ports *ports, unsigned port);

/* The place of a port in the order written, from 0; -1 if it is not there. */
int natpasv_ports_index(const struct natpasv_ports *ports, unsigned port);

/* The other way round, for a place below ports->count. */
unsigned natpasv_ports_nth(const struct natpasv_ports *ports, unsigned place);

/* A port that both have, or 0. */
unsigned natpasv_ports_overlap(
  const struct natpasv_ports *a, const struct natpasv_ports *b);

#endif
