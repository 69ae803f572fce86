/*
 * mod_extip - the kinds of sources
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_KINDS_H
#define EXTIP_KINDS_H

#include <net/if.h>

/*
 * A row for each kind. The parser in uri.c, the list of allowed schemes and the
 * driver that round.c uses follow from it. To add a kind, add a row, and a
 * driver in a file source_*.c of its own.
 *
 *   KIND     of enum extip_source_kind, without EXTIP_SOURCE_
 *   scheme   before the colon; of rows with the same one the first is found
 *   port     the default; 0: the kind has none
 *   reader   of what follows the colon, read_* in uri.c
 *   longest  what the reader "text" takes, in bytes; 0: another reader
 *   driver   extip_*_driver
 *   form     how it is written, for the operator; "": as the row before it
 */
#define EXTIP_KINDS(ROW)                                                \
  ROW(STUN_UDP, "stun", 3478, stun, 0, stun_udp,                        \
    "stun:host[:port][?transport=udp|tcp]")                             \
  ROW(STUN_TCP, "stun", 3478, stun, 0, stun_stream, "")                 \
  ROW(STUNS, "stuns", 5349, stun, 0, stun_stream, "stuns:host[:port]")  \
  ROW(HTTP, "http", 80, http, 0, http, "http://host[:port][/path]")     \
  ROW(HTTPS, "https", 443, http, 0, http, "https://host[:port][/path]") \
  ROW(DNS, "dns", 0, dns, 0, dns, "dns:name")                           \
  ROW(IF, "if", 0, text, IFNAMSIZ - 1, if, "if:interface")              \
  ROW(EC2, "ec2", 80, cloud, 0, cloud, "ec2:")                          \
  ROW(GCE, "gce", 80, cloud, 0, cloud, "gce:")                          \
  ROW(AZURE, "azure", 80, cloud, 0, cloud, "azure:")                    \
  ROW(NATPMP, "natpmp", 5351, router, 0, natpmp, "natpmp:[router]")     \
  ROW(PCP, "pcp", 5351, router, 0, pcp, "pcp:[router]")                 \
  ROW(UPNP, "upnp", 5351, router, 0, upnp, "upnp:[router]")

#endif
