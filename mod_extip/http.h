/*
 * mod_extip - one HTTP request and its reply
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#ifndef EXTIP_HTTP_H
#define EXTIP_HTTP_H

#include "transfer.h"

/* Bytes read of a reply's body, and of its headers; more is refused. */
#define EXTIP_HTTP_MAX 4096

struct extip_http_request {
  const char *method; /* "GET" or "PUT" (with an empty body) */
  const char *scheme; /* "http" or "https" */
  const char *host;   /* ASCII, without a last dot */
  uint16_t port;
  const char *path; /* with the query */
  const char *user; /* NULL: no credentials */
  const char *password;
  char *const *headers; /* "Name: value" each */
  size_t header_count;
};

/* Zeroed, it holds nothing. */
struct extip_http {
  struct extip_transfer transfer;
  struct curl_slist *headers;

  /* The reply. */
  long status;
  char head[EXTIP_HTTP_MAX]; /* header lines of the last response */
  size_t head_len;
  size_t head_total; /* of all responses, interim ones (1xx) too */
  char body[EXTIP_HTTP_MAX];
  size_t body_len;
  bool too_big;
};

/* Releases what HTTP holds and sends REQUEST to these addresses. If it cannot
 * be sent, the query is settled. */
void extip_http_ask(struct extip_http *http, struct extip_query *query,
  const struct extip_http_request *request, const struct in_addr *addrs,
  size_t count);

/* To be called when the transfer is over. True: the whole reply is in HTTP,
 * with any status; false: the query has been settled. */
bool extip_http_received(
  struct extip_http *http, struct extip_query *query, CURLcode code);

/* Settles the query for a reply whose status is not the expected one. */
void extip_http_fail_status(
  const struct extip_http *http, struct extip_query *query);

void extip_http_free(struct extip_http *http, struct extip_query *query);

#endif
