/*
 * mod_natpasv - what HAProxy, nginx and nftables need
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * These three take ranges of ports.
 */

#include "export_parts.h"

#include <stdio.h>

/* HAProxy
 */

/* A control connection is idle for as long as a transfer takes. */
static void put_haproxy_timeouts(struct natpasv_printer *p) {
  natpasv_put(p, "  timeout connect 5s");
  natpasv_put(p, "  timeout client 1h");
  natpasv_put(p, "  timeout server 1h");
}

/* Without a port a server is reached at the port that the client asked for,
 * with a sign it is the difference to that. */
static void put_haproxy_server(
  struct natpasv_printer *p, const struct natpasv_part *part, int shift) {
  if (shift != 0) {
    natpasv_put(p, "  server node%u %s:%+d", part->node, part->host, shift);
  } else {
    natpasv_put(p, "  server node%u %s", part->node, part->host);
  }
}

static int shift_of(const struct natpasv_span *span) {
  return (int) span->inside - (int) span->outside;
}

static void put_haproxy_part(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  unsigned int i = 0;
  char range[16];

  while (i < part->nspans) {
    int shift = shift_of(&part->span[i]);

    natpasv_put(p, "listen ftp-data-%s-node%u-%u", part->pool, part->node,
      part->span[i].outside);
    natpasv_put(p, "  mode tcp");
    for (; i < part->nspans && shift_of(&part->span[i]) == shift; i++) {
      natpasv_put(p, "  bind :%s",
        natpasv_port_range(part->span[i].outside, part->span[i].count, range));
    }
    put_haproxy_timeouts(p);
    put_haproxy_server(p, part, shift);
  }
}

static void put_haproxy_control(
  struct natpasv_printer *p, const struct natpasv_export_control *control) {
  unsigned int port = control->port;
  struct natpasv_part node;

  natpasv_put(p, "listen ftp-control-%u", port);
  natpasv_put(p, "  mode tcp");
  natpasv_put(p, "  bind :%u", port);
  natpasv_put(p, "  balance leastconn");
  natpasv_put(p, "  option redispatch 1");
  put_haproxy_timeouts(p);
  for (unsigned int i = 1; i <= p->nodes; i++) {
    natpasv_node(p, i, &node);
    p->other = i != p->node;
    natpasv_put(p, "  server node%u %s:%u%s check inter 5s", i, node.host, port,
      control->proxy ? " send-proxy" : "");
  }
  p->other = false;
}

void natpasv_export_haproxy(struct natpasv_printer *p) {
  for (unsigned int i = 0; i < p->what->ncontrol; i++) {
    put_haproxy_control(p, &p->what->control[i]);
  }
  natpasv_parts(p, put_haproxy_part);
}

/* nginx
 */

static void put_nginx_pairs(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  for (unsigned int i = 0; i < part->nspans; i++) {
    if (shift_of(&part->span[i]) != 0) {
      natpasv_put_pairs(p, "    ", &part->span[i], " ", ";");
    }
  }
}

/* A port cannot be computed, so a table has them. */
static void put_nginx_map(struct natpasv_printer *p) {
  natpasv_put(p, "  map_hash_max_size 65536;");
  natpasv_put(p, "  map $server_port $ftp_port {");
  natpasv_put(p, "    default $server_port;");
  natpasv_parts(p, put_nginx_pairs);
  natpasv_put(p, "  }");
}

static bool has_external(const struct natpasv_export *what) {
  for (unsigned int i = 0; i < what->npools; i++) {
    if (what->pools[i].external != 0) {
      return true;
    }
  }
  return false;
}

static void put_nginx_part(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  char range[16];

  natpasv_put(p, "  server {");
  for (unsigned int i = 0; i < part->nspans; i++) {
    natpasv_put(p, "    listen %s;",
      natpasv_port_range(part->span[i].outside, part->span[i].count, range));
  }
  natpasv_put(p, "    proxy_pass %s:%s;", part->host,
    has_external(p->what) ? "$ftp_port" : "$server_port");
  natpasv_put(p, "    proxy_timeout 1h;");
  natpasv_put(p, "  }");
}

