/*
 * mod_extip - ExtIPGateway and ExtIPForward
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ROUTER_CONF_H
#define EXTIP_ROUTER_CONF_H

#include <stddef.h>

#include "portforward.h"

/* What the configuration says about the router; zeros are the defaults but for
 * extip_gateway_default() and extip_forwards_default(). */
struct extip_gateway_conf {
  struct in_addr router; /* INADDR_ANY: the gateway of this host */
  enum extip_protocol protocols[EXTIP_PROTOCOLS]; /* in order of preference */
  size_t protocol_count;
};

struct extip_forwards_conf {
  bool control, passive, any_port; /* neither of the first two: off */
  unsigned int max;                /* ports */
  unsigned int lifetime;           /* seconds */
};

extern const struct extip_gateway_conf extip_gateway_default;
extern const struct extip_forwards_conf extip_forwards_default;

/* Read the COUNT words after the directive. Return 0, or -1 with a sentence in
 * REASON. */
int extip_gateway_parse(char *const *words, size_t count,
  struct extip_gateway_conf *conf, char *reason, size_t reason_size);
int extip_forwards_parse(char *const *words, size_t count,
  struct extip_forwards_conf *conf, char *reason, size_t reason_size);

#endif
