/*
 * mod_keepalive - the table as metrics for Prometheus
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "metrics.h"
#include "status.h"

static void add_counter(
  struct prometheus *out, const char *name, const char *help, uint64_t value) {
  prometheus_metric(out, name, "counter", help);
  prometheus_number(out, NULL, value);
}

static void add_sessions(
  struct prometheus *out, struct keepalive_table *table) {
  unsigned int all, busy = keepalive_status_sessions(table, &all);

  prometheus_metric(
    out, "proftpd_keepalive_sessions", "gauge", "Sessions that are logged in.");
  prometheus_number(out, NULL, all);
  prometheus_metric(out, "proftpd_keepalive_transferring_sessions", "gauge",
    "Sessions that are in transfer.");
  prometheus_number(out, NULL, busy);
}

static void add_sent(struct prometheus *out, struct keepalive_table *table) {
  static const enum keepalive_method methods[] = { KEEPALIVE_TLS,
    KEEPALIVE_REPLY, KEEPALIVE_TELNET };

  prometheus_metric(out, "proftpd_keepalive_sent_total", "counter",
    "Keepalives with payload that were sent.");
  for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
    const struct prometheus_label labels[] = {
      { "method", keepalive_method_name(methods[i]) }, { NULL, NULL }
    };

    prometheus_number(out, labels, atomic_load(&table->sent[methods[i]]));
  }

  prometheus_metric(out, "proftpd_keepalive_skipped_total", "counter",
    "Keepalives that were not sent.");
  for (int i = KEEPALIVE_SENT + 1; i < KEEPALIVE_RESULTS; i++) {
    const struct prometheus_label labels[] = {
      { "reason", keepalive_status_result((enum keepalive_result) i) },
      { NULL, NULL }
    };

    prometheus_number(out, labels, atomic_load(&table->skipped[i]));
  }
}

static void add_networks(
  struct prometheus *out, struct keepalive_table *table, bool survived) {
  char text[KEEPALIVE_NETWORK_TEXT];
  const struct prometheus_label labels[] = { { "network", text },
    { NULL, NULL } };
  struct keepalive_facts facts;
  unsigned int i = 0;

  while (keepalive_status_network(table, &i, &facts, text)) {
    prometheus_number(out, labels, survived ? facts.survived : facts.forgotten);
  }
}

void keepalive_metrics(struct keepalive_table *table, const char *who,
  prometheus_line line, void *user) {
  static const char *const names[2] = { "proftpd_keepalive_info",
    "proftpd_keepalive_start_timestamp_seconds" };
  struct prometheus out = { .line = line, .user = user };

  prometheus_report(&out, names, who, atomic_load(&table->since));
  add_sessions(&out, table);
  add_counter(&out, "proftpd_keepalive_transfers_total", "Transfers.",
    atomic_load(&table->transfers));
  add_sent(&out, table);
  add_counter(&out, "proftpd_keepalive_broken_replies_total",
    "Replies of method reply that could not be completed.",
    atomic_load(&table->broken));
  add_counter(&out, "proftpd_keepalive_gone_clients_total",
    "Clients that were given up.", atomic_load(&table->gone));
  add_counter(&out, "proftpd_keepalive_forgotten_connections_total",
    "Control connections that a path had forgotten.",
    atomic_load(&table->forgotten));
  prometheus_metric(&out, "proftpd_keepalive_network_survived_seconds", "gauge",
    "The longest silence that a path of this network has survived.");
  add_networks(&out, table, true);
  prometheus_metric(&out, "proftpd_keepalive_network_forgotten_seconds",
    "gauge", "The shortest silence after which such a path had forgotten.");
  add_networks(&out, table, false);
  prometheus_flush(&out);
}
