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

#include <arpa/inet.h>
#include <string.h>

#include "bytes.h"
#include "natpmp.h"

#define HEADER_SIZE         8 /* version, opcode, result, epoch */
#define ADDRESS_ANSWER_SIZE 12
#define MAP_ANSWER_SIZE     16
#define ANSWER              0x80 /* added to the opcode of the request */

void extip_natpmp_put_address_request(
  unsigned char out[EXTIP_NATPMP_ADDRESS_REQUEST_SIZE]) {
  out[0] = EXTIP_NATPMP_VERSION;
  out[1] = EXTIP_NATPMP_ADDRESS;
}

void extip_natpmp_put_map_request(
  unsigned char out[EXTIP_NATPMP_MAP_REQUEST_SIZE], uint16_t inner,
  uint16_t outer, uint32_t lifetime) {
  out[0] = EXTIP_NATPMP_VERSION;
  out[1] = EXTIP_NATPMP_MAP_TCP;
  put16(out + 2, 0);
  put16(out + 4, inner);
  put16(out + 6, lifetime > 0 ? outer : 0);
  put32(out + 8, lifetime);
}

/* A failure may come as the header alone (RFC 6886 3.5), or at full length. */
static const char *check_header(const unsigned char *buf, size_t len) {
  unsigned int op;

  if (len < HEADER_SIZE) {
    return "shorter than a NAT-PMP answer";
  }
  if (buf[0] != EXTIP_NATPMP_VERSION) {
    return "not version 0, which is NAT-PMP";
  }
  if ((buf[1] & ANSWER) == 0) {
    return "a request, not an answer";
  }

  op = buf[1] & ~(unsigned int) ANSWER;
  if (op != EXTIP_NATPMP_ADDRESS && op != EXTIP_NATPMP_MAP_TCP) {
    return "the answer to a request that is never made";
  }
  if (len >
      (op == EXTIP_NATPMP_ADDRESS ? ADDRESS_ANSWER_SIZE : MAP_ANSWER_SIZE)) {
    return "longer than a NAT-PMP answer of its kind";
  }
  return NULL;
}

static const char *get_success(
  const unsigned char *buf, size_t len, struct extip_natpmp_answer *answer) {
  if (answer->op == EXTIP_NATPMP_ADDRESS) {
    if (len != ADDRESS_ANSWER_SIZE) {
      return "not the 12 bytes of an answer with an address";
    }
    answer->addr.s_addr = htonl(get32(buf + 8));
    return NULL;
  }

  if (len != MAP_ANSWER_SIZE) {
    return "not the 16 bytes of an answer with a mapping";
  }
  answer->inner = (uint16_t) get16(buf + 8);
  answer->outer = (uint16_t) get16(buf + 10);
  answer->lifetime = get32(buf + 12);
  if (answer->lifetime > 0 && (answer->inner == 0 || answer->outer == 0)) {
    return "a mapping of port 0";
  }
  return NULL;
}

int extip_natpmp_get(const unsigned char *buf, size_t len,
  struct extip_natpmp_answer *answer, const char **reason) {
  memset(answer, 0, sizeof(*answer));
  *reason = check_header(buf, len);
  if (*reason != NULL) {
    return -1;
  }

  answer->op = (enum extip_natpmp_op)(buf[1] & ~(unsigned int) ANSWER);
  answer->result = get16(buf + 2);
  answer->epoch = get32(buf + 4);
  if (answer->result == EXTIP_NATPMP_SUCCESS) {
    *reason = get_success(buf, len, answer);
  } else if (answer->op == EXTIP_NATPMP_MAP_TCP && len == MAP_ANSWER_SIZE) {
    answer->inner = (uint16_t) get16(buf + 8);
  }
  return *reason == NULL ? 0 : -1;
}

const char *extip_natpmp_result_text(unsigned int result) {
  static const char *const texts[] = {
    [EXTIP_NATPMP_SUCCESS] = "the router has done what was asked",
    [EXTIP_NATPMP_UNSUPP_VERSION] =
      "the router does not speak this version of NAT-PMP: leave natpmp out of ExtIPGateway",
    [EXTIP_NATPMP_NOT_AUTHORIZED] =
      "the router refuses: switch NAT-PMP on in its settings and allow this host to forward this port",
    [EXTIP_NATPMP_NETWORK_FAILURE] =
      "the router has no public address: check that its line is up, and whether it ever gets a public address",
    [EXTIP_NATPMP_NO_RESOURCES] =
      "the router's table of forwards is full: delete some in its settings or lower max in ExtIPForward",
    [EXTIP_NATPMP_UNSUPP_OPCODE] =
      "the router speaks NAT-PMP but does not do this: name pcp or upnp in ExtIPGateway",
  };

  _Static_assert(
    sizeof(texts) / sizeof(texts[0]) == EXTIP_NATPMP_RESULTS, "a text each");
  return result < EXTIP_NATPMP_RESULTS
           ? texts[result]
           : "the router returned a result that NAT-PMP does not define: name pcp or upnp in ExtIPGateway";
}
