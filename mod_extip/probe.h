/*
 * mod_extip - ExtIPProbe: who tries from outside whether a port is reachable
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_PROBE_H
#define EXTIP_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTIP_PROBE_TURN_PORT 3478

/* In the URL of a checker, where the number of the port belongs. */
#define EXTIP_PROBE_PORT "{port}"

struct extip_probe {
  const char *text; /* the first word, as configured */
  bool turn;        /* else a checker that is asked over HTTP */
  char host[256];   /* of a TURN server */
  uint16_t port;
  const char *credentials; /* path of a file with user:password; or NULL */
};

/* Reads the arguments of ExtIPProbe, COUNT of WORDS, which must outlive PROBE.
 * Returns 0, or -1 with a reason. */
int extip_probe_parse(char *const *words, size_t count,
  struct extip_probe *probe, char *reason, size_t reason_size);

#endif
