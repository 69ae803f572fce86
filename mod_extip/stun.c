/*
 * mod_extip - asking a STUN server for the reflexive address (RFC 8489)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "stun.h"

#define BINDING 0x0001

/* The attributes that matter. */
enum { MAPPED, XOR_MAPPED, ERROR, ALTERNATE, ATTRS };

void extip_stun_request(unsigned char out[EXTIP_STUN_REQUEST_SIZE],
  const unsigned char id[EXTIP_STUN_ID_SIZE]) {
  extip_stun_put_header(out, BINDING, 0, id);
}

/* Reads an address into REPLY; false with the reason there. */
static bool read_address(const struct extip_stun_attr *attr, uint32_t mask,
  struct extip_stun_reply *reply) {
  return extip_stun_read_address(attr, mask, &reply->addr, &reply->port,
    reply->reason, sizeof(reply->reason));
}

static enum extip_stun_result judge_success(
  const struct extip_stun_attr *attrs, struct extip_stun_reply *reply) {
  bool found;

  if (attrs[XOR_MAPPED].value != NULL) {
    found = read_address(&attrs[XOR_MAPPED], EXTIP_STUN_COOKIE, reply);
  } else if (attrs[MAPPED].value != NULL) {
    found = read_address(&attrs[MAPPED], 0, reply);
  } else {
    snprintf(
      reply->reason, sizeof(reply->reason), "no mapped address in the reply");
    return EXTIP_STUN_BAD;
  }
  return found ? EXTIP_STUN_ADDRESS : EXTIP_STUN_BAD;
}

static enum extip_stun_result judge_error(
  const struct extip_stun_attr *attrs, struct extip_stun_reply *reply) {
  reply->code =
    extip_stun_read_error(&attrs[ERROR], reply->reason, sizeof(reply->reason));
  if (reply->code == 0) {
    return EXTIP_STUN_BAD;
  }
  if (reply->code != 300) {
    return EXTIP_STUN_ERROR;
  }
  if (attrs[ALTERNATE].value == NULL) {
    snprintf(reply->reason, sizeof(reply->reason),
      "error 300 without an alternate server");
    return EXTIP_STUN_ERROR;
  }
  if (!read_address(&attrs[ALTERNATE], 0, reply)) {
    reply->code = 0;
    return EXTIP_STUN_BAD;
  }
  return EXTIP_STUN_ALTERNATE;
}

enum extip_stun_result extip_stun_parse(const unsigned char *buf, size_t len,
  const unsigned char id[EXTIP_STUN_ID_SIZE], struct extip_stun_reply *reply) {
  struct extip_stun_attr attrs[ATTRS] = {
    [MAPPED] = { .type = EXTIP_STUN_MAPPED_ADDRESS },
    [XOR_MAPPED] = { .type = EXTIP_STUN_XOR_MAPPED_ADDRESS },
    [ERROR] = { .type = EXTIP_STUN_ERROR_CODE },
    [ALTERNATE] = { .type = EXTIP_STUN_ALTERNATE_SERVER },
  };
  int unknown;
  const char *reason =
    extip_stun_read(buf, len, BINDING, id, attrs, ATTRS, &unknown);

  memset(reply, 0, sizeof(*reply));
  if (reason != NULL) {
    snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
    return EXTIP_STUN_STRAY;
  }

  /* RFC 8489 6.3.3 and 6.3.4: the transaction has failed. */
  if (unknown >= 0) {
    snprintf(reply->reason, sizeof(reply->reason),
      "unknown required attribute 0x%04x", (unsigned int) unknown);
    return EXTIP_STUN_BAD;
  }
  return (get16(buf) & EXTIP_STUN_ERROR_BIT) == 0 ? judge_success(attrs, reply)
                                                  : judge_error(attrs, reply);
}