static void put_nginx_control(
  struct natpasv_printer *p, const struct natpasv_export_control *control) {
  unsigned int port = control->port;
  struct natpasv_part node;

  natpasv_put(p, "  upstream ftp_control_%u {", port);
  natpasv_put(p, "    least_conn;");
  for (unsigned int i = 1; i <= p->nodes; i++) {
    natpasv_node(p, i, &node);
    p->other = i != p->node;
    natpasv_put(p, "    server %s:%u;", node.host, port);
  }
  p->other = false;
  natpasv_put(p, "  }");
  natpasv_put(p, "  server {");
  natpasv_put(p, "    listen %u;", port);
  natpasv_put(p, "    proxy_pass ftp_control_%u;", port);
  if (control->proxy) {
    natpasv_put(p, "    proxy_protocol on;");
  }
  natpasv_put(p, "    proxy_timeout 1h;");
  natpasv_put(p, "  }");
}

void natpasv_export_nginx(struct natpasv_printer *p) {
  natpasv_put(p, "stream {");
  if (has_external(p->what)) {
    put_nginx_map(p);
  }
  for (unsigned int i = 0; i < p->what->ncontrol; i++) {
    put_nginx_control(p, &p->what->control[i]);
  }
  natpasv_parts(p, put_nginx_part);
  natpasv_put(p, "}");
}

/* nftables
 */

#define MATCH "    fib daddr type local tcp dport "

static const char *family(const struct natpasv_part *part) {
  return part->six ? "ip6" : "ip";
}

/* With a range in its destination, the kernel would choose any port of it. */
static void put_nft_mapped(struct natpasv_printer *p,
  const struct natpasv_part *part, const struct natpasv_span *span) {
  char range[16];

  natpasv_put(p, MATCH "%s dnat %s to %s : tcp dport map {",
    natpasv_port_range(span->outside, span->count, range), family(part),
    part->address);
  natpasv_put_pairs(p, "      ", span, " : ", ",");
  natpasv_put(p, "    }");
}

static void put_nft_part(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  char range[16];

  for (unsigned int i = 0; i < part->nspans; i++) {
    const struct natpasv_span *span = &part->span[i];

    if (shift_of(span) != 0) {
      put_nft_mapped(p, part, span);
    } else {
      natpasv_put(p, MATCH "%s dnat %s to %s",
        natpasv_port_range(span->outside, span->count, range), family(part),
        part->address);
    }
  }
}

/* The first rule that matches decides: with other nodes, the one for all. */
static void put_nft_control(struct natpasv_printer *p, unsigned int port) {
  struct natpasv_part node;

  if (p->nodes > 1) {
    p->other = true;
    natpasv_put(
      p, MATCH "%u dnat ip to numgen inc mod %u map {", port, p->nodes);
    for (unsigned int i = 1; i <= p->nodes; i++) {
      natpasv_node(p, i, &node);
      natpasv_put(p, "      %u : %s,", i - 1, node.address);
    }
    natpasv_put(p, "    }");
    p->other = false;
  }

  natpasv_node(p, p->node, &node);
  natpasv_put(p, MATCH "%u dnat %s to %s", port, family(&node), node.address);
}

void natpasv_export_nftables(struct natpasv_printer *p) {
  natpasv_put(p, "table inet ftp_natpasv {");
  natpasv_put(p, "  chain in {");
  natpasv_put(p, "    type nat hook prerouting priority dstnat");
  for (unsigned int i = 0; i < p->what->ncontrol; i++) {
    put_nft_control(p, p->what->control[i].port);
  }
  natpasv_parts(p, put_nft_part);
  natpasv_put(p, "  }");
  natpasv_put(p, "}");
}
