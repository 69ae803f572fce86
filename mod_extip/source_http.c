/*
 * mod_extip - asks a web server
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
#include <strings.h>

#include "extract.h"
#include "http.h"
#include "ipv4.h"
#include "driver.h"
#include "printable.h"

#define REDIRECTS_MAX 3

struct state {
  struct extip_http http;
  const char *scheme; /* the source's; no redirect leaves it */
  char *host;         /* of the present hop, without a last dot */
  char *path;
  uint16_t port;
  unsigned int redirects;
};

/* Whether the present hop is still the host that the operator named, which
 * alone gets the source's credentials and headers. */
static bool at_home(const struct extip_query *query) {
  const struct extip_source *source = query->source;
  const struct state *state = query->state;
  size_t len = strlen(state->host);

  return state->port == source->port &&
         strncasecmp(state->host, source->host, len) == 0 &&
         (source->host[len] == '\0' || strcmp(source->host + len, ".") == 0);
}

static void start(struct extip_query *query) {
  const struct extip_source *source = query->source;
  struct state *state = calloc(1, sizeof(*state));
  size_t len = strlen(source->host);

  query->state = state;
  if (state != NULL) {
    state->scheme = source->kind == EXTIP_SOURCE_HTTPS ? "https" : "http";
    state->port = source->port;
    state->path = strdup(source->path);
    state->host =
      strndup(source->host, source->host[len - 1] == '.' ? len - 1 : len);
  }
  if (state == NULL || state->path == NULL || state->host == NULL) {
    extip_query_fail_errno(query, ENOMEM, "HTTP");
    return;
  }
  extip_query_resolve(query, source->host);
}

static void resolved(
  struct extip_query *query, const struct in_addr *addrs, size_t count) {
  const struct extip_source *source = query->source;
  struct state *state = query->state;
  struct extip_http_request request = {
    .method = "GET",
    .scheme = state->scheme,
    .host = state->host,
    .port = state->port,
    .path = state->path,
  };

  for (size_t i = 0; i < count && state->redirects > 0; i++) {
    if (!extip_query_may_follow(query, addrs[i])) {
      return;
    }
  }
  for (size_t i = 0; i < count; i++) {
    extip_query_own(query, addrs[i]);
  }
  if (at_home(query)) {
    request.user = source->user;
    request.password = source->password;
    request.headers = source->headers;
    request.header_count = source->header_count;
  }
  extip_http_ask(&state->http, query, &request, addrs, count);
}

/* Moves the string that libcurl made to *TO, for free(3). */
static bool take_part(
  CURLU *url, CURLUPart part, unsigned int flags, char **to) {
  char *text = NULL;

  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) {
    return false;
  }
  free(*to);
  *to = strdup(text);
  curl_free(text);
  return *to != NULL;
}

/* Host and port of URL; NULL, or why it is not followed. */
static const char *take_host(struct state *state, CURLU *url) {
  char *port = NULL;
  size_t len;

  if (!take_part(url, CURLUPART_HOST, 0, &state->host) ||
      !take_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &port)) {
    free(port);
    return "no host";
  }
  state->port = (uint16_t) strtoul(port, NULL, 10);
  free(port);

  len = strlen(state->host);
  if (len > 0 && state->host[len - 1] == '.') {
    state->host[--len] = '\0';
  }
  return extip_host_check(state->host, len);
}

/* Path and query of URL; NULL, or why it is not followed. */
static const char *take_path(struct state *state, CURLU *url) {
  char *query = NULL;
  char *whole;
  int len;

  if (!take_part(url, CURLUPART_PATH, 0, &state->path)) {
    return "no path";
  }
  if (!take_part(url, CURLUPART_QUERY, 0, &query)) {
    return NULL;
  }
  len = asprintf(&whole, "%s?%s", state->path, query);
  free(query);
  if (len < 0) {
    return strerror(ENOMEM);
  }
  free(state->path);
  state->path = whole;
  return NULL;
}

/* Makes the state's hop that of URL; NULL, or why it is not followed. */
static const char *take_hop(struct state *state, CURLU *url) {
  char *part = NULL;
  const char *reason;
  bool same_scheme = take_part(url, CURLUPART_SCHEME, 0, &part) &&
                     strcasecmp(part, state->scheme) == 0;
  bool credentials = take_part(url, CURLUPART_USER, 0, &part);

  free(part);
  if (!same_scheme) {
    return "another scheme";
  }
  if (credentials) {
    return "it contains credentials";
  }
  reason = take_host(state, url);
  return reason != NULL ? reason : take_path(state, url);
}

static void follow(struct extip_query *query, const char *location) {
  struct state *state = query->state;
  CURLU *url;
  const char *reason = "not a URL";
  char shown[80];

  if (++state->redirects > REDIRECTS_MAX) {
    extip_query_fail(
      query, EXTIP_REDIRECT, "more than %d redirects", REDIRECTS_MAX);
    return;
  }
  url = curl_url();
  if (url != NULL && curl_url_set(url, CURLUPART_URL, location,
                       CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
    reason = take_hop(state, url);
  }
  curl_url_cleanup(url);
  if (reason != NULL) {
    extip_source_redact(location, shown, sizeof(shown));
    extip_query_fail(
      query, EXTIP_REDIRECT, "redirect to '%s': %s", shown, reason);
    return;
  }
  extip_query_resolve(query, state->host);
}

static bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 ||
         status == 308;
}

static void transferred(struct extip_query *query, CURLcode code) {
  struct state *state = query->state;
  struct extip_http *http = &state->http;
  struct extip_extract_input input = { http->head, http->head_len, http->body,
    http->body_len };
  struct in_addr addr;
  char reason[EXTIP_REASON_MAX];
  char *location = NULL;

  if (!extip_http_received(http, query, code)) {
    return;
  }
  curl_easy_getinfo(http->transfer.easy, CURLINFO_REDIRECT_URL, &location);
  if (is_redirect(http->status) && location != NULL) {
    follow(query, location);
  } else if (http->status != 200) {
    extip_http_fail_status(http, query);
  } else if (extip_extract_run(&query->source->extract, &input, &addr, reason,
               sizeof(reason)) < 0) {
    extip_query_fail(query, EXTIP_MALFORMED, "%s", reason);
  } else {
    extip_query_answer(query, addr);
  }
}

static void waiting(struct extip_query *query, char *buf, size_t bufsz) {
  const struct state *state = query->state;

  extip_transfer_waiting(&state->http.transfer, buf, bufsz);
}

static void stop(struct extip_query *query) {
  struct state *state = query->state;

  if (state == NULL) {
    return;
  }
  extip_http_free(&state->http, query);
  free(state->host);
  free(state->path);
  free(state);
}

const struct extip_driver extip_http_driver = {
  .start = start,
  .resolved = resolved,
  .transferred = transferred,
  .waiting = waiting,
  .stop = stop,
};
