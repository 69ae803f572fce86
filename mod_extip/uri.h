/*
 * mod_extip - one ExtIPSource: whom to ask, and how
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_URI_H
#define EXTIP_URI_H

#include <stddef.h>
#include <stdint.h>

#include "extract.h"
#include "kinds.h"

/*
 *  stun:host[:port][?transport=udp|tcp]   RFC 7064 (the transport as in RFC
 *                                         7065); port 3478
 *  stuns:host[:port]                      over TLS; port 5349
 *  http://[user[:password]@]host[:port][/path][?query]
 *  https://...                            the same
 *  dns:name                               the address of a name
 *  if:eth0                                the address on an interface
 *  ec2:[host[:port]]                      cloud metadata services; the host is
 *  gce:[host[:port]]                      for tests and proxies, the default is
 *  azure:[host[:port]]                    169.254.169.254
 *  natpmp:[address]                       the router, the default is the
 * gateway pcp:[address]                          the same upnp:[address] the
 * same
 *
 * A host is an IPv4 address or an ASCII name; IPv6 literals are refused. http,
 * https and the cloud services take no fragment.
 */
enum extip_source_kind {
#define EXTIP_KIND(kind, ...) EXTIP_SOURCE_##kind,
  EXTIP_KINDS(EXTIP_KIND)
#undef EXTIP_KIND
    EXTIP_SOURCE_KINDS
};

/* Read-only for everybody but uri.c; strings live as long as the source. */
struct extip_source {
  enum extip_source_kind kind;
  char *host;     /* lower case; the interface's name for if:; of a router ""
                   * is the gateway */
  uint16_t port;  /* host order; 0 for dns: and if: */
  char *path;     /* http(s): "/path?query"; else NULL */
  char *user;     /* http(s): decoded, or NULL */
  char *password; /* http(s): decoded, or NULL */
  struct extip_extract extract;
  char **headers; /* "Name: value" each */
  size_t header_count;

  /* The URI as it may be logged, printable ASCII: credentials and query are
   * shown as "***". */
  char *text;

  /* Equal for two sources that are one endpoint and therefore have one vote:
   * "host:port", "dns:name", "if:name" or "router:address". */
  char *key;
};

/*
 * Reads one ExtIPSource: its URI and the NOPTS words after it ("extract" <how>,
 * "header" <"Name: value">...). Returns NULL with errno EINVAL or ENOMEM and a
 * sentence for the operator in REASON, which names the value (credentials
 * hidden) and what is allowed; printable ASCII. 512 bytes hold any such
 * sentence.
 */
struct extip_source *extip_source_parse(const char *uri, char *const *opts,
  size_t nopts, char *reason, size_t reason_size);

/* The forms of all kinds, for an error message: "stun:host[:port], ... and
 * azure:" in BUF, cut off when it does not fit. */
const char *extip_source_forms(char *buf, size_t bufsz);

/* NULL when the LEN bytes at TEXT are a host that may be asked, an IPv4 address
 * or an ASCII name; else the reason, a constant. */
const char *extip_host_check(const char *text, size_t len);

/* NULL is fine. */
void extip_source_free(struct extip_source *source);

/* Prints any text, well-formed or not, as it may be logged: what could be
 * credentials or a query becomes "***", bytes that are not printable ASCII
 * become "?". Always ends in NUL. */
void extip_source_redact(const char *uri, char *buf, size_t bufsz);

#endif
