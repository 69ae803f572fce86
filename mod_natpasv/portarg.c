/*
 * mod_natpasv - the argument of PORT and EPRT
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "portarg.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A decimal number without sign or blank, up to most; moves the text on. */
static int parse_number(
  const char **text, unsigned int *number, unsigned int most) {
  const char *digit = *text;

  *number = 0;
  for (; *digit >= '0' && *digit <= '9'; digit++) {
    *number = *number * 10 + (unsigned int) (*digit - '0');
    if (*number > most) {
      return -1;
    }
  }

  if (digit == *text) {
    return -1;
  }
  *text = digit;
  return 0;
}

static int parse_port(struct natpasv_portarg *arg, const char *text) {
  unsigned int part[6];

  for (unsigned int i = 0; i < 6; i++) {
    if (parse_number(&text, &part[i], 255) < 0 ||
        *text++ != (i < 5 ? ',' : '\0')) {
      return -1;
    }
  }

  arg->family = AF_INET;
  for (unsigned int i = 0; i < 4; i++) {
    arg->address.bytes[i] = (unsigned char) part[i];
  }
  arg->port = part[4] << 8 | part[5];
  return arg->address.ipv4.s_addr != INADDR_ANY ? 0 : -1;
}

static int parse_address(
  struct natpasv_portarg *arg, const char *text, size_t length) {
  char address[INET6_ADDRSTRLEN];

  if (length >= sizeof(address)) {
    return -1;
  }
  memcpy(address, text, length);
  address[length] = '\0';

  if (inet_pton(arg->family, address, &arg->address) != 1) {
    return -1;
  }

  if (arg->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&arg->address.ipv6)) {
    arg->family = AF_INET;
    memmove(arg->address.bytes, arg->address.bytes + 12, 4);
  }
  return 0;
}

static int parse_eprt(struct natpasv_portarg *arg, const char *text) {
  char delimiter = *text;
  const char *end;
  unsigned int protocol;

  if (delimiter < 33 || delimiter > 126) {
    return -1;
  }

  text++;
  if (parse_number(&text, &protocol, 2) < 0 || protocol == 0 ||
      *text++ != delimiter) {
    return -1;
  }

  arg->family = protocol == 1 ? AF_INET : AF_INET6;
  end = strchr(text, delimiter);
  if (end == NULL || parse_address(arg, text, (size_t) (end - text)) < 0) {
    return -1;
  }

  text = end + 1;
  return parse_number(&text, &arg->port, 65535) == 0 && text[0] == delimiter &&
             text[1] == '\0'
           ? 0
           : -1;
}

int natpasv_portarg_parse(
  struct natpasv_portarg *arg, const char *text, bool eprt) {
  return (eprt ? parse_eprt : parse_port)(arg, text) == 0 && arg->port != 0
           ? 0
           : -1;
}

void natpasv_portarg_print(const struct natpasv_portarg *arg,
  char text[NATPASV_PORTARG_MAX], bool eprt) {
  const unsigned char *byte = arg->address.bytes;
  char address[INET6_ADDRSTRLEN] = "";

  if (!eprt) {
    (void) snprintf(text, NATPASV_PORTARG_MAX, "%u,%u,%u,%u,%u,%u", byte[0],
      byte[1], byte[2], byte[3], arg->port >> 8, arg->port & 255);
    return;
  }

  (void) inet_ntop(arg->family, &arg->address, address, sizeof(address));
  (void) snprintf(text, NATPASV_PORTARG_MAX, "|%d|%s|%u|",
    arg->family == AF_INET ? 1 : 2, address, arg->port);
}
