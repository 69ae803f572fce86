/*
 * mod_extip - which router this host's packets go through
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "common_gateway.h"
#include "gateway.h"

static struct in_addr configured = { INADDR_ANY };
static struct in_addr current = { INADDR_ANY };

static struct in_addr look(void) {
  struct in_addr first = { INADDR_ANY };
  struct gateways gateways;

  if (configured.s_addr != INADDR_ANY) {
    return configured;
  }

  if (gateways_read(AF_INET, &gateways) == 0 && gateways.count > 0) {
    memcpy(&first, gateways.gateway[0].address, sizeof(first));
  }
  return first;
}

void extip_gateway_configure(struct in_addr router) {
  configured = router;
  current = look();
}

struct in_addr extip_gateway(void) {
  if (current.s_addr == INADDR_ANY) {
    current = look();
  }
  return current;
}

bool extip_gateway_follow(void) {
  struct in_addr before = current;

  current = look();
  return current.s_addr != before.s_addr;
}
