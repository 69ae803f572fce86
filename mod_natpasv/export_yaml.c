/*
 * mod_natpasv - what Kubernetes, Compose and Traefik need
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * These three read YAML.
 */

#include "export_parts.h"

#include <stdio.h>

/* Kubernetes
 */

static void put_service(
  struct natpasv_printer *p, const char *name, const char *selector) {
  natpasv_put(p, "apiVersion: v1");
  natpasv_put(p, "kind: Service");
  natpasv_put(p, "metadata:");
  natpasv_put(p, "  name: %s", name);
  natpasv_put(p, "spec:");
  natpasv_put(p, "  type: LoadBalancer");
  natpasv_put(p, "  externalTrafficPolicy: Local");
  natpasv_put(p, "  selector:");
  natpasv_put(p, "    %s", selector);
  natpasv_put(p, "  ports:");
}

static void put_service_port(
  struct natpasv_printer *p, unsigned int outside, unsigned int inside) {
  natpasv_put(p, "  - {name: ftp-%u, protocol: TCP, port: %u, targetPort: %u}",
    outside, outside, inside);
}

static void put_service_part(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  for (unsigned int i = 0; i < part->nspans; i++) {
    const struct natpasv_span *span = &part->span[i];

    for (unsigned int j = 0; j < span->count; j++) {
      put_service_port(p, span->outside + j, span->inside + j);
    }
  }
}

/* Data connections have to reach the pod of the control connection, which a
 * StatefulSet numbers from 0. */
static void put_service_of_node(struct natpasv_printer *p, unsigned int node) {
  char name[24], selector[64];

  (void) snprintf(name, sizeof(name), "ftp-node%u", node);
  (void) snprintf(selector, sizeof(selector),
    "statefulset.kubernetes.io/pod-name: ftp-%u", node - 1);
  p->other = node != p->node;
  natpasv_put(p, "---");
  put_service(p, name, selector);
  p->other = false;
  natpasv_parts_of(p, node, put_service_part);
}

void natpasv_export_kubernetes(struct natpasv_printer *p) {
  if (p->nodes > 1) {
    natpasv_put(p, "# All Services need one outside address.");
  }
  put_service(p, "ftp", "app: ftp");
  for (unsigned int i = 0; i < p->what->ncontrol; i++) {
    put_service_port(p, p->what->control[i].port, p->what->control[i].port);
  }

  if (p->nodes == 1) {
    natpasv_parts(p, put_service_part);
    return;
  }
  for (unsigned int node = 1; node <= p->nodes; node++) {
    put_service_of_node(p, node);
  }
}

/* Compose
 */

static void put_compose_part(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  char outside[16], inside[16];

  for (unsigned int i = 0; i < part->nspans; i++) {
    const struct natpasv_span *span = &part->span[i];

    natpasv_put(p, "    - \"%s:%s\"",
      natpasv_port_range(span->outside, span->count, outside),
      natpasv_port_range(span->inside, span->count, inside));
  }
}

/* A port of the host can lead to one container only, so it is this one that has
 * the control port. */
void natpasv_export_compose(struct natpasv_printer *p) {
  natpasv_put(p, "services:");
  for (unsigned int node = 1; node <= p->nodes; node++) {
    p->other = node != p->node;
    if (p->nodes > 1) {
      natpasv_put(p, "  ftp%u:", node);
    } else {
      natpasv_put(p, "  ftp:");
    }
    natpasv_put(p, "    image: registry.example/ftp");
    natpasv_put(p, "    ports:");
    for (unsigned int i = 0; !p->other && i < p->what->ncontrol; i++) {
      natpasv_put(p, "    - \"%u:%u\"", p->what->control[i].port,
        p->what->control[i].port);
    }
    natpasv_parts_of(p, node, put_compose_part);
  }
}

/* Traefik
 */

static void put_entry_point(struct natpasv_printer *p, unsigned int port) {
  natpasv_put(p, "  ftp-%u: {address: \":%u\"}", port, port);
}

static void put_router(struct natpasv_printer *p, unsigned int port) {
  natpasv_put(p,
    "    ftp-%u: {entryPoints: [ftp-%u], rule: \"HostSNI(`*`)\", service: ftp-%u}",
    port, port, port);
}

static void put_entry_points(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  for (unsigned int i = 0; i < part->nspans; i++) {
    for (unsigned int j = 0; j < part->span[i].count; j++) {
      put_entry_point(p, part->span[i].outside + j);
    }
  }
}

static void put_routers(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  for (unsigned int i = 0; i < part->nspans; i++) {
    for (unsigned int j = 0; j < part->span[i].count; j++) {
      put_router(p, part->span[i].outside + j);
    }
  }
}

static void put_services(
  struct natpasv_printer *p, const struct natpasv_part *part) {
  for (unsigned int i = 0; i < part->nspans; i++) {
    const struct natpasv_span *span = &part->span[i];

    for (unsigned int j = 0; j < span->count; j++) {
      natpasv_put(p,
        "    ftp-%u: {loadBalancer: {servers: [{address: \"%s:%u\"}]}}",
        span->outside + j, part->host, span->inside + j);
    }
  }
}

static void put_control_service(
  struct natpasv_printer *p, const struct natpasv_export_control *control) {
  unsigned int port = control->port;
  struct natpasv_part node;

  natpasv_put(p, "    ftp-%u:", port);
  natpasv_put(p, "      loadBalancer:");
  if (control->proxy) {
    natpasv_put(p, "        proxyProtocol: {version: 1}");
  }
  natpasv_put(p, "        servers:");
  for (unsigned int i = 1; i <= p->nodes; i++) {
    natpasv_node(p, i, &node);
    p->other = i != p->node;
    natpasv_put(p, "        - address: \"%s:%u\"", node.host, port);
  }
  p->other = false;
}

void natpasv_export_traefik(struct natpasv_printer *p) {
  const struct natpasv_export_control *control = p->what->control;
  unsigned int n = p->what->ncontrol;

  natpasv_put(p, "entryPoints:");
  for (unsigned int i = 0; i < n; i++) {
    put_entry_point(p, control[i].port);
  }
  natpasv_parts(p, put_entry_points);
  natpasv_put(p, "---");
  natpasv_put(p, "tcp:");
  natpasv_put(p, "  routers:");
  for (unsigned int i = 0; i < n; i++) {
    put_router(p, control[i].port);
  }
  natpasv_parts(p, put_routers);
  natpasv_put(p, "  services:");
  for (unsigned int i = 0; i < n; i++) {
    put_control_service(p, &control[i]);
  }
  natpasv_parts(p, put_services);
}
