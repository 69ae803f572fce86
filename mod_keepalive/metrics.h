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

#ifndef KEEPALIVE_METRICS_H
#define KEEPALIVE_METRICS_H

#include "common_prometheus.h"
#include "table.h"

/* WHO is "mod_keepalive/1.0". */
void keepalive_metrics(struct keepalive_table *table, const char *who,
  prometheus_line line, void *user);

#endif
