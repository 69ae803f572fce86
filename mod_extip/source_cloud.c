/*
 * mod_extip - asks the metadata service of a cloud
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
#include "driver.h"

struct cloud {
  /* Fetched first, by PUT, where there is a path; goes with the request. */
  const char *token_path;
  const char *token_request; /* header of the PUT */
  const char *token_header;  /* name of the header that carries the token */

  const char *path;
  const char *header;     /* of the request for the address, or NULL */
  const char *mark;       /* header line of each genuine reply, or NULL */
  const char *no_address; /* what 404 or an empty reply means */

  /* Asked for when there is no address at the first path, if not NULL: JSON,
   * where the address is here, and there must be none there. */
  const char *second_path;
  char *here;
  char *there;
};

/* EC2: IMDSv2 only, as hardened instances want it. */
static const struct cloud ec2 = {
  .token_path = "/latest/api/token",
  .token_request = "X-aws-ec2-metadata-token-ttl-seconds: 60",
  .token_header = "X-aws-ec2-metadata-token",
  .path = "/latest/meta-data/public-ipv4",
  .no_address = "the instance has no public IPv4 address",
};

static const struct cloud gce = {
  .path = "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/"
          "external-ip",
  .header = "Metadata-Flavor: Google",
  .mark = "Metadata-Flavor: Google",
  .no_address = "the first interface has no external IPv4 address",
};

/* An address of the Standard SKU, as all are today, is not at the path of the
 * Basic SKU, whether there is a load balancer or not. */
static const struct cloud azure = {
  .path = "/metadata/instance/network/interface/0/ipv4/ipAddress/0/"
          "publicIpAddress?api-version=2021-02-01&format=text",
  .header = "Metadata: true",
  .no_address = "the first interface has no public IPv4 address",
  .second_path = "/metadata/loadbalancer?api-version=2020-10-01",
  .here = "/loadbalancer/publicIpAddresses/0/frontendIpAddress",
  .there = "/loadbalancer/publicIpAddresses/1/frontendIpAddress",
};

struct state {
  const struct cloud *cloud;
  struct extip_http http;
  struct in_addr addrs[EXTIP_LOOKUP_MAX];
  size_t addr_count;
  char *token; /* the whole header, once there is one */
  bool second; /* the second path was asked for */
};

static void start(struct extip_query *query) {
  const struct extip_source *source = query->source;
  struct state *state = calloc(1, sizeof(*state));

  if (state == NULL) {
    extip_query_fail_errno(query, ENOMEM, "metadata");
    return;
  }
  query->state = state;
  state->cloud = source->kind == EXTIP_SOURCE_EC2   ? &ec2
                 : source->kind == EXTIP_SOURCE_GCE ? &gce
                                                    : &azure;
  extip_query_resolve(query, source->host);
}

/* The address that answered the request before comes first: libcurl 8.14 gives
 * a silent one before it all the time that is left when that is little. */
static void put_answered_first(const struct extip_query *query) {
  const struct sockaddr_in *peer = &query->answer.peer;
  struct state *state = query->state;

  for (size_t i = 1; i < state->addr_count; i++) {
    if (peer->sin_family == AF_INET &&
        state->addrs[i].s_addr == peer->sin_addr.s_addr) {
      state->addrs[i] = state->addrs[0];
      state->addrs[0] = peer->sin_addr;
    }
  }
}

static void ask(struct extip_query *query, const char *method, const char *path,
  const char *header) {
  const struct extip_source *source = query->source;
  struct state *state = query->state;
  char *headers[] = { (char *) header };
  struct extip_http_request request = {
    .method = method,
    .scheme = "http",
    .host = source->host,
    .port = source->port,
    .path = path,
    .headers = headers,
    .header_count = 1,
  };

  put_answered_first(query);
  extip_http_ask(
    &state->http, query, &request, state->addrs, state->addr_count);
}

static void resolved(
  struct extip_query *query, const struct in_addr *addrs, size_t count) {
  struct state *state = query->state;
  const struct cloud *cloud = state->cloud;

  memcpy(state->addrs, addrs, count * sizeof(*addrs));
  state->addr_count = count;
  for (size_t i = 0; i < count; i++) {
    extip_query_own(query, addrs[i]);
  }
  if (cloud->token_path != NULL) {
    ask(query, "PUT", cloud->token_path, cloud->token_request);
  } else {
    ask(query, "GET", cloud->path, cloud->header);
  }
}

