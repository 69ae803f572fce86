/*
 * mod_extip - strict reading of one IPv4 address
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stdint.h>

#include "ipv4.h"

/* Reads one number of a quad at *POS; -1 when there is none of 0-255. */
static int octet(const char *text, size_t len, size_t *pos) {
  size_t start = *pos;
  int value = 0;

  while (*pos < len && text[*pos] >= '0' && text[*pos] <= '9') {
    value = value * 10 + (text[*pos] - '0');
    if (value > 255) {
      return -1;
    }
    ++*pos;
  }

  /* "010" is 8 for inet_aton(3) and 10 for people: neither is taken. */
  if (*pos == start || (text[start] == '0' && *pos - start > 1)) {
    return -1;
  }
  return value;
}

bool extip_ipv4_parse(const char *text, size_t len, struct in_addr *addr) {
  uint32_t host = 0;
  size_t pos = 0;

  for (int i = 0; i < 4; i++) {
    int value;

    if (i > 0 && (pos >= len || text[pos++] != '.')) {
      return false;
    }
    value = octet(text, len, &pos);
    if (value < 0) {
      return false;
    }
    host = host << 8 | (uint32_t) value;
  }
  if (pos != len) {
    return false;
  }
  addr->s_addr = htonl(host);
  return true;
}
