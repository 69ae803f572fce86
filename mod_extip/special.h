/*
 * mod_extip - addresses that cannot be a server's public one
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_SPECIAL_H
#define EXTIP_SPECIAL_H

#include <netinet/in.h>
#include <stdbool.h>

/*
 * True when ADDR (network order) can be reached from anywhere on the Internet,
 * according to the IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its
 * updates) and to the multicast and reserved blocks. When it is false and
 * REASON is not NULL, *REASON is a constant such as "RFC 1918 private".
 */
bool extip_is_global(struct in_addr addr, const char **reason);

#endif
