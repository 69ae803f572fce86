/*
 * mod_extip - when the next round is due
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_SCHEDULE_H
#define EXTIP_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

/* All times are milliseconds of one clock that never goes back; the caller
 * brings it, and randomness, along. */

/* When one answer is asked for again. */
struct extip_schedule {
  int64_t refresh; /* after a decision */
  int64_t retry;   /* after the first failure; doubles up to refresh */
  unsigned failures;
  int64_t due;
};

/* A decision was made, and the clock is at NOW: due after the refresh interval,
 * or up to a tenth of it sooner, so that servers do not ask in step. */
void extip_schedule_decided(
  struct extip_schedule *schedule, int64_t now, uint32_t random);

/* No decision: due after the retry interval, doubled for every failure before,
 * or up to a fifth sooner; never later than a decision would be. */
void extip_schedule_failed(
  struct extip_schedule *schedule, int64_t now, uint32_t random);

/* Requests for a round before its time, from whatever source: debounced, and
 * granted at most once in EXTIP_EARLY_GAP. */
#define EXTIP_EARLY_GAP 10000

struct extip_early {
  bool wanted;
  int64_t due;  /* when wanted */
  bool granted; /* ever */
  int64_t last;
};

/* Asks for an early round that starts DELAY after NOW, unless the gap makes it
 * later. A request that is already there is not put off, but can be moved
 * forward. */
void extip_early_request(struct extip_early *early, int64_t now, int64_t delay);

/* True when the early round is to start now; it is then accounted for. */
bool extip_early_take(struct extip_early *early, int64_t now);

#endif
