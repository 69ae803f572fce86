/*
 * mod_natpasv - what the thing in front needs, ready to paste
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "export_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where clients keep their addresses, and where they do not. */
#define REPLACED \
  "To the server clients look like this host: there NATPasvLocal none, and share any"

/* With the PROXY protocol, the control connection tells their address. */
#define TOLD \
  "Data connections come from this host: on the server, allow it in NATPasvRule by from"

static const struct {
  const char *word;
  const char *where; /* it goes */
  const char *note;  /* NULL: none */
  unsigned int most; /* ports of a node; 0: any number */
  const char *why;   /* there can be no more */
  void (*print)(struct natpasv_printer *p);
} fronts[] = {
  { "haproxy", "HAProxy: append this to haproxy.cfg", REPLACED, 0, NULL,
    natpasv_export_haproxy },
  { "nginx",
    "nginx, with its stream module: put this into nginx.conf, outside of http",
    REPLACED, 0, NULL, natpasv_export_nginx },
  { "nftables",
    "nftables: for nft -f on the router, or in its /etc/nftables.conf",
    "If another chain of hook forward drops packets, add: ct status dnat accept",
    0, NULL, natpasv_export_nftables },
  { "kubernetes",
    "Kubernetes: for kubectl apply -f, with the label and the name of your pods",
    "Clients keep their addresses with externalTrafficPolicy Local alone", 100,
    "a Service has an entry for each port", natpasv_export_kubernetes },
  { "compose", "Compose: put this into compose.yaml, with your image", NULL, 0,
    NULL, natpasv_export_compose },
  { "traefik",
    "Traefik: the first document is for the static configuration, the second for a file of the file provider",
    REPLACED, 100, "an entry point has one port", natpasv_export_traefik },
};

#define NFRONTS (sizeof(fronts) / sizeof(fronts[0]))

/* Lines
 */

void natpasv_put(struct natpasv_printer *p, const char *fmt, ...) {
  char line[512];
  va_list args;

  line[0] = '#';
  va_start(args, fmt);
  (void) vsnprintf(line + p->other, sizeof(line) - 1, fmt, args);
  va_end(args);
  p->line(p->user, line);
}

const char *natpasv_port_range(
  unsigned int first, unsigned int count, char text[16]) {
  (void) snprintf(
    text, 16, count > 1 ? "%u-%u" : "%u", first, first + count - 1);
  return text;
}

#define PAIRS 5 /* in a line */

void natpasv_put_pairs(struct natpasv_printer *p, const char *indent,
  const struct natpasv_span *span, const char *between, const char *after) {
  char line[PAIRS * 24];

  for (unsigned int i = 0; i < span->count; i += PAIRS) {
    size_t len = 0;

    for (unsigned int j = i; j < i + PAIRS && j < span->count; j++) {
      len += (size_t) snprintf(line + len, sizeof(line) - len, "%s%u%s%u%s",
        j > i ? " " : "", span->outside + j, between, span->inside + j, after);
    }
    natpasv_put(p, "%s%s", indent, line);
  }
}

/* Nodes and their ports
 */

static void set_address(struct natpasv_part *part, const char *address) {
  part->six = strchr(address, ':') != NULL;
  (void) snprintf(part->address, sizeof(part->address), "%s", address);
  (void) snprintf(
    part->host, sizeof(part->host), part->six ? "[%s]" : "%s", address);
}

void natpasv_node(const struct natpasv_printer *p, unsigned int node,
  struct natpasv_part *part) {
  char other[16];

  memset(part, 0, sizeof(*part));
  part->node = node;
  (void) snprintf(other, sizeof(other), "NODE%u", node);
  set_address(part, node == p->node ? p->what->address : other);
}

static void add_span(struct natpasv_part *part, unsigned int outside,
  const struct natpasv_range *range) {
  struct natpasv_span *last =
    part->nspans > 0 ? &part->span[part->nspans - 1] : NULL;
  unsigned int count = range->last - range->first + 1;

  if (last != NULL && last->inside + last->count == range->first &&
      last->outside + last->count == outside) {
    last->count += count;
  } else {
    part->span[part->nspans++] =
      (struct natpasv_span){ outside, range->first, count };
  }
}

