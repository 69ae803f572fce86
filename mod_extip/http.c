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
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

static size_t take_body(char *data, size_t size, size_t count, void *user) {
  struct extip_http *http = user;
  size_t len = size * count;

  if (len > sizeof(http->body) - http->body_len) {
    http->too_big = true;
    return 0;
  }
  memcpy(http->body + http->body_len, data, len);
  http->body_len += len;
  return len;
}

static size_t take_header(char *data, size_t size, size_t count, void *user) {
  struct extip_http *http = user;
  size_t len = size * count;

  http->head_total += len;
  if (http->head_total > sizeof(http->head)) {
    http->too_big = true;
    return 0;
  }
  /* A status line: that of an interim response may have been before it. */
  if (len >= 5 && memcmp(data, "HTTP/", 5) == 0) {
    http->head_len = 0;
    return len;
  }
  memcpy(http->head + http->head_len, data, len);
  http->head_len += len;
  return len;
}

/* Bytes are counted before and after decompression: take_body() gets those
 * after it. */
static int watch_size(void *user, curl_off_t to_come, curl_off_t got,
  curl_off_t to_send, curl_off_t sent) {
  struct extip_http *http = user;

  (void) to_come;
  (void) to_send;
  (void) sent;
  http->too_big |= got > (curl_off_t) sizeof(http->body);
  return http->too_big;
}

static int add_header(struct extip_http *http, const char *header) {
  struct curl_slist *list = curl_slist_append(http->headers, header);

  if (list == NULL) {
    return -1;
  }
  http->headers = list;
  return 0;
}

/* A body that is compressed although this was not requested is decompressed.
 * libcurl does so only if it may send Accept-Encoding, which the header without
 * a value suppresses. A header of the operator's own is still sent. */
static int set_headers(
  struct extip_http *http, const struct extip_http_request *request) {
  int failed = add_header(http, "Accept-Encoding:");

  for (size_t i = 0; i < request->header_count; i++) {
    failed |= add_header(http, request->headers[i]);
  }
  if (failed != 0) {
    return -1;
  }
  return (int) curl_easy_setopt(
    http->transfer.easy, CURLOPT_HTTPHEADER, http->headers);
}

static int set_request(
  struct extip_http *http, const struct extip_http_request *request) {
  CURL *easy = http->transfer.easy;
  int failed = 0;

  if (strcmp(request->method, "PUT") == 0) {
    failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    failed |= curl_easy_setopt(easy, CURLOPT_INFILESIZE, 0L);
  }
  if (request->user != NULL) {
    failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
    failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, request->user);
    failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, request->password);
  }
  failed |=
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
  failed |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "mod_extip");
  failed |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
  failed |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch_size);
  failed |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, http);
  failed |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
  failed |= set_headers(http, request);
  return failed;
}

void extip_http_ask(struct extip_http *http, struct extip_query *query,
  const struct extip_http_request *request, const struct in_addr *addrs,
  size_t count) {
  struct extip_transfer_target target = {
    .host = request->host,
    .port = request->port,
    .addrs = addrs,
    .addr_count = count,
  };
  char *url = NULL;

  extip_http_free(http, query);
  if (asprintf(&url, "%s://%s:%u%s", request->scheme, request->host,
        request->port, request->path) < 0) {
    extip_query_fail_errno(query, ENOMEM, "HTTP");
    return;
  }
  target.url = url;
  if (extip_transfer_init(&http->transfer, query, &target) == 0) {
    if (set_request(http, request) != 0) {
      extip_query_fail(query, EXTIP_LOCAL, "cannot set up the request");
    } else {
      extip_transfer_go(&http->transfer, query);
    }
  }
  free(url);
}

bool extip_http_received(
  struct extip_http *http, struct extip_query *query, CURLcode code) {
  extip_transfer_note_peer(&http->transfer, query);
  if (http->too_big) {
    extip_query_fail(query, EXTIP_TOO_BIG, "more than %d bytes of %s",
      EXTIP_HTTP_MAX,
      http->head_total > sizeof(http->head) ? "headers" : "body");
    return false;
  }
  if (code != CURLE_OK) {
    extip_transfer_fail(&http->transfer, query, code);
    return false;
  }
  curl_easy_getinfo(http->transfer.easy, CURLINFO_RESPONSE_CODE, &http->status);
  return true;
}

void extip_http_fail_status(
  const struct extip_http *http, struct extip_query *query) {
  extip_query_fail(query, EXTIP_HTTP, "HTTP status %ld", http->status);
}

void extip_http_free(struct extip_http *http, struct extip_query *query) {
  extip_transfer_free(&http->transfer, query);
  curl_slist_free_all(http->headers);
  memset(http, 0, sizeof(*http));
}
