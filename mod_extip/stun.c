/*
 * mod_extip - the STUN messages it speaks (RFC 8489)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "printable.h"
#include "stun.h"

#define COOKIE          0x2112a442u
#define FINGERPRINT_XOR 0x5354554eu /* RFC 8489 14.7: "STUN" */
#define ATTR_HEADER     4 /* bytes of an attribute's type and length */

/* RFC 8489 5: the class bits lie between those of the method. */
#define BINDING_REQUEST 0x0001
#define BINDING_SUCCESS 0x0101
#define CLASS_MASK      0x0110
#define CLASS_RESPONSE  0x0100

#define FAMILY_IPV4 0x01
#define FAMILY_IPV6 0x02

enum {
  ATTR_MAPPED_ADDRESS = 0x0001,
  ATTR_MESSAGE_INTEGRITY = 0x0008,
  ATTR_ERROR_CODE = 0x0009,
  ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001c,
  ATTR_XOR_MAPPED_ADDRESS = 0x0020,
  ATTR_COMPREHENSION_OPTIONAL = 0x8000, /* this one and all above */
  ATTR_ALTERNATE_SERVER = 0x8023,
  ATTR_FINGERPRINT = 0x8028
};

struct attr {
  const unsigned char *value; /* NULL: not there */
  size_t len;
};

/* The first of each kind that matters (RFC 8489 14). */
struct attrs {
  struct attr mapped;
  struct attr xor_mapped;
  struct attr error;
  struct attr alternate;
  int unknown; /* first unknown comprehension-required type, or -1 */
};

static unsigned get16(const unsigned char *bytes) {
  return (unsigned) bytes[0] << 8 | bytes[1];
}

static uint32_t get32(const unsigned char *bytes) {
  return (uint32_t) get16(bytes) << 16 | get16(bytes + 2);
}

static void put16(unsigned char *bytes, unsigned value) {
  bytes[0] = (unsigned char) (value >> 8);
  bytes[1] = (unsigned char) value;
}

/* The CRC-32 of ITU V.42, bit by bit: a reply is a hundred bytes. */
static uint32_t crc32(const unsigned char *bytes, size_t len) {
  uint32_t crc = 0xffffffffu;

  for (size_t i = 0; i < len; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
  }
  return ~crc;
}

void extip_stun_request(unsigned char out[EXTIP_STUN_REQUEST_SIZE],
  const unsigned char id[EXTIP_STUN_ID_SIZE]) {
  put16(out, BINDING_REQUEST);
  put16(out + 2, 0);
  put16(out + 4, COOKIE >> 16);
  put16(out + 6, COOKIE & 0xffff);
  memcpy(out + 8, id, EXTIP_STUN_ID_SIZE);
}

size_t extip_stun_length(const unsigned char buf[EXTIP_STUN_HEADER_SIZE]) {
  size_t len = EXTIP_STUN_HEADER_SIZE + get16(buf + 2);

  if ((buf[0] & 0xc0) != 0 || get32(buf + 4) != COOKIE || len % 4 != 0 ||
      len > EXTIP_STUN_REPLY_MAX) {
    return 0;
  }
  return len;
}

/* Known and of no use without credentials (RFC 8489 14.5), or left over from
 * RFC 3489, whose servers still send them. */
static bool is_known_required(unsigned type) {
  return (type > 0 && type <= ATTR_ERROR_CODE) || type == 0x000a ||
         type == 0x000b || type == 0x0014 || type == 0x0015 ||
         (type >= ATTR_MESSAGE_INTEGRITY_SHA256 &&
           type <= ATTR_XOR_MAPPED_ADDRESS);
}

static void keep_first(
  struct attr *attr, const unsigned char *value, size_t len) {
  if (attr->value == NULL) {
    attr->value = value;
    attr->len = len;
  }
}

static void keep(
  struct attrs *attrs, unsigned type, const unsigned char *value, size_t len) {
  switch (type) {
    case ATTR_MAPPED_ADDRESS:
      keep_first(&attrs->mapped, value, len);
      break;
    case ATTR_XOR_MAPPED_ADDRESS:
      keep_first(&attrs->xor_mapped, value, len);
      break;
    case ATTR_ERROR_CODE:
      keep_first(&attrs->error, value, len);
      break;
    case ATTR_ALTERNATE_SERVER:
      keep_first(&attrs->alternate, value, len);
      break;
    default:
      if (type < ATTR_COMPREHENSION_OPTIONAL && !is_known_required(type) &&
          attrs->unknown < 0) {
        attrs->unknown = (int) type;
      }
  }
}

/* Walks over the attributes. NULL, or what is wrong with the message. */
static const char *read_attrs(
  const unsigned char *buf, size_t len, struct attrs *attrs) {
  size_t pos = EXTIP_STUN_HEADER_SIZE;
  bool protected = false;

  memset(attrs, 0, sizeof(*attrs));
  attrs->unknown = -1;

  while (pos < len) {
    const unsigned char *value = buf + pos + ATTR_HEADER;
    unsigned type = get16(buf + pos);
    size_t value_len = get16(buf + pos + 2);
    size_t padded = (value_len + 3) / 4 * 4;

    /* pos and len are multiples of 4, so a header always fits. */
    if (padded > len - pos - ATTR_HEADER) {
      return "an attribute runs past the end";
    }
    if (type == ATTR_FINGERPRINT) {
      if (value_len != 4 || pos + ATTR_HEADER + padded != len) {
        return "malformed FINGERPRINT";
      }
      if ((crc32(buf, pos) ^ FINGERPRINT_XOR) != get32(value)) {
        return "wrong FINGERPRINT";
      }
      return NULL;
    }

    /* RFC 8489 14.5: what follows the integrity is to be ignored. */
    if (!protected) {
      keep(attrs, type, value, value_len);
    }
    protected = protected || type == ATTR_MESSAGE_INTEGRITY ||
                type == ATTR_MESSAGE_INTEGRITY_SHA256;
    pos += ATTR_HEADER + padded;
  }
  return NULL;
}

