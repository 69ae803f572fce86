/*
 * mod_extip - one forward on the router, as everybody may know it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_PORTFORWARD_H
#define EXTIP_PORTFORWARD_H

#include "common_forward.h"

#define EXTIP_FORWARDS_MAX 1000

/* How the router is spoken to. */
enum extip_protocol { EXTIP_PCP, EXTIP_NATPMP, EXTIP_UPNP, EXTIP_PROTOCOLS };

/* As written in ExtIPGateway: "pcp", "natpmp" or "upnp". */
const char *extip_protocol_name(unsigned int protocol);

enum extip_forward_state {
  EXTIP_FORWARD_ASKED,   /* no answer yet */
  EXTIP_FORWARD_OPEN,    /* in force */
  EXTIP_FORWARD_ANOTHER, /* the router gave another port, which was returned */
  EXTIP_FORWARD_REFUSED, /* the router said why */
  EXTIP_FORWARD_SILENT,  /* the router does not answer */
  EXTIP_FORWARD_STATES
};

const char *extip_forward_state_name(unsigned int state);

#define EXTIP_FORWARD_REASON 128 /* bytes of a reason with its NUL */

/* A forward, in memory that sessions read. Ports are in host order. */
struct extip_forward {
  struct forward_port port;
  uint16_t given; /* the port outside while it is open, else 0 */
  uint8_t state, protocol;
  uint32_t addr; /* outside address, network order; 0: not known */
  uint32_t reserved;
  int64_t since; /* seconds since the epoch, 0: it is not open */
  int64_t until; /* extip_now() at which the router forgets it */
  char reason[EXTIP_FORWARD_REASON]; /* why it is not open; printable ASCII */
};

#endif
