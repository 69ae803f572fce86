/*
 * mod_extip - one libcurl transfer of a query
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#ifndef EXTIP_TRANSFER_H
#define EXTIP_TRANSFER_H

#include "driver.h"

/* Zeroed, it holds nothing; it does not move while it holds something. */
struct extip_transfer {
  CURL *easy;
  struct curl_slist *resolve;

  /* It connects to these addresses only. */
  struct in_addr addrs[EXTIP_LOOKUP_MAX];
  size_t addr_count;
  curl_socket_t fd; /* the last one it opened; libcurl's */

  char error[CURL_ERROR_SIZE];
};

/* Allows HTTP and HTTPS only, with certificates that are verified by CA_FILE
 * ("": the system's) and no proxy. Returns 0, or what did not work. */
int extip_transfer_restrict(CURL *easy, const char *ca_file);

/* Where it goes: with these addresses libcurl resolves nothing itself. */
struct extip_transfer_target {
  const char *url;
  const char *host; /* the URL's, as it stands there */
  uint16_t port;
  const struct in_addr *addrs;
  size_t addr_count;
};

/*
 * Creates TRANSFER->easy with the options that every transfer has: these
 * addresses only, the query's bind address and CA file, certificate and name
 * verified, no proxy, no redirects, the query's deadline. The caller sets
 * further options and calls extip_transfer_go(). Returns -1 if this is not
 * possible; the query is then settled.
 */
int extip_transfer_init(struct extip_transfer *transfer,
  struct extip_query *query, const struct extip_transfer_target *target);
int extip_transfer_go(
  struct extip_transfer *transfer, struct extip_query *query);

/* Notes in the query's answer who was connected to. */
void extip_transfer_note_peer(
  const struct extip_transfer *transfer, struct extip_query *query);

/* Settles the query as the end of its transfer with this CODE says. */
void extip_transfer_fail(const struct extip_transfer *transfer,
  struct extip_query *query, CURLcode code);

/* How far the transfer is, for the driver's function "waiting". */
void extip_transfer_waiting(
  const struct extip_transfer *transfer, char *buf, size_t bufsz);

/* Leaves a zeroed TRANSFER. */
void extip_transfer_free(
  struct extip_transfer *transfer, struct extip_query *query);

#endif
