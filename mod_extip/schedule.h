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

/* All times are milliseconds of one clock that never goes back. The caller
 * supplies the time and random numbers. */

/* When one answer is asked for again. */
struct extip_schedule {
  int64_t refresh; /* after a decision */
  int64_t retry;   /* after the first failure; doubles up to refresh */
  unsigned int failures;
  int64_t due;
};

/* A decision was made at NOW. The next round is due after the refresh interval,
 * or up to a tenth of it sooner, so that servers do not ask together. */
void extip_schedule_decided(
  struct extip_schedule *schedule, int64_t now, uint32_t random);

/* There was no decision. The next round is due after the retry interval,
 * doubled for each earlier failure, or up to a fifth sooner; never later than
 * after a decision. */
void extip_schedule_failed(
  struct extip_schedule *schedule, int64_t now, uint32_t random);

/* Requests for early rounds, for any reason: collected, and granted at most
 * once in a gap. */
#define EXTIP_EARLY_GAP 10000

struct extip_early {
  bool wanted;
  bool doubt;   /* when wanted: by clients alone */
  int64_t due;  /* when wanted */
  bool granted; /* ever */
  int64_t last;
};

/* Asks for an early round that starts DELAY after NOW, unless GAP makes it
 * later. An earlier request is not delayed, but can be moved forward. DOUBT: a
 * client is the reason. */
void extip_early_request(struct extip_early *early, int64_t now, int64_t delay,
  int64_t gap, bool doubt);

/* True if the early round has to start now. It is then recorded. */
bool extip_early_take(struct extip_early *early, int64_t now);

/* A round has not borne out a client's evidence: the gap doubles, up to the
 * refresh interval. */
void extip_early_refuted(int64_t *gap, int64_t refresh);

#endif
