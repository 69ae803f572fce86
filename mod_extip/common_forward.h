/*
 * common_forward.h - how modules tell each other about forwards on the router
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Ports are in host order, addresses in network order. */

#ifndef COMMON_FORWARD_H
#define COMMON_FORWARD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* HOOK natpasv_ports of mod_natpasv answers with an array_header of these: all
 * ports of pools that clients outside may be given, those of several pools in
 * turn. */
struct forward_port {
  uint16_t inside;  /* on which the server listens */
  uint16_t outside; /* which clients are told */
};

/* HOOK extip_forward of mod_extip, asked about a port on which the server
 * listens ("61000"), answers with one of these if the port is to be
 * forwarded. */
struct forward {
  uint16_t inside;
  uint16_t outside;    /* while it is open, else 0 */
  struct in_addr addr; /* INADDR_ANY: not known */
  bool open;
  const char *state; /* for people: "open", "refused" and so on */
};

/* Asked about no port, it answers with this if passive ports are to be
 * forwarded. It stays valid until it is asked again. */
struct forwards {
  uint64_t generation; /* another one: the list has changed */
  unsigned int count;
  const struct forward *forward; /* all that are asked for, open or not */
};

#endif
