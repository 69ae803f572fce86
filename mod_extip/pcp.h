/*
 * mod_extip - the PCP messages it speaks (RFC 6887)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_PCP_H
#define EXTIP_PCP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first byte of each message, which distinguishes it from NAT-PMP's. */
#define EXTIP_PCP_VERSION 2

/* Where requests go, also those of NAT-PMP; and where a router announces, of
 * its own accord, that something has changed (also for both). */
#define EXTIP_PCP_PORT           5351
#define EXTIP_PCP_ANNOUNCE_GROUP 0xe0000001U /* 224.0.0.1, host order */
#define EXTIP_PCP_ANNOUNCE_PORT  5350

#define EXTIP_PCP_NONCE_SIZE            12
#define EXTIP_PCP_ANNOUNCE_REQUEST_SIZE 24
#define EXTIP_PCP_MAP_REQUEST_MAX       64 /* bytes; without an option 60 */

/* A longer answer is not read, nor is a longer one allowed (RFC 6887 7). */
#define EXTIP_PCP_ANSWER_MAX 1100

/* A mapping as it is asked for: connections to the router's TCP port OUTER
 * reach port INNER of this host. */
struct extip_pcp_map {
  /* Who made a mapping proves it by the nonce. */
  unsigned char nonce[EXTIP_PCP_NONCE_SIZE];
  struct in_addr client; /* where this request leaves from */
  uint16_t inner;
  uint16_t outer;            /* 0: the router chooses */
  struct in_addr outer_addr; /* INADDR_ANY: the router chooses */
  uint32_t lifetime;         /* seconds; 0: delete it */
  bool prefer_failure; /* ask for OUTER or nothing. Some routers give another
                        * port all the same: compare */
};

/* Makes a nonce that nobody can guess; false without entropy. */
bool extip_pcp_new_nonce(unsigned char nonce[EXTIP_PCP_NONCE_SIZE]);

/* Returns the length of the request. PREFER_FAILURE is left out where RFC 6887
 * 13.2 forbids it: without an OUTER port and with LIFETIME 0. */
size_t extip_pcp_put_map(unsigned char out[EXTIP_PCP_MAP_REQUEST_MAX],
  const struct extip_pcp_map *map);

/* Asks for the router's epoch. */
void extip_pcp_put_announce(
  unsigned char out[EXTIP_PCP_ANNOUNCE_REQUEST_SIZE], struct in_addr client);

enum extip_pcp_op { EXTIP_PCP_ANNOUNCE = 0, EXTIP_PCP_MAP = 1 };

enum extip_pcp_result {
  EXTIP_PCP_SUCCESS,
  EXTIP_PCP_UNSUPP_VERSION,
  EXTIP_PCP_NOT_AUTHORIZED,
  EXTIP_PCP_MALFORMED_REQUEST,
  EXTIP_PCP_UNSUPP_OPCODE,
  EXTIP_PCP_UNSUPP_OPTION,
  EXTIP_PCP_MALFORMED_OPTION,
  EXTIP_PCP_NETWORK_FAILURE,
  EXTIP_PCP_NO_RESOURCES,
  EXTIP_PCP_UNSUPP_PROTOCOL,
  EXTIP_PCP_USER_EX_QUOTA,
  EXTIP_PCP_CANNOT_PROVIDE_EXTERNAL,
  EXTIP_PCP_ADDRESS_MISMATCH,
  EXTIP_PCP_EXCESSIVE_REMOTE_PEERS,
  EXTIP_PCP_RESULTS /* how many there are; a router may send any number */
};

struct extip_pcp_answer {
  unsigned int version; /* not EXTIP_PCP_VERSION: with _UNSUPP_VERSION, the one
                         * that the router speaks; 0 is NAT-PMP */
  enum extip_pcp_op op;
  unsigned int result;
  uint32_t lifetime; /* seconds: of the mapping, or of the failure */
  uint32_t epoch;    /* seconds, see epoch.h */

  /* Of EXTIP_PCP_MAP, if has_map: a failure may come without it. */
  bool has_map;
  unsigned char nonce[EXTIP_PCP_NONCE_SIZE];
  uint16_t inner;
  uint16_t outer;
  struct in_addr outer_addr; /* with a failure: 0, an echo of the request, or
                              * the private address that a router behind
                              * another NAT has */
};

/* Reads the answer to a request, or an announcement of the router. Returns 0,
 * or -1 with the REASON: it is to be ignored then (RFC 6887 8.3). */
int extip_pcp_get(const unsigned char *buf, size_t len,
  struct extip_pcp_answer *answer, const char **reason);

/* True if ANSWER belongs to a request for MAP (RFC 6887 11.4). */
bool extip_pcp_answers(
  const struct extip_pcp_answer *answer, const struct extip_pcp_map *map);

/* What a result means and what to do, for the operator. */
const char *extip_pcp_result_text(unsigned int result);

#endif
