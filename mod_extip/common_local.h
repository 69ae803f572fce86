/*
 * common_local.h - which addresses are local
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* A client with a local address is in the same LAN or VPN, or behind the same
 * carrier's NAT, and not on the Internet. Needs no ProFTPD. */

#ifndef COMMON_LOCAL_H
#define COMMON_LOCAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static inline uint32_t local_ipv4_of(const unsigned char *bytes) {
  return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 |
         (uint32_t) bytes[2] << 8 | bytes[3];
}

static inline bool local_is_ipv4(uint32_t address) {
  static const struct {
    uint32_t network;
    unsigned int bits;
  } blocks[] = {
    { 0x7f000000, 8 },  /* 127.0.0.0/8, loopback */
    { 0xa9fe0000, 16 }, /* 169.254.0.0/16, link-local */
    { 0x0a000000, 8 },  /* 10.0.0.0/8, RFC 1918 */
    { 0xac100000, 12 }, /* 172.16.0.0/12, RFC 1918 */
    { 0xc0a80000, 16 }, /* 192.168.0.0/16, RFC 1918 */
    { 0x64400000, 10 }, /* 100.64.0.0/10, RFC 6598 (carrier-grade NAT) */
  };

  for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
    if ((address ^ blocks[i].network) >> (32 - blocks[i].bits) == 0) {
      return true;
    }
  }

  return false;
}

static inline bool local_is_ipv6(const unsigned char *bytes) {
  static const unsigned char zero[16];
  static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

  if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
    return local_is_ipv4(local_ipv4_of(bytes + 12));
  }

  return (memcmp(bytes, zero, 15) == 0 && bytes[15] == 1) || /* ::1 */
         (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||  /* fe80::/10 */
         (bytes[0] & 0xfe) == 0xfc;                          /* fc00::/7 */
}

/* ADDRESS is a struct in_addr or in6_addr, as FAMILY says. NULL, or an address
 * of another family, is not local. */
static inline bool local_address(int family, const void *address) {
  if (address == NULL) {
    return false;
  }

  return family == AF_INET    ? local_is_ipv4(local_ipv4_of(address))
         : family == AF_INET6 ? local_is_ipv6(address)
                              : false;
}

/* Sessions in a row whose client had one local address, in memory that sessions
 * share. All bytes are 0 at first. */
struct local_run {
  _Atomic uint64_t last;    /* the address, in short, and how many */
  _Atomic uint64_t noticed; /* the address that had the last notice */
};

#define LOCAL_RUN_LENGTH 20

#define LOCAL_RUN_NOTICE \
  "the last %d sessions came from %s, a local address, and were told the local address %s: this looks like a proxy in front of this server, whose clients need the outside address; NATPasvLocal names the classes that are local, or none"

/* FNV-1a, of which the lowest byte is left for a number. */
static inline uint64_t local_run_key(int family, const void *address) {
  const unsigned char *bytes = address;
  size_t size = family == AF_INET ? 4 : 16;
  uint64_t key = UINT64_C(0xcbf29ce484222325);

  for (size_t i = 0; i < size; i++) {
    key = (key ^ bytes[i]) * UINT64_C(0x100000001b3);
  }
  return key & ~UINT64_C(0xff);
}

/* Counts a session: ADDRESS is that of its client if it was told a local one,
 * else NULL. True if the run is complete for the first time with this address,
 * and its notice due. */
static inline bool local_run_add(
  struct local_run *run, int family, const void *address) {
  uint64_t key = address != NULL ? local_run_key(family, address) : 0,
           last = atomic_load(&run->last), next;

  do {
    uint64_t before = (last & ~UINT64_C(0xff)) == key ? last & 0xff : 0;

    next =
      key == 0 ? 0 : key | (before < LOCAL_RUN_LENGTH ? before + 1 : before);
  } while (!atomic_compare_exchange_weak(&run->last, &last, next));

  return (next & 0xff) == LOCAL_RUN_LENGTH &&
         atomic_exchange(&run->noticed, key) != key;
}

#endif
