/*
 * mod_extip - asks a STUN server over TCP or TLS
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

#include "driver.h"
#include "stun.h"
#include "transfer.h"

#define SEND_AGAIN_MS 10

/* libcurl makes the connection, and speaks TLS on it (CURLOPT_CONNECT_ONLY). */
struct state {
  struct extip_transfer transfer;
  uint16_t port;
  bool redirected; /* by error 300, which is followed once */

  unsigned char id[EXTIP_STUN_ID_SIZE];
  bool asked;
  unsigned char buf[EXTIP_STUN_REPLY_MAX];
  size_t len; /* bytes in BUF */
};

static void start(struct extip_query *query) {
  struct state *state = calloc(1, sizeof(*state));

  if (state == NULL) {
    extip_query_fail_errno(query, ENOMEM, "STUN");
    return;
  }
  query->state = state;
  state->port = query->source->port;
  extip_query_resolve(query, query->source->host);
}

/* For TLS the name to be verified stays the operator's, also on an alternate
 * server (RFC 8489 10). */
static void connect_to(
  struct extip_query *query, const struct in_addr *addrs, size_t count) {
  const struct extip_source *source = query->source;
  struct state *state = query->state;
  size_t host_len = strlen(source->host);
  char host[256];
  char url[300];
  struct extip_transfer_target target = {
    .url = url,
    .host = host,
    .port = state->port,
    .addrs = addrs,
    .addr_count = count,
  };

  if (source->host[host_len - 1] == '.') {
    host_len--;
  }
  snprintf(host, sizeof(host), "%.*s", (int) host_len, source->host);
  snprintf(url, sizeof(url), "%s://%s:%u/",
    source->kind == EXTIP_SOURCE_STUNS ? "https" : "http", host, state->port);
  for (size_t i = 0; i < count; i++) {
    extip_query_own(query, addrs[i]);
  }
  if (!extip_stun_new_id(state->id)) {
    extip_query_fail(query, EXTIP_LOCAL, "no random transaction id");
    return;
  }
  if (extip_transfer_init(&state->transfer, query, &target) < 0) {
    return;
  }
  if (curl_easy_setopt(state->transfer.easy, CURLOPT_CONNECT_ONLY, 1L) !=
        CURLE_OK ||
      curl_easy_setopt(state->transfer.easy, CURLOPT_FORBID_REUSE, 0L) !=
        CURLE_OK ||
      curl_easy_setopt(state->transfer.easy, CURLOPT_SSL_ENABLE_ALPN, 0L) !=
        CURLE_OK) {
    extip_query_fail(query, EXTIP_LOCAL, "cannot set up a connection");
    return;
  }
  extip_transfer_go(&state->transfer, query);
}

static void disconnect(struct extip_query *query) {
  struct state *state = query->state;

  query->fd = -1; /* libcurl's */
  query->tick_at = -1;
  extip_transfer_free(&state->transfer, query);
  state->asked = false;
  state->len = 0;
}

static void follow(
  struct extip_query *query, const struct extip_stun_reply *reply) {
  struct state *state = query->state;

  if (state->redirected || reply->port == 0) {
    extip_query_fail(query, EXTIP_STUN, "redirected to %s",
      state->redirected ? "another server twice" : "port 0");
    return;
  }
  if (!extip_query_may_follow(query, reply->addr)) {
    return;
  }
  state->redirected = true;
  state->port = reply->port;
  disconnect(query);
  connect_to(query, &reply->addr, 1);
}

static void judge(struct extip_query *query) {
  struct state *state = query->state;
  struct extip_stun_reply reply;

  switch (extip_stun_parse(state->buf, state->len, state->id, &reply)) {
    case EXTIP_STUN_ADDRESS:
      extip_query_answer(query, reply.addr);
      break;
    case EXTIP_STUN_ALTERNATE:
      follow(query, &reply);
      break;
    case EXTIP_STUN_ERROR:
      extip_query_fail(query, EXTIP_STUN, "%s", reply.reason);
      break;
    default:
      /* On a stream nobody else's messages come in between. */
      extip_query_fail(query, EXTIP_MALFORMED, "%s", reply.reason);
  }
}

/* Bytes still missing: of the header first, then of the message it announces.
 * 0 when the message is complete, -1 when it cannot be one. */
static long missing(const struct state *state) {
  size_t whole = EXTIP_STUN_HEADER_SIZE;

  if (state->len >= EXTIP_STUN_HEADER_SIZE) {
    whole = extip_stun_length(state->buf);
    if (whole == 0) {
      return -1;
    }
  }
  return (long) (whole - state->len);
}

static void readable(struct extip_query *query) {
  struct state *state = query->state;
  long wanted;

  while ((wanted = missing(state)) > 0) {
    size_t got = 0;
    CURLcode code = curl_easy_recv(
      state->transfer.easy, state->buf + state->len, (size_t) wanted, &got);

    if (code == CURLE_AGAIN) {
      return;
    }
    if (code != CURLE_OK) {
      extip_transfer_fail(&state->transfer, query, code);
      return;
    }
    if (got == 0) {
      extip_query_fail(
        query, EXTIP_UNREACHABLE, "closed before the reply was complete");
      return;
    }
    state->len += got;
  }
  if (wanted < 0) {
    extip_query_fail(query, EXTIP_MALFORMED, "not a STUN message");
    return;
  }
  judge(query);
}

static void transmit(struct extip_query *query) {
  struct state *state = query->state;
  unsigned char request[EXTIP_STUN_REQUEST_SIZE];
  size_t sent = 0;
  CURLcode code;

  extip_stun_request(request, state->id);
  code = curl_easy_send(state->transfer.easy, request, sizeof(request), &sent);
  if (code == CURLE_AGAIN) {
    query->tick_at = extip_now() + SEND_AGAIN_MS;
  } else if (code != CURLE_OK) {
    extip_transfer_fail(&state->transfer, query, code);
  } else if (sent != sizeof(request)) {
    extip_query_fail(query, EXTIP_UNREACHABLE, "cannot send 20 bytes at once");
  } else {
    state->asked = true;
  }
}

static void transferred(struct extip_query *query, CURLcode code) {
  struct state *state = query->state;
  curl_socket_t fd = CURL_SOCKET_BAD;

  extip_transfer_note_peer(&state->transfer, query);
  if (code == CURLE_OK) {
    code = curl_easy_getinfo(state->transfer.easy, CURLINFO_ACTIVESOCKET, &fd);
  }
  if (code != CURLE_OK) {
    extip_transfer_fail(&state->transfer, query, code);
    return;
  }
  query->fd = fd;
  transmit(query);
}

static void waiting(struct extip_query *query, char *buf, size_t bufsz) {
  const struct state *state = query->state;

  if (state->asked) {
    snprintf(buf, bufsz, "connected, but %s",
      state->len > 0 ? "the reply is not complete" : "no reply");
  } else {
    extip_transfer_waiting(&state->transfer, buf, bufsz);
  }
}

static void stop(struct extip_query *query) {
  if (query->state != NULL) {
    disconnect(query);
    free(query->state);
    query->state = NULL;
  }
}

const struct extip_driver extip_stun_stream_driver = {
  .start = start,
  .resolved = connect_to,
  .readable = readable,
  .tick = transmit,
  .transferred = transferred,
  .waiting = waiting,
  .stop = stop,
};
