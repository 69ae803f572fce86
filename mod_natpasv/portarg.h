/*
 * mod_natpasv - the argument of PORT and EPRT
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Reads and prints "192,0,2,1,195,80" (RFC 959) and "|1|192.0.2.1|50000|"
 * (RFC 2428). Needs no ProFTPD.
 */

#ifndef NATPASV_PORTARG_H
#define NATPASV_PORTARG_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct natpasv_portarg {
  int family; /* AF_INET or AF_INET6 */
  union {
    struct in_addr ipv4;
    struct in6_addr ipv6;
    unsigned char bytes[16];
  } address;
  unsigned int port; /* 1 to 65535 */
};

#define NATPASV_PORTARG_MAX 64 /* bytes of the text */

/* Reads the whole text. -1 if it has another form; ProFTPD accepts more, such
 * as blanks. An IPv4 address within IPv6 counts as IPv4. */
int natpasv_portarg_parse(
  struct natpasv_portarg *arg, const char *text, bool eprt);

/* PORT needs an IPv4 address. */
void natpasv_portarg_print(
  const struct natpasv_portarg *arg, char text[NATPASV_PORTARG_MAX], bool eprt);

#endif
