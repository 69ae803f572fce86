/*
 * mod_extip - the NAT-PMP messages it speaks (RFC 6886)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_NATPMP_H
#define EXTIP_NATPMP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* The first byte of each message, which distinguishes it from PCP's. */
#define EXTIP_NATPMP_VERSION 0

#define EXTIP_NATPMP_ADDRESS_REQUEST_SIZE 2
#define EXTIP_NATPMP_MAP_REQUEST_SIZE     12

/* Asks for the router's outside address. */
void extip_natpmp_put_address_request(
  unsigned char out[EXTIP_NATPMP_ADDRESS_REQUEST_SIZE]);

/* Asks that connections to the router's TCP port OUTER reach port INNER of this
 * host for LIFETIME seconds. With LIFETIME 0 the mapping is deleted, and OUTER
 * is not sent (RFC 6886 3.4). */
void extip_natpmp_put_map_request(
  unsigned char out[EXTIP_NATPMP_MAP_REQUEST_SIZE], uint16_t inner,
  uint16_t outer, uint32_t lifetime);

enum extip_natpmp_op { EXTIP_NATPMP_ADDRESS = 0, EXTIP_NATPMP_MAP_TCP = 2 };

enum extip_natpmp_result {
  EXTIP_NATPMP_SUCCESS,
  EXTIP_NATPMP_UNSUPP_VERSION,
  EXTIP_NATPMP_NOT_AUTHORIZED,
  EXTIP_NATPMP_NETWORK_FAILURE,
  EXTIP_NATPMP_NO_RESOURCES,
  EXTIP_NATPMP_UNSUPP_OPCODE,
  EXTIP_NATPMP_RESULTS /* how many there are; a router may send any number */
};

struct extip_natpmp_answer {
  enum extip_natpmp_op op;
  unsigned int result;
  uint32_t epoch; /* seconds, see epoch.h */

  /* Only with EXTIP_NATPMP_SUCCESS, else 0: routers echo the request. The inner
   * port tells which one, and is 0 if a router does not echo it. */
  struct in_addr addr; /* of _ADDRESS */
  uint16_t inner;      /* of _MAP_TCP */
  uint16_t outer;
  uint32_t lifetime; /* seconds; 0: it is deleted */
};

/* Reads the answer to a request, or an announcement of the router, which has
 * the form of an answer with its address. Returns 0, or -1 with the REASON: it
 * is to be ignored then. */
int extip_natpmp_get(const unsigned char *buf, size_t len,
  struct extip_natpmp_answer *answer, const char **reason);

/* What a result means and what to do, for the operator. */
const char *extip_natpmp_result_text(unsigned int result);

#endif
