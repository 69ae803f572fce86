/*
 * mod_extip - a router that is behind a NAT itself
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stdio.h>

#include "behind_nat.h"
#include "common_local.h"

const char *extip_nat_before(struct in_addr addr) {
  bool shared = ntohl(addr.s_addr) >> 22 == 0x64400000 >> 22;

  return !local_address(AF_INET, &addr) ? NULL
         : shared                       ? "carrier-grade NAT"
                                        : "another NAT";
}

bool extip_behind_nat(struct in_addr addr, char *reason, size_t reason_size) {
  const char *nat = extip_nat_before(addr);
  char text[INET_ADDRSTRLEN];

  if (nat == NULL) {
    return false;
  }

  inet_ntop(AF_INET, &addr, text, sizeof(text));
  snprintf(reason, reason_size,
    "the router itself has %s: %s, nobody outside can reach this server; ask the provider for a public address",
    text, nat);
  return true;
}
