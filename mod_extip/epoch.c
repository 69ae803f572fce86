/*
 * mod_extip - whether a router has lost its mappings
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "epoch.h"

/* RFC 6887 8.5: messages overtake each other by as much as a second, and both
 * clocks may be wrong by two seconds and a sixteenth. */
#define REORDERED_S 1
#define SLACK_MS    2000
#define DRIFT       16

static bool lags(int64_t slow_ms, int64_t fast_ms) {
  return slow_ms + SLACK_MS < fast_ms - fast_ms / DRIFT;
}

bool extip_epoch_is_consistent(
  uint32_t before, uint32_t now, int64_t passed_ms) {
  int64_t counted_ms = ((int64_t) now - before) * 1000;

  return counted_ms >= -REORDERED_S * 1000 && !lags(counted_ms, passed_ms) &&
         !lags(passed_ms, counted_ms);
}
