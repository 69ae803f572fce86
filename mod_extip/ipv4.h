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

#ifndef EXTIP_IPV4_H
#define EXTIP_IPV4_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * True when the LEN bytes at TEXT are exactly one dotted quad: four decimal
 * numbers of 0-255 without sign, blank, leading zero or anything after them.
 * TEXT need not end in NUL; a NUL inside it is just another wrong byte. ADDR is
 * in network order and is written only when the answer is true.
 */
bool extip_ipv4_parse(const char *text, size_t len, struct in_addr *addr);

#endif
