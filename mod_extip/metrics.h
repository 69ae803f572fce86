/*
 * mod_extip - the table as metrics for Prometheus
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_METRICS_H
#define EXTIP_METRICS_H

#include "common_prometheus.h"
#include "table.h"

/* All metrics of COUNT records. WHO is the module with its version, SINCE when
 * the helper began, 0: there is none. NOW: seconds since the epoch. */
void extip_metrics(struct prometheus *out, const char *who, int64_t since,
  const struct extip_record *records, size_t count, int64_t now);

#endif
