/*
 * mod_extip - the forwards as a report, for people and for machines
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "forward_status.h"
#include "printable.h"

#define LINE_SIZE 300

__attribute__((format(printf, 3, 4))) static void put(
  json_line line, void *user, const char *fmt, ...) {
  char text[LINE_SIZE];
  va_list args;

  va_start(args, fmt);
  (void) vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  line(user, text);
}

/* "2026-11-21 03:04:05", or "-". */
static const char *show_time(int64_t when, char *buf, size_t bufsz) {
  time_t seconds = (time_t) when;
  struct tm tm;

  return when != 0 && localtime_r(&seconds, &tm) != NULL &&
             strftime(buf, bufsz, "%Y-%m-%d %H:%M:%S", &tm) > 0
           ? buf
           : "-";
}

/* Seconds since the epoch at which the router forgets it; 0: it is not open. */
static int64_t until(
  const struct extip_forward *forward, int64_t now, int64_t wall) {
  return forward->state == EXTIP_FORWARD_OPEN
           ? wall + (forward->until - now) / 1000
           : 0;
}

static const char *show_outside(
  const struct extip_forward *forward, char *buf, size_t bufsz) {
  struct in_addr addr = { forward->addr };
  char text[INET_ADDRSTRLEN] = "?";

  if (forward->given == 0) {
    return "-";
  }
  if (forward->addr != INADDR_ANY) {
    (void) inet_ntop(AF_INET, &addr, text, sizeof(text));
  }
  (void) snprintf(buf, bufsz, "%s:%u", text, forward->given);
  return buf;
}

void extip_forward_status_text(const struct extip_forward *forwards,
  size_t count, int64_t now, int64_t wall, json_line line, void *user) {
  size_t open = 0;

  for (size_t i = 0; i < count; i++) {
    open += forwards[i].state == EXTIP_FORWARD_OPEN;
  }

  put(line, user, "%zu of %zu ports are forwarded", open, count);
  put(line, user, "%5s %-21s %-8s %-12s %-19s %s", "port", "outside",
    "protocol", "state", "since", "until");
  for (size_t i = 0; i < count && i < EXTIP_FORWARD_STATUS_MAX; i++) {
    const struct extip_forward *forward = &forwards[i];
    char outside[32], since[32], end[32], reason[EXTIP_FORWARD_REASON];

    put(line, user, "%5u %-21s %-8s %-12s %-19s %s", forward->port.inside,
      show_outside(forward, outside, sizeof(outside)),
      extip_protocol_name(forward->protocol),
      extip_forward_state_name(forward->state),
      show_time(forward->since, since, sizeof(since)),
      show_time(until(forward, now, wall), end, sizeof(end)));
    if (forward->reason[0] != '\0') {
      extip_printable(
        reason, sizeof(reason), forward->reason, strlen(forward->reason));
      put(line, user, "      %s", reason);
    }
  }

  if (count > EXTIP_FORWARD_STATUS_MAX) {
    put(line, user, "%zu more: see 'ftpdctl extip forwards json'",
      count - EXTIP_FORWARD_STATUS_MAX);
  }
}

static void put_forward(struct json *json, const struct extip_forward *forward,
  int64_t now, int64_t wall) {
  struct in_addr addr = { forward->addr };
  char text[INET_ADDRSTRLEN];

  json_open(json, NULL, '{');
  json_number(json, "port", forward->port.inside);
  json_number(json, "wanted_port", forward->port.outside);
  if (forward->given == 0) {
    json_null(json, "outside_port");
  } else {
    json_number(json, "outside_port", forward->given);
  }
  if (forward->addr == INADDR_ANY) {
    json_null(json, "outside_address");
  } else {
    json_text(
      json, "outside_address", inet_ntop(AF_INET, &addr, text, sizeof(text)));
  }
  json_text(json, "protocol", extip_protocol_name(forward->protocol));
  json_text(json, "state", extip_forward_state_name(forward->state));
  json_time(json, "since", forward->since);
  json_time(json, "until", until(forward, now, wall));
  json_text(json, "reason", forward->reason);
  json_close(json, '}');
}

void extip_forward_status_json(const struct extip_forward *forwards,
  size_t count, int64_t now, int64_t wall, struct json *json) {
  json_open(json, "forwards", '[');
  for (size_t i = 0; i < count; i++) {
    put_forward(json, &forwards[i], now, wall);
  }
  json_close(json, ']');
}
