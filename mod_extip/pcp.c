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

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

#include "bytes.h"
#include "pcp.h"

/* RFC 6887 7.1 to 7.3 and 11.1 */
#define HEADER_SIZE   24 /* of requests and answers */
#define MAP_SIZE      60 /* with the header */
#define OPTION_HEADER 4
#define ANSWER        0x80 /* the R bit */
#define TCP           6

/* RFC 6887 13.2: a mandatory option without data. */
#define PREFER_FAILURE 2

/* The shortest message that says which version a router speaks: NAT-PMP's. */
#define VERSION_ANSWER_SIZE 8

/* RFC 6887 5: an IPv4 address is written as ::ffff:192.0.2.1. */
static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
  0xff };

static void put_addr(unsigned char out[16], struct in_addr addr) {
  memcpy(out, mapped, sizeof(mapped));
  memcpy(out + sizeof(mapped), &addr, sizeof(addr));
}

static bool get_addr(const unsigned char bytes[16], struct in_addr *addr) {
  if (memcmp(bytes, mapped, sizeof(mapped)) != 0) {
    return false;
  }
  memcpy(addr, bytes + sizeof(mapped), sizeof(*addr));
  return true;
}

bool extip_pcp_new_nonce(unsigned char nonce[EXTIP_PCP_NONCE_SIZE]) {
  return getrandom(nonce, EXTIP_PCP_NONCE_SIZE, 0) == EXTIP_PCP_NONCE_SIZE;
}

static void put_header(unsigned char out[HEADER_SIZE], enum extip_pcp_op op,
  uint32_t lifetime, struct in_addr client) {
  out[0] = EXTIP_PCP_VERSION;
  out[1] = (unsigned char) op;
  put16(out + 2, 0);
  put32(out + 4, lifetime);
  put_addr(out + 8, client);
}

size_t extip_pcp_put_map(unsigned char out[EXTIP_PCP_MAP_REQUEST_MAX],
  const struct extip_pcp_map *map) {
  put_header(out, EXTIP_PCP_MAP, map->lifetime, map->client);
  memcpy(out + 24, map->nonce, EXTIP_PCP_NONCE_SIZE);
  put32(out + 36, (uint32_t) TCP << 24);
  put16(out + 40, map->inner);
  put16(out + 42, map->outer);
  put_addr(out + 44, map->outer_addr);
  if (!map->prefer_failure || map->outer == 0 || map->lifetime == 0) {
    return MAP_SIZE;
  }

  put32(out + MAP_SIZE, (uint32_t) PREFER_FAILURE << 24);
  return MAP_SIZE + OPTION_HEADER;
}

void extip_pcp_put_announce(
  unsigned char out[EXTIP_PCP_ANNOUNCE_REQUEST_SIZE], struct in_addr client) {
  put_header(out, EXTIP_PCP_ANNOUNCE, 0, client);
}

/* RFC 6887 8.3: what of an answer has to be right before its result counts. A
 * router of another version answers in its own (RFC 6887 9, appendix A). */
static const char *check_header(const unsigned char *buf, size_t len) {
  if (len < VERSION_ANSWER_SIZE) {
    return "shorter than a PCP answer";
  }
  if ((buf[1] & ANSWER) == 0) {
    return "a request, not an answer";
  }
  if (buf[0] != EXTIP_PCP_VERSION) {
    return buf[3] == EXTIP_PCP_UNSUPP_VERSION
             ? NULL
             : "another version than that of the request";
  }

  if (len < HEADER_SIZE) {
    return "shorter than a PCP answer";
  }
  if (len > EXTIP_PCP_ANSWER_MAX) {
    return "longer than PCP allows";
  }
  if (len % 4 != 0) {
    return "a length that is no multiple of 4";
  }
  if ((buf[1] & ~(unsigned int) ANSWER) > EXTIP_PCP_MAP) {
    return "the answer to a request that is never made";
  }
  return NULL;
}

/* Options that nobody asked for are ignored, but their lengths must add up
 * (RFC 6887 7.3). */
static const char *check_options(
  const unsigned char *buf, size_t len, size_t pos) {
  while (pos < len) {
    size_t data = get16(buf + pos + 2);
    size_t padded = (data + 3) / 4 * 4;

    /* pos and len are multiples of 4, so a header always fits. */
    if (padded > len - pos - OPTION_HEADER) {
      return "an option runs past the end";
    }
    pos += OPTION_HEADER + padded;
  }
  return NULL;
}