/* Reads an address attribute into REPLY; false with the reason there. */
static bool read_address(
  const struct attr *attr, uint32_t mask, struct extip_stun_reply *reply) {
  unsigned family = attr->len >= 4 ? attr->value[1] : 0;

  if (family == FAMILY_IPV4 && attr->len == 8) {
    reply->addr.s_addr = htonl(get32(attr->value + 4) ^ mask);
    reply->port = (uint16_t) (get16(attr->value + 2) ^ (mask >> 16));
    return true;
  }
  if (family == FAMILY_IPV6 && attr->len == 20) {
    snprintf(reply->why, sizeof(reply->why), "IPv6 address instead of IPv4");
  } else if (family == FAMILY_IPV4 || family == FAMILY_IPV6) {
    snprintf(reply->why, sizeof(reply->why), "address of %zu bytes", attr->len);
  } else {
    snprintf(
      reply->why, sizeof(reply->why), "unknown address family %u", family);
  }
  return false;
}

static enum extip_stun_result judge_success(
  const struct attrs *attrs, struct extip_stun_reply *reply) {
  bool found;

  if (attrs->xor_mapped.value != NULL) {
    found = read_address(&attrs->xor_mapped, COOKIE, reply);
  } else if (attrs->mapped.value != NULL) {
    found = read_address(&attrs->mapped, 0, reply);
  } else {
    snprintf(reply->why, sizeof(reply->why), "no mapped address in the reply");
    return EXTIP_STUN_BAD;
  }
  return found ? EXTIP_STUN_ADDRESS : EXTIP_STUN_BAD;
}

static enum extip_stun_result judge_error(
  const struct attrs *attrs, struct extip_stun_reply *reply) {
  const struct attr *error = &attrs->error;
  char phrase[64];

  if (error->len < 4 || (error->value[2] & 7) < 3 ||
      (error->value[2] & 7) > 6 || error->value[3] > 99) {
    snprintf(
      reply->why, sizeof(reply->why), "error reply without a valid error code");
    return EXTIP_STUN_BAD;
  }
  reply->code = (error->value[2] & 7) * 100u + error->value[3];
  extip_printable(phrase, sizeof(phrase), error->value + 4, error->len - 4);
  snprintf(reply->why, sizeof(reply->why), "error %u %s", reply->code, phrase);

  if (reply->code != 300) {
    return EXTIP_STUN_ERROR;
  }
  if (attrs->alternate.value == NULL) {
    snprintf(
      reply->why, sizeof(reply->why), "error 300 without an alternate server");
    return EXTIP_STUN_ERROR;
  }
  if (!read_address(&attrs->alternate, 0, reply)) {
    reply->code = 0;
    return EXTIP_STUN_BAD;
  }
  return EXTIP_STUN_ALTERNATE;
}

/* NULL when this is a response to our request, else why it is not. */
static const char *check_header(const unsigned char *buf, size_t len,
  const unsigned char id[EXTIP_STUN_ID_SIZE]) {
  unsigned type;

  if (len < EXTIP_STUN_HEADER_SIZE) {
    return "shorter than a STUN header";
  }
  type = get16(buf);
  if ((type & 0xc000) != 0) {
    return "not a STUN message";
  }
  if (get32(buf + 4) != COOKIE) {
    return "wrong magic cookie";
  }
  if (memcmp(buf + 8, id, EXTIP_STUN_ID_SIZE) != 0) {
    return "wrong transaction id";
  }
  if (get16(buf + 2) != len - EXTIP_STUN_HEADER_SIZE || len % 4 != 0) {
    return "wrong message length";
  }
  if ((type & CLASS_RESPONSE) == 0) {
    return "not a response";
  }
  if ((type & ~(unsigned) CLASS_MASK) != BINDING_REQUEST) {
    return "wrong method";
  }
  return NULL;
}

enum extip_stun_result extip_stun_parse(const unsigned char *buf, size_t len,
  const unsigned char id[EXTIP_STUN_ID_SIZE], struct extip_stun_reply *reply) {
  struct attrs attrs;
  const char *fault;

  memset(reply, 0, sizeof(*reply));
  fault = check_header(buf, len, id);
  if (fault == NULL) {
    fault = read_attrs(buf, len, &attrs);
  }
  if (fault != NULL) {
    snprintf(reply->why, sizeof(reply->why), "%s", fault);
    return EXTIP_STUN_STRAY;
  }

  /* RFC 8489 6.3.3 and 6.3.4: the transaction has failed. */
  if (attrs.unknown >= 0) {
    snprintf(reply->why, sizeof(reply->why),
      "unknown required attribute 0x%04x", (unsigned) attrs.unknown);
    return EXTIP_STUN_BAD;
  }
  return get16(buf) == BINDING_SUCCESS ? judge_success(&attrs, reply)
                                       : judge_error(&attrs, reply);
}
