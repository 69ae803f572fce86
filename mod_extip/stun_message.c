/*
 * mod_extip - what all STUN messages have in common (RFC 8489)
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
#include <string.h>
#include <sys/random.h>

#include "bytes.h"
#include "printable.h"
#include "stun_message.h"

#define FINGERPRINT_XOR 0x5354554eu /* RFC 8489 14.7: "STUN" */

#define COMPREHENSION_OPTIONAL 0x8000 /* this type and all above */

#define FAMILY_IPV4 0x01
#define FAMILY_IPV6 0x02

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

bool extip_stun_new_id(unsigned char id[EXTIP_STUN_ID_SIZE]) {
  return getrandom(id, EXTIP_STUN_ID_SIZE, 0) == EXTIP_STUN_ID_SIZE;
}

void extip_stun_put_header(unsigned char *out, unsigned int method, size_t len,
  const unsigned char id[EXTIP_STUN_ID_SIZE]) {
  put16(out, method);
  put16(out + 2, (unsigned int) len);
  put32(out + 4, EXTIP_STUN_COOKIE);
  memcpy(out + 8, id, EXTIP_STUN_ID_SIZE);
}

size_t extip_stun_length(const unsigned char buf[EXTIP_STUN_HEADER_SIZE]) {
  size_t len = EXTIP_STUN_HEADER_SIZE + get16(buf + 2);

  if ((buf[0] & 0xc0) != 0 || get32(buf + 4) != EXTIP_STUN_COOKIE ||
      len % 4 != 0 || len > EXTIP_STUN_REPLY_MAX) {
    return 0;
  }
  return len;
}

/* Known and of no use here (RFC 8489 14.5), or left over from RFC 3489, whose
 * servers still send them. */
static bool is_known_required(unsigned int type) {
  return (type > 0 && type <= EXTIP_STUN_ERROR_CODE) || type == 0x000a ||
         type == 0x000b || type == EXTIP_STUN_REALM ||
         type == EXTIP_STUN_NONCE ||
         (type >= EXTIP_STUN_MESSAGE_INTEGRITY_SHA256 &&
           type <= EXTIP_STUN_XOR_MAPPED_ADDRESS);
}

/* The attributes of a message that are looked for. */
struct search {
  struct extip_stun_attr *wanted;
  size_t count;
  int *unknown;
};

static void keep(struct search *search, unsigned int type,
  const unsigned char *value, size_t len) {
  for (size_t i = 0; i < search->count; i++) {
    struct extip_stun_attr *attr = &search->wanted[i];

    if (attr->type == type) {
      if (attr->value == NULL) {
        attr->value = value;
        attr->len = len;
      }
      return;
    }
  }

  if (type < COMPREHENSION_OPTIONAL && !is_known_required(type) &&
      *search->unknown < 0) {
    *search->unknown = (int) type;
  }
}

/* Walks over the attributes. NULL, or what is wrong with the message. */
static const char *read_attrs(
  const unsigned char *buf, size_t len, struct search *search) {
  size_t pos = EXTIP_STUN_HEADER_SIZE;
  bool protected = false;

  while (pos < len) {
    const unsigned char *value = buf + pos + EXTIP_STUN_ATTR_HEADER;
    unsigned int type = get16(buf + pos);
    size_t value_len = get16(buf + pos + 2);
    size_t padded = (value_len + 3) / 4 * 4;

    /* pos and len are multiples of 4, so a header always fits. */
    if (padded > len - pos - EXTIP_STUN_ATTR_HEADER) {
      return "an attribute runs past the end";
    }
    if (type == EXTIP_STUN_FINGERPRINT) {
      if (value_len != 4 || pos + EXTIP_STUN_ATTR_HEADER + padded != len) {
        return "malformed FINGERPRINT";
      }
      if ((crc32(buf, pos) ^ FINGERPRINT_XOR) != get32(value)) {
        return "wrong FINGERPRINT";
      }
      return NULL;
    }

    /* RFC 8489 14.5: what follows the integrity is to be ignored. */
    if (!protected) {
      keep(search, type, value, value_len);
    }
    protected = protected || type == EXTIP_STUN_MESSAGE_INTEGRITY ||
                type == EXTIP_STUN_MESSAGE_INTEGRITY_SHA256;
    pos += EXTIP_STUN_ATTR_HEADER + padded;
  }
  return NULL;
}

/* NULL when this is a response to our request, else why it is not. */
static const char *check_header(const unsigned char *buf, size_t len,
  unsigned int method, const unsigned char id[EXTIP_STUN_ID_SIZE]) {
  unsigned int type;

  if (len < EXTIP_STUN_HEADER_SIZE) {
    return "shorter than a STUN header";
  }
  type = get16(buf);
  if ((type & 0xc000) != 0) {
    return "not a STUN message";
  }
  if (get32(buf + 4) != EXTIP_STUN_COOKIE) {
    return "wrong magic cookie";
  }
  if (memcmp(buf + 8, id, EXTIP_STUN_ID_SIZE) != 0) {
    return "wrong transaction id";
  }
  if (get16(buf + 2) != len - EXTIP_STUN_HEADER_SIZE || len % 4 != 0) {
    return "wrong message length";
  }
  if ((type & EXTIP_STUN_RESPONSE) == 0) {
    return "not a response";
  }
  if ((type & ~(unsigned int) EXTIP_STUN_CLASS_MASK) != method) {
    return "wrong method";
  }
  return NULL;
}

const char *extip_stun_read(const unsigned char *buf, size_t len,
  unsigned int method, const unsigned char id[EXTIP_STUN_ID_SIZE],
  struct extip_stun_attr *wanted, size_t count, int *unknown) {
  struct search search = {
    .wanted = wanted, .count = count, .unknown = unknown
  };
  const char *reason = check_header(buf, len, method, id);

  *unknown = -1;
  return reason != NULL ? reason : read_attrs(buf, len, &search);
}

bool extip_stun_read_address(const struct extip_stun_attr *attr, uint32_t mask,
  struct in_addr *addr, uint16_t *port, char *reason, size_t reason_size) {
  unsigned int family = attr->len >= 4 ? attr->value[1] : 0;

  if (family == FAMILY_IPV4 && attr->len == 8) {
    addr->s_addr = htonl(get32(attr->value + 4) ^ mask);
    *port = (uint16_t) (get16(attr->value + 2) ^ (mask >> 16));
    return true;
  }
  if (family == FAMILY_IPV6 && attr->len == 20) {
    snprintf(reason, reason_size, "IPv6 address instead of IPv4");
  } else if (family == FAMILY_IPV4 || family == FAMILY_IPV6) {
    snprintf(reason, reason_size, "address of %zu bytes", attr->len);
  } else {
    snprintf(reason, reason_size, "unknown address family %u", family);
  }
  return false;
}

unsigned int extip_stun_read_error(
  const struct extip_stun_attr *attr, char *reason, size_t reason_size) {
  unsigned int code;
  char phrase[64];

  if (attr->value == NULL || attr->len < 4 || (attr->value[2] & 7) < 3 ||
      (attr->value[2] & 7) > 6 || attr->value[3] > 99) {
    snprintf(reason, reason_size, "error reply without a valid error code");
    return 0;
  }

  code = (attr->value[2] & 7) * 100u + attr->value[3];
  /* Some servers pad the phrase with NULs. */
  extip_printable(phrase, sizeof(phrase), attr->value + 4,
    strnlen((const char *) attr->value + 4, attr->len - 4));
  snprintf(reason, reason_size, "error %u %s", code, phrase);
  return code;
}
