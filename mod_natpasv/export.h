/*
 * mod_natpasv - what the thing in front needs, ready to paste
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Prints its arguments as the configuration of a proxy or router in front of
 * the server. Needs no ProFTPD. Names and addresses are safe to print.
 */

#ifndef NATPASV_EXPORT_H
#define NATPASV_EXPORT_H

#include "slice.h"

#define NATPASV_EXPORT_LINES 900 /* ProFTPD sends fewer than 1,000 */

/* What is in front, in words for an operator. */
#define NATPASV_EXPORT_FRONTS \
  "haproxy, nginx, nftables, kubernetes, compose, traefik"

struct natpasv_export_control {
  unsigned int port;
  bool proxy; /* mod_proxy_protocol wants the client's address */
};

struct natpasv_export_pool {
  const char *name;
  const char *address;               /* where sessions of this node listen */
  const struct natpasv_ports *ports; /* of all nodes together */
  unsigned int external;             /* of the first of them; 0: as they are */
  struct natpasv_slice slice;        /* of this node */
};

struct natpasv_export {
  const char *who;     /* "mod_natpasv/1.0" */
  const char *address; /* of this node */
  const struct natpasv_export_control *control;
  unsigned int ncontrol;
  const struct natpasv_export_pool *pools;
  unsigned int npools;
};

/* Called with each line, without its end. */
typedef void (*natpasv_export_line)(void *user, const char *line);

/* Whether this is one of NATPASV_EXPORT_FRONTS. */
bool natpasv_export_knows(const char *front);

/* -1 with a reason, and no line, if it cannot be expressed for that front. */
int natpasv_export(const char *front, const struct natpasv_export *what,
  natpasv_export_line line, void *user, char *reason, size_t reason_size);

#endif