/* Outside, the ports of all nodes follow one another from EXTERNAL on. */
static void find_spans(
  const struct natpasv_export_pool *pool, struct natpasv_part *part) {
  struct natpasv_slice slice = { part->node, pool->slice.n };
  struct natpasv_ports ports = *pool->ports;
  unsigned int outside;
  char reason[256];

  if (natpasv_slice_cut(&slice, &ports, reason, sizeof(reason)) < 0) {
    return; /* the configuration has been refused */
  }

  outside = pool->external;
  if (slice.n != 0) {
    outside += (slice.k - 1) * ports.count;
  }
  for (unsigned int i = 0; i < ports.nranges; i++) {
    const struct natpasv_range *range = &ports.range[i];

    add_span(part, pool->external != 0 ? outside : range->first, range);
    outside += range->last - range->first + 1;
  }
}

void natpasv_parts_of(
  struct natpasv_printer *p, unsigned int node, natpasv_part_fn fn) {
  for (unsigned int i = 0; i < p->what->npools; i++) {
    const struct natpasv_export_pool *pool = &p->what->pools[i];
    struct natpasv_part part;

    /* Without slices, the ports are those of the node that is asked. */
    if (pool->slice.n == 0 ? node != p->node : node > pool->slice.n) {
      continue;
    }

    natpasv_node(p, node, &part);
    part.pool = pool->name;
    if (node == p->node) {
      set_address(&part, pool->address);
    }
    find_spans(pool, &part);
    p->other = node != p->node;
    fn(p, &part);
    p->other = false;
  }
}

void natpasv_parts(struct natpasv_printer *p, natpasv_part_fn fn) {
  for (unsigned int node = 1; node <= p->nodes; node++) {
    natpasv_parts_of(p, node, fn);
  }
}

static void find_nodes(struct natpasv_printer *p) {
  p->node = p->nodes = 1;
  for (unsigned int i = 0; i < p->what->npools; i++) {
    const struct natpasv_slice *slice = &p->what->pools[i].slice;

    if (slice->n > p->nodes) {
      p->node = slice->k;
      p->nodes = slice->n;
    }
  }
}

static unsigned int count_ports(const struct natpasv_export *what) {
  unsigned int count = what->ncontrol;

  for (unsigned int i = 0; i < what->npools; i++) {
    const struct natpasv_export_pool *pool = &what->pools[i];

    count += pool->ports->count / (pool->slice.n != 0 ? pool->slice.n : 1);
  }
  return count;
}

/* The whole
 */

static int find_front(const char *word) {
  for (size_t i = 0; i < NFRONTS; i++) {
    if (strcmp(word, fronts[i].word) == 0) {
      return (int) i;
    }
  }
  return -1;
}

bool natpasv_export_knows(const char *front) {
  return find_front(front) >= 0;
}

static bool tells_address(const struct natpasv_export *what) {
  for (unsigned int i = 0; i < what->ncontrol; i++) {
    if (what->control[i].proxy) {
      return true;
    }
  }
  return false;
}

static void print_all(struct natpasv_printer *p, int front) {
  const char *note = fronts[front].note;

  natpasv_put(p, "# %s.", fronts[front].where);
  natpasv_put(p, "# Made by %s on %s.", p->what->who, p->what->address);
  if (note != NULL) {
    natpasv_put(p, "# %s.",
      strcmp(note, REPLACED) == 0 && tells_address(p->what) ? TOLD : note);
  }
  if (p->nodes > 1) {
    natpasv_put(p,
      "# Node %u of %u. For each other node remove the # and put its address for NODE1, NODE2 ...",
      p->node, p->nodes);
  }
  fronts[front].print(p);
}

static void count_line(void *user, const char *line) {
  (void) line;
  *((unsigned int *) user) += 1;
}

int natpasv_export(const char *front, const struct natpasv_export *what,
  natpasv_export_line line, void *user, char *reason, size_t reason_size) {
  struct natpasv_printer p = { .what = what };
  unsigned int lines = 0, ports = count_ports(what);
  int which = find_front(front);

  if (which < 0) {
    (void) snprintf(reason, reason_size, "allowed are " NATPASV_EXPORT_FRONTS);
    return -1;
  }

  if (fronts[which].most != 0 && ports > fronts[which].most) {
    (void) snprintf(reason, reason_size,
      "%s: %s, and %u ports are more than %u: use smaller pools and a longer wait",
      front, fronts[which].why, ports, fronts[which].most);
    return -1;
  }

  find_nodes(&p);
  p.line = count_line;
  p.user = &lines;
  print_all(&p, which);
  if (lines > NATPASV_EXPORT_LINES) {
    (void) snprintf(reason, reason_size,
      "%s: %u lines are more than ftpdctl can show, %d: use pools with fewer ports or ranges, or fewer slices",
      front, lines, NATPASV_EXPORT_LINES);
    return -1;
  }

  p.line = line;
  p.user = user;
  print_all(&p, which);
  return 0;
}
