/*
 * mod_natpasv - what all kinds of configuration that are exported share
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The ports of each node and pool, and the printing of a line. Lines of other
 * nodes are printed as comments: '#' and the line as that node itself exports
 * it, but with NODE2 and so on for its address.
 */

#ifndef NATPASV_EXPORT_PARTS_H
#define NATPASV_EXPORT_PARTS_H

#include "export.h"

struct natpasv_printer {
  const struct natpasv_export *what;
  natpasv_export_line line;
  void *user;
  unsigned int node, nodes; /* this one, of how many; 1 of 1 without slices */
  bool other;               /* what is printed now is of another node */
};

/* Ports that follow one another outside and inside. */
struct natpasv_span {
  unsigned int outside, inside, count;
};

/* The ports that one node has of one pool. */
struct natpasv_part {
  const char *pool;
  unsigned int node;
  char address[64]; /* or NODE2 */
  char host[64];    /* the same, an IPv6 address in brackets */
  bool six;         /* an IPv6 address, as far as is known */
  struct natpasv_span span[NATPASV_MAX_RANGES];
  unsigned int nspans;
};

typedef void (*natpasv_part_fn)(
  struct natpasv_printer *p, const struct natpasv_part *part);

void natpasv_put(struct natpasv_printer *p, const char *fmt, ...)
  __attribute__((format(printf, 2, 3)));

/* "61000-61999", or "61000". */
const char *natpasv_port_range(
  unsigned int first, unsigned int count, char text[16]);

/* The ports of a span as pairs, several a line: outside, BETWEEN, inside,
 * AFTER. */
void natpasv_put_pairs(struct natpasv_printer *p, const char *indent,
  const struct natpasv_span *span, const char *between, const char *after);

/* The address of a node, for its control connections. */
void natpasv_node(const struct natpasv_printer *p, unsigned int node,
  struct natpasv_part *part);

/* Calls FN for each pool of one node, or of all of them. */
void natpasv_parts_of(
  struct natpasv_printer *p, unsigned int node, natpasv_part_fn fn);
void natpasv_parts(struct natpasv_printer *p, natpasv_part_fn fn);

/* The kinds. */
void natpasv_export_haproxy(struct natpasv_printer *p);
void natpasv_export_nginx(struct natpasv_printer *p);
void natpasv_export_nftables(struct natpasv_printer *p);
void natpasv_export_kubernetes(struct natpasv_printer *p);
void natpasv_export_compose(struct natpasv_printer *p);
void natpasv_export_traefik(struct natpasv_printer *p);

#endif
