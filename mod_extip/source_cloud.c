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
#include "job.h"

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

/* Addresses of the Standard SKU, which today are all, are not where those of
 * the Basic SKU were, load balancer or not. */
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

static void start(struct extip_job *job) {
  const struct extip_source *source = job->query->source;
  struct state *state = calloc(1, sizeof(*state));

  if (state == NULL) {
    extip_job_fail_errno(job, ENOMEM, "metadata");
    return;
  }
  job->state = state;
  state->cloud = source->kind == EXTIP_SOURCE_EC2   ? &ec2
                 : source->kind == EXTIP_SOURCE_GCE ? &gce
                                                    : &azure;
  extip_job_resolve(job, source->host);
}

static void ask(struct extip_job *job, const char *method, const char *path,
  const char *header) {
  const struct extip_source *source = job->query->source;
  struct state *state = job->state;
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

  extip_http_ask(&state->http, job, &request, state->addrs, state->addr_count);
}

static void resolved(
  struct extip_job *job, const struct in_addr *addrs, size_t count) {
  struct state *state = job->state;
  const struct cloud *cloud = state->cloud;

  memcpy(state->addrs, addrs, count * sizeof(*addrs));
  state->addr_count = count;
  for (size_t i = 0; i < count; i++) {
    extip_job_own(job, addrs[i]);
  }
  if (cloud->token_path != NULL) {
    ask(job, "PUT", cloud->token_path, cloud->token_request);
  } else {
    ask(job, "GET", cloud->path, cloud->header);
  }
}

static void take_token(struct extip_job *job) {
  struct state *state = job->state;
  const struct cloud *cloud = state->cloud;
  const struct extip_http *http = &state->http;

  for (size_t i = 0; i < http->body_len; i++) {
    if (http->body[i] <= 0x20 || http->body[i] >= 0x7f) {
      extip_job_fail(job, EXTIP_MALFORMED, "the token is not one");
      return;
    }
  }
  if (asprintf(&state->token, "%s: %.*s", cloud->token_header,
        (int) http->body_len, http->body) < 0) {
    state->token = NULL;
    extip_job_fail_errno(job, ENOMEM, "metadata");
    return;
  }
  ask(job, "GET", cloud->path, state->token);
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

/* The address in the reply; -1 with WHY. */
static int extract(
  const struct state *state, struct in_addr *addr, char *why, size_t whysz) {
  const struct extip_http *http = &state->http;
  const struct extip_extract_input input = { http->head, http->head_len,
    http->body, http->body_len };
  struct extip_extract how = { .kind = EXTIP_EXTRACT_BODY };

  if (state->second) {
    how.kind = EXTIP_EXTRACT_JSON;
    how.arg = state->cloud->there;
    if (extip_extract_run(&how, &input, addr, why, whysz) == 0) {
      snprintf(why, whysz, "more than one public address");
      return -1;
    }
    how.arg = state->cloud->here;
  }
  return extip_extract_run(&how, &input, addr, why, whysz);
}

static void take_address(struct extip_job *job) {
  struct state *state = job->state;
  const struct cloud *cloud = state->cloud;
  const struct extip_http *http = &state->http;
  bool none =
    http->status == 404 || (http->status == 200 && http->body_len == 0);
  struct in_addr addr;
  char why[EXTIP_REASON_MAX];

  if (none && cloud->second_path != NULL && !state->second) {
    state->second = true;
    ask(job, "GET", cloud->second_path, cloud->header);
  } else if (none) {
    extip_job_fail(
      job, EXTIP_HTTP, "HTTP status %ld: %s", http->status, cloud->no_address);
  } else if (http->status != 200) {
    extip_http_fail_status(http, job);
  } else if (extract(state, &addr, why, sizeof(why)) < 0) {
    extip_job_fail(job, EXTIP_MALFORMED, "%s", why);
  } else {
    extip_job_answer(job, addr);
  }
}

static void transferred(struct extip_job *job, CURLcode code) {
  struct state *state = job->state;
  const struct cloud *cloud = state->cloud;
  const struct extip_http *http = &state->http;

  if (!extip_http_received(&state->http, job, code)) {
    return;
  }
  if (cloud->mark != NULL && !has_header(http, cloud->mark)) {
    extip_job_fail(
      job, EXTIP_MALFORMED, "no header \"%s\" in the reply", cloud->mark);
  } else if (cloud->token_path == NULL || state->token != NULL) {
    take_address(job);
  } else if (http->status == 200) {
    take_token(job);
  } else {
    extip_job_fail(
      job, EXTIP_HTTP, "HTTP status %ld for the token", http->status);
  }
}

static void waiting(struct extip_job *job, char *buf, size_t bufsz) {
  const struct state *state = job->state;

  extip_transfer_waiting(&state->http.transfer, buf, bufsz);
}

static void stop(struct extip_job *job) {
  struct state *state = job->state;

  if (state == NULL) {
    return;
  }
  extip_http_free(&state->http, job);
  free(state->token);
  free(state);
  job->state = NULL;
}

const struct extip_driver extip_cloud_driver = {
  .start = start,
  .resolved = resolved,
  .transferred = transferred,
  .waiting = waiting,
  .stop = stop,
};
