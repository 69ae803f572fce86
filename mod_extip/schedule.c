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

#include "schedule.h"

/* SPAN shortened by up to one part in PARTS. */
static int64_t jitter(int64_t span, int parts, uint32_t random) {
  return span - span / parts * (random % 1024) / 1024;
}

void extip_schedule_decided(
  struct extip_schedule *schedule, int64_t now, uint32_t random) {
  schedule->failures = 0;
  schedule->due = now + jitter(schedule->refresh, 10, random);
}

void extip_schedule_failed(
  struct extip_schedule *schedule, int64_t now, uint32_t random) {
  int64_t span = schedule->retry;

  for (unsigned int i = 0; i < schedule->failures && span < schedule->refresh;
       i++) {
    span *= 2;
  }

  if (span > schedule->refresh) {
    span = schedule->refresh;
  }

  schedule->failures++;
  schedule->due = now + jitter(span, 5, random);
}

void extip_early_request(struct extip_early *early, int64_t now, int64_t delay,
  int64_t gap, bool doubt) {
  int64_t due = now + delay;

  if (early->granted && due < early->last + gap) {
    due = early->last + gap;
  }

  if (!early->wanted || due < early->due) {
    early->due = due;
  }
  early->doubt = doubt && (early->doubt || !early->wanted);
  early->wanted = true;
}

bool extip_early_take(struct extip_early *early, int64_t now) {
  if (!early->wanted || now < early->due) {
    return false;
  }

  early->wanted = false;
  early->granted = true;
  early->last = now;
  return true;
}

void extip_early_refuted(int64_t *gap, int64_t refresh) {
  int64_t most = refresh > EXTIP_EARLY_GAP ? refresh : EXTIP_EARLY_GAP;

  *gap = *gap < most / 2 ? *gap * 2 : most;
}