static void take_token(struct extip_query *query) {
  struct state *state = query->state;
  const struct cloud *cloud = state->cloud;
  const struct extip_http *http = &state->http;

  for (size_t i = 0; i < http->body_len; i++) {
    if (http->body[i] <= 0x20 || http->body[i] >= 0x7f) {
      extip_query_fail(
        query, EXTIP_MALFORMED, "the reply to the PUT is not a token");
      return;
    }
  }
  if (asprintf(&state->token, "%s: %.*s", cloud->token_header,
        (int) http->body_len, http->body) < 0) {
    state->token = NULL;
    extip_query_fail_errno(query, ENOMEM, "metadata");
    return;
  }
  ask(query, "GET", cloud->path, state->token);
}

/* Whether LINE is one of the reply's headers, in any case of letters. */
static bool has_header(const struct extip_http *http, const char *line) {
  size_t len = strlen(line);
  size_t pos = 0;

  while (http->head_len - pos >= len + 2) {
    const char *end;

    if (strncasecmp(http->head + pos, line, len) == 0 &&
        memcmp(http->head + pos + len, "\r\n", 2) == 0) {
      return true;
    }
    end = memchr(http->head + pos, '\n', http->head_len - pos);
    if (end == NULL) {
      return false;
    }
    pos = (size_t) (end + 1 - http->head);
  }
  return false;
}

/* The address in the reply; -1 with REASON. */
static int extract(const struct state *state, struct in_addr *addr,
  char *reason, size_t reason_size) {
  const struct extip_http *http = &state->http;
  const struct extip_extract_input input = { http->head, http->head_len,
    http->body, http->body_len };
  struct extip_extract how = { .kind = EXTIP_EXTRACT_BODY };

  if (state->second) {
    how.kind = EXTIP_EXTRACT_JSON;
    how.arg = state->cloud->there;
    if (extip_extract_run(&how, &input, addr, reason, reason_size) == 0) {
      snprintf(reason, reason_size, "more than one public address");
      return -1;
    }
    how.arg = state->cloud->here;
  }
  return extip_extract_run(&how, &input, addr, reason, reason_size);
}

static void take_address(struct extip_query *query) {
  struct state *state = query->state;
  const struct cloud *cloud = state->cloud;
  const struct extip_http *http = &state->http;
  bool none =
    http->status == 404 || (http->status == 200 && http->body_len == 0);
  struct in_addr addr;
  char reason[EXTIP_REASON_MAX];

  if (none && cloud->second_path != NULL && !state->second) {
    state->second = true;
    ask(query, "GET", cloud->second_path, cloud->header);
  } else if (none) {
    extip_query_fail(query, EXTIP_HTTP, "HTTP status %ld: %s", http->status,
      cloud->no_address);
  } else if (http->status != 200) {
    extip_http_fail_status(http, query);
  } else if (extract(state, &addr, reason, sizeof(reason)) < 0) {
    extip_query_fail(query, EXTIP_MALFORMED, "%s", reason);
  } else {
    extip_query_answer(query, addr);
  }
}

static void transferred(struct extip_query *query, CURLcode code) {
  struct state *state = query->state;
  const struct cloud *cloud = state->cloud;
  const struct extip_http *http = &state->http;

  if (!extip_http_received(&state->http, query, code)) {
    return;
  }
  if (cloud->mark != NULL && !has_header(http, cloud->mark)) {
    extip_query_fail(
      query, EXTIP_MALFORMED, "no header \"%s\" in the reply", cloud->mark);
  } else if (cloud->token_path == NULL || state->token != NULL) {
    take_address(query);
  } else if (http->status == 200) {
    take_token(query);
  } else {
    extip_query_fail(
      query, EXTIP_HTTP, "HTTP status %ld for the token", http->status);
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
  free(state->token);
  free(state);
  query->state = NULL;
}

const struct extip_driver extip_cloud_driver = {
  .start = start,
  .resolved = resolved,
  .transferred = transferred,
  .waiting = waiting,
  .stop = stop,
};
