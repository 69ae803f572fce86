/*
 * mod_natpasv - the counts as metrics for Prometheus
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_METRICS_H
#define NATPASV_METRICS_H

#include "common_prometheus.h"
#include "status.h"

void natpasv_metrics(
  const struct natpasv_status *status, prometheus_line line, void *user);

#endif
