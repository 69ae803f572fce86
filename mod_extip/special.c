/*
 * mod_extip - addresses that cannot be a server's public one
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>

#include "special.h"

struct block {
  uint32_t net;        /* host order */
  unsigned int prefix; /* length in bits, 1-32 */
  bool global;         /* the registry's "Globally Reachable" */
  const char *name;
};

/*
 * The IANA IPv4 Special-Purpose Address Registry (RFC 6890, RFC 8190 and later
 * entries), and the blocks that other registries keep from being anybody's
 * address. A block inside another one comes first.
 */
static const struct block blocks[] = {
  { 0x00000000, 8, false, "RFC 791 \"this network\"" },
  { 0x0a000000, 8, false, "RFC 1918 private" },
  { 0x64400000, 10, false, "RFC 6598 shared (carrier-grade NAT)" },
  { 0x7f000000, 8, false, "RFC 1122 loopback" },
  { 0xa9fe0000, 16, false, "RFC 3927 link-local" },
  { 0xac100000, 12, false, "RFC 1918 private" },
  { 0xc0000009, 32, true, "RFC 7723 PCP anycast" },
  { 0xc000000a, 32, true, "RFC 8155 TURN anycast" },
  { 0xc0000000, 29, false, "RFC 7335 IPv4 service continuity" },
  { 0xc0000008, 32, false, "RFC 7600 dummy" },
  { 0xc00000aa, 31, false, "RFC 7050 NAT64 discovery" },
  { 0xc0000000, 24, false, "RFC 6890 protocol assignment" },
  { 0xc0000200, 24, false, "RFC 5737 TEST-NET-1" },
  { 0xc01fc400, 24, true, "RFC 7535 AS112-v4" },
  { 0xc034c100, 24, true, "RFC 7450 AMT" },
  { 0xc0586302, 32, false, "RFC 6751 6a44 relay" },
  { 0xc0586300, 24, false, "RFC 7526 deprecated 6to4 relay" },
  { 0xc0a80000, 16, false, "RFC 1918 private" },
  { 0xc0af3000, 24, true, "RFC 7534 direct delegation AS112" },
  { 0xc6120000, 15, false, "RFC 2544 benchmarking" },
  { 0xc6336400, 24, false, "RFC 5737 TEST-NET-2" },
  { 0xcb007100, 24, false, "RFC 5737 TEST-NET-3" },
  { 0xe0000000, 4, false, "RFC 5771 multicast" },
  { 0xffffffff, 32, false, "RFC 8190 limited broadcast" },
  { 0xf0000000, 4, false, "RFC 1112 reserved" },
};

bool extip_is_global(struct in_addr addr, const char **reason) {
  uint32_t host = ntohl(addr.s_addr);

  for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
    const struct block *block = &blocks[i];
    unsigned int shift = 32 - block->prefix;

    if (host >> shift == block->net >> shift) {
      if (!block->global && reason != NULL) {
        *reason = block->name;
      }
      return block->global;
    }
  }
  return true;
}