/* An answer of success says all of the mapping. */
static const char *check_map(const unsigned char *buf, size_t len,
  const struct extip_pcp_answer *answer, bool is_ipv4) {
  if (!answer->has_map) {
    return "shorter than an answer with a mapping";
  }
  if (buf[36] != TCP) {
    return "a mapping of another protocol than TCP";
  }
  if (answer->lifetime > 0 && (answer->inner == 0 || answer->outer == 0)) {
    return "a mapping of port 0";
  }
  if (!is_ipv4) {
    return "an outside address that is not IPv4";
  }
  if (answer->lifetime > 0 && answer->outer_addr.s_addr == INADDR_ANY) {
    return "a mapping without an outside address";
  }
  return check_options(buf, len, MAP_SIZE);
}

static const char *get_map(
  const unsigned char *buf, size_t len, struct extip_pcp_answer *answer) {
  bool is_ipv4 = false;

  answer->has_map = len >= MAP_SIZE;
  if (answer->has_map) {
    memcpy(answer->nonce, buf + 24, EXTIP_PCP_NONCE_SIZE);
    answer->inner = (uint16_t) get16(buf + 40);
    answer->outer = (uint16_t) get16(buf + 42);
    is_ipv4 = get_addr(buf + 44, &answer->outer_addr);
  }
  return answer->result == EXTIP_PCP_SUCCESS
           ? check_map(buf, len, answer, is_ipv4)
           : NULL;
}

int extip_pcp_get(const unsigned char *buf, size_t len,
  struct extip_pcp_answer *answer, const char **reason) {
  memset(answer, 0, sizeof(*answer));
  *reason = check_header(buf, len);
  if (*reason != NULL) {
    return -1;
  }

  answer->version = buf[0];
  answer->result = buf[3];
  if (answer->version != EXTIP_PCP_VERSION) {
    return 0;
  }

  answer->op = (enum extip_pcp_op)(buf[1] & ~(unsigned int) ANSWER);
  answer->lifetime = get32(buf + 4);
  answer->epoch = get32(buf + 8);
  if (answer->op == EXTIP_PCP_MAP) {
    *reason = get_map(buf, len, answer);
  } else if (answer->result == EXTIP_PCP_SUCCESS) {
    *reason = check_options(buf, len, HEADER_SIZE);
  }
  return *reason == NULL ? 0 : -1;
}

bool extip_pcp_answers(
  const struct extip_pcp_answer *answer, const struct extip_pcp_map *map) {
  return answer->has_map && answer->inner == map->inner &&
         memcmp(answer->nonce, map->nonce, sizeof(map->nonce)) == 0;
}

const char *extip_pcp_result_text(unsigned int result) {
  static const char *const texts[] = {
    [EXTIP_PCP_SUCCESS] = "the router has done what was asked",
    [EXTIP_PCP_UNSUPP_VERSION] =
      "the router does not speak this version of PCP: name natpmp or upnp in ExtIPGateway",
    [EXTIP_PCP_NOT_AUTHORIZED] =
      "the router refuses: switch PCP on in its settings and allow this host to forward this port",
    [EXTIP_PCP_MALFORMED_REQUEST] =
      "the router does not understand the request: name natpmp or upnp in ExtIPGateway",
    [EXTIP_PCP_UNSUPP_OPCODE] =
      "the router speaks PCP but does not do this: name natpmp or upnp in ExtIPGateway",
    [EXTIP_PCP_UNSUPP_OPTION] =
      "the router cannot promise a certain outside port: name any-port in ExtIPForward, or natpmp or upnp in ExtIPGateway",
    [EXTIP_PCP_MALFORMED_OPTION] =
      "the router does not understand an option of the request: name natpmp or upnp in ExtIPGateway",
    [EXTIP_PCP_NETWORK_FAILURE] =
      "the router's own line does not work: check that it is up",
    [EXTIP_PCP_NO_RESOURCES] =
      "the router has no room or no public address: delete forwards in its settings or lower max in ExtIPForward, and check that it has a public address",
    [EXTIP_PCP_UNSUPP_PROTOCOL] =
      "the router does not forward TCP by PCP: name natpmp or upnp in ExtIPGateway",
    [EXTIP_PCP_USER_EX_QUOTA] =
      "the router allows this host no more forwards: raise the limit in its settings or lower max in ExtIPForward",
    [EXTIP_PCP_CANNOT_PROVIDE_EXTERNAL] =
      "the router does not give this outside port or address: another host may hold it; choose other ports, or name any-port in ExtIPForward",
    [EXTIP_PCP_ADDRESS_MISMATCH] =
      "the router sees this host at another address: there is another NAT in between; name the nearest router in ExtIPGateway",
    [EXTIP_PCP_EXCESSIVE_REMOTE_PEERS] =
      "the router cannot restrict a forward to so many addresses, which was not asked for: name natpmp or upnp in ExtIPGateway",
  };

  _Static_assert(
    sizeof(texts) / sizeof(texts[0]) == EXTIP_PCP_RESULTS, "a text each");
  return result < EXTIP_PCP_RESULTS
           ? texts[result]
           : "the router returned a result that PCP does not define: name natpmp or upnp in ExtIPGateway";
}
