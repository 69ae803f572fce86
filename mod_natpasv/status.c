/*
 * mod_natpasv - what ftpdctl shows, as text and as JSON
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "status.h"

static const char *class_name(const struct natpasv_counts *counts) {
  return counts->class[0] != '\0' ? counts->class : "(none)";
}

/* The first column: it is cut, because JSON has the whole name. */
#define NAME "%-24.24s"

static void put_counts(const struct report *out, const char *name,
  const struct natpasv_counts *counts) {
  report_put(out, 24, NAME " %7lu %9lu %7lu %7lu %9lu %8lu %8lu", name,
    counts->peak, counts->count[NATPASV_GRANTED], counts->count[NATPASV_WAITED],
    counts->count[NATPASV_REFUSED], counts->count[NATPASV_UNREACHED],
    counts->count[NATPASV_DROPPED], counts->count[NATPASV_FOREIGN]);
}

/* In a line of their own, because few clients use it. */
static void put_active(
  const struct report *out, const struct natpasv_counts *counts) {
  const unsigned long *count = counts->count;

  if (count[NATPASV_ACTIVE] == 0 && count[NATPASV_ACTIVE_REPLACED] == 0 &&
      count[NATPASV_ACTIVE_REFUSED] == 0) {
    return;
  }
  report_put(out, 0,
    "    active mode: %lu transfers, %lu failed; %lu private addresses replaced, %lu commands refused",
    count[NATPASV_ACTIVE], count[NATPASV_ACTIVE_FAILED],
    count[NATPASV_ACTIVE_REPLACED], count[NATPASV_ACTIVE_REFUSED]);
}

void natpasv_status_text(
  const struct natpasv_status *status, int64_t now, const struct report *out) {
  char when[REPORT_TIME_SIZE], class[NATPASV_CLASS_MAX + 3];

  report_put(out, 24, NAME " %7s %9s %11s %7s", "pool", "size", "leased",
    "quarantined", "waiting");
  for (unsigned int i = 0; i < status->npools; i++) {
    const struct natpasv_status_pool *pool = &status->pools[i];

    report_put(out, 24, NAME " %7u %9u %11u %7u", pool->name, pool->size,
      pool->leased, pool->quarantined, pool->waiting);
    if (pool->to_forward > 0) {
      report_put(
        out, 0, "  %u of %u forwarded", pool->forwarded, pool->to_forward);
    }
  }

  report_put(out, 0, "since %s", report_time(status->since, now, when));
  report_put(out, 24, NAME " %7s %9s %7s %7s %9s %8s %8s", "pool, class",
    "peak", "granted", "waited", "refused", "unreached", "dropped", "foreign");
  for (unsigned int i = 0; i < status->npools; i++) {
    const struct natpasv_status_pool *pool = &status->pools[i];

    put_counts(out, pool->name, &pool->all);
    for (unsigned int j = 0; j < pool->nclasses; j++) {
      (void) snprintf(
        class, sizeof(class), "  %s", class_name(&pool->classes[j]));
      put_counts(out, class, &pool->classes[j]);
      put_active(out, &pool->classes[j]);
    }
  }
}

static void json_counts(
  struct json *json, const struct natpasv_counts *counts) {
  static const char *const keys[] = {
    [NATPASV_GRANTED] = "granted",
    [NATPASV_WAITED] = "waited",
    [NATPASV_REFUSED] = "refused",
    [NATPASV_FOREIGN] = "foreign",
    [NATPASV_UNREACHED] = "unreached",
    [NATPASV_DROPPED] = "dropped",
    [NATPASV_ACTIVE] = "active",
    [NATPASV_ACTIVE_REPLACED] = "active_replaced",
    [NATPASV_ACTIVE_REFUSED] = "active_refused",
    [NATPASV_ACTIVE_FAILED] = "active_failed",
  };

  _Static_assert(sizeof(keys) / sizeof(keys[0]) == NATPASV_COUNTERS,
    "each counter has a key");
  json_number(json, "peak", (int64_t) counts->peak);
  for (unsigned int i = 0; i < NATPASV_COUNTERS; i++) {
    json_number(json, keys[i], (int64_t) counts->count[i]);
  }
}

static void json_pool(
  struct json *json, const struct natpasv_status_pool *pool) {
  json_open(json, NULL, '{');
  json_text(json, "pool", pool->name);
  json_number(json, "size", pool->size);
  json_number(json, "leased", pool->leased);
  json_number(json, "quarantined", pool->quarantined);
  json_number(json, "waiting", pool->waiting);
  json_counts(json, &pool->all);
  json_number(json, "to_forward", pool->to_forward);
  json_number(json, "forwarded", pool->forwarded);
  json_open(json, "classes", '[');
  for (unsigned int i = 0; i < pool->nclasses; i++) {
    json_open(json, NULL, '{');
    json_text(json, "class", pool->classes[i].class);
    json_counts(json, &pool->classes[i]);
    json_close(json, '}');
  }
  json_close(json, ']');
  json_close(json, '}');
}

void natpasv_status_json(
  const struct natpasv_status *status, json_line line, void *user) {
  struct json json = { .line = line, .user = user };

  json_report(&json, status->who, status->since);
  json_open(&json, "pools", '[');
  for (unsigned int i = 0; i < status->npools; i++) {
    json_pool(&json, &status->pools[i]);
  }
  json_close(&json, ']');
  json_report_end(&json);
}

void natpasv_status_leases(const struct natpasv_status_lease *leases,
  unsigned int nleases, unsigned int total, const struct report *out) {
  report_put(out, 6, "%5s %-16s %-39s %10s %7s", "port", "class", "client",
    "process", "age");
  for (unsigned int i = 0; i < nleases; i++) {
    const struct natpasv_status_lease *lease = &leases[i];

    report_put(out, 6, "%5u %-16.16s %-39.45s %10ld %6ds", lease->port,
      lease->class[0] != '\0' ? lease->class : "(none)", lease->client,
      (long) lease->pid, lease->age);
  }

  if (total > nleases) {
    report_put(out, 0, "and %u more", total - nleases);
  }
}

void natpasv_status_leases_json(const char *who, int64_t since,
  const struct natpasv_status_lease *leases, unsigned int nleases,
  unsigned int total, json_line line, void *user) {
  struct json json = { .line = line, .user = user };

  json_report(&json, who, since);
  json_number(&json, "leased", total);
  json_open(&json, "leases", '[');
  for (unsigned int i = 0; i < nleases; i++) {
    const struct natpasv_status_lease *lease = &leases[i];

    json_open(&json, NULL, '{');
    json_number(&json, "port", lease->port);
    json_text(&json, "class", lease->class);
    json_text(&json, "client", lease->client);
    json_number(&json, "pid", (int64_t) lease->pid);
    if (lease->age >= 0) {
      json_number(&json, "age_s", lease->age);
    } else {
      json_null(&json, "age_s");
    }
    json_close(&json, '}');
  }
  json_close(&json, ']');
  json_report_end(&json);
}
