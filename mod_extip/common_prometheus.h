/*
 * common_prometheus.h - metrics in the text format of Prometheus
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* ftpdctl takes fewer than 1,000 answers of at most 1,023 bytes. A line of this
 * format is short and there may be thousands, so as many as there is room for
 * are one answer. All is ASCII. Needs no ProFTPD. */

#ifndef COMMON_PROMETHEUS_H
#define COMMON_PROMETHEUS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PROMETHEUS_SIZE       960 /* of an answer, with its NUL */
#define PROMETHEUS_LABEL_SIZE 256 /* of a label's value, quoted */

typedef void (*prometheus_line)(void *user, const char *line);

/* Set line and user, and the rest to 0. */
struct prometheus {
  prometheus_line line;
  void *user;
  const char *metric;
  size_t len;
  char text[PROMETHEUS_SIZE];
};

/* A label of a sample; the last one has no name. */
struct prometheus_label {
  const char *name, *value;
};

/* Writes what has been collected. To be called after the last sample, too. */
static inline void prometheus_flush(struct prometheus *out) {
  if (out->len > 0) {
    out->text[out->len] = '\0';
    out->line(out->user, out->text);
    out->len = 0;
  }
}

/* Adds a line; ftpdctl ends each answer with a newline itself. */
static inline void prometheus_put(struct prometheus *out, const char *line) {
  size_t len = strlen(line);

  if (out->len + 1 + len >= sizeof(out->text)) {
    prometheus_flush(out);
  }
  if (out->len > 0) {
    out->text[out->len++] = '\n';
  }
  memcpy(out->text + out->len, line, len);
  out->len += len;
}

/* Begins the metric to which the samples that follow belong. TYPE is "counter"
 * or "gauge". */
__attribute__((noinline, unused)) static void prometheus_metric(
  struct prometheus *out, const char *name, const char *type,
  const char *help) {
  char line[400];

  (void) snprintf(line, sizeof(line), "# HELP %s %s", name, help);
  prometheus_put(out, line);
  (void) snprintf(line, sizeof(line), "# TYPE %s %s", name, type);
  prometheus_put(out, line);
  out->metric = name;
}

/* A byte outside ASCII and a control character become a question mark; a value
 * that is too long is cut. */
static inline void prometheus_quote(
  const char *value, char quoted[PROMETHEUS_LABEL_SIZE]) {
  size_t len = 0;

  for (; *value != '\0' && len < PROMETHEUS_LABEL_SIZE - 3; value++) {
    if (*value == '"' || *value == '\\') {
      quoted[len++] = '\\';
    }
    quoted[len++] = *value >= ' ' && *value < 0x7f ? *value : '?';
  }
  quoted[len] = '\0';
}

/* LABELS may be NULL, at most three; VALUE is a number as it is printed. */
__attribute__((noinline, unused)) static void prometheus_text(
  struct prometheus *out, const struct prometheus_label *labels,
  const char *value) {
  char line[PROMETHEUS_SIZE - 1], quoted[PROMETHEUS_LABEL_SIZE];
  size_t len = (size_t) snprintf(line, sizeof(line), "%s", out->metric);

  for (size_t i = 0; labels != NULL && labels[i].name != NULL; i++) {
    prometheus_quote(labels[i].value, quoted);
    len += (size_t) snprintf(line + len, sizeof(line) - len, "%c%s=\"%s\"",
      i == 0 ? '{' : ',', labels[i].name, quoted);
  }
  (void) snprintf(line + len, sizeof(line) - len, "%s %s",
    labels != NULL && labels[0].name != NULL ? "}" : "", value);
  prometheus_put(out, line);
}

__attribute__((noinline, unused)) static void prometheus_number(
  struct prometheus *out, const struct prometheus_label *labels,
  uint64_t value) {
  char text[24];

  (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) value);
  prometheus_text(out, labels, text);
}

static inline void prometheus_milliseconds(struct prometheus *out,
  const struct prometheus_label *labels, uint64_t value) {
  char text[32];

  (void) snprintf(text, sizeof(text), "%llu.%03u",
    (unsigned long long) (value / 1000), (unsigned int) (value % 1000));
  prometheus_text(out, labels, text);
}

/* The metrics that each module begins with: proftpd_NAME_info and when its
 * counters began. WHO is "mod_name/1.0"; NAMES are those of the two metrics. */
__attribute__((noinline, unused)) static void prometheus_report(
  struct prometheus *out, const char *const names[2], const char *who,
  int64_t since) {
  const struct prometheus_label labels[] = {
    { "version", strchr(who, '/') + 1 }, { NULL, NULL }
  };

  prometheus_metric(out, names[0], "gauge", "The version of the module.");
  prometheus_number(out, labels, 1);
  prometheus_metric(
    out, names[1], "gauge", "Since when the counters count, in Unix time.");
  prometheus_number(out, NULL, (uint64_t) since);
}

#endif
