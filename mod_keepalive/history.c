/*
 * mod_keepalive - how long the control connection was silent, and survived it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* A path that forgets idle connections does not say so.  What can be known is
 * the silence before the first packet that was never answered, and the longest
 * silence before one that was.  Needs no ProFTPD.
 */

#include "history.h"

#include <string.h>

/* An answered probe shows in the time at which the peer was last heard; timers
 * and round trips blur it by less than this, in seconds.
 */
#define BLUR 0.5

static double least(double a, double b) {
  return a < b ? a : b;
}

static double most(double a, double b) {
  return a > b ? a : b;
}

void keepalive_history_survived(
  struct keepalive_history *history, double seconds) {
  history->survived = most(history->survived, seconds);
}

void keepalive_history_packet(
  struct keepalive_history *history, double now, double probe) {
  double silence = 0;
  int last = history->count - 1;

  if (last >= 0) {
    silence = now - history->packet[last].when;
    if (probe > 0) {
      silence = least(silence, probe);
    }
  }

  if (history->count == KEEPALIVE_PACKETS) {
    keepalive_history_survived(history, history->packet[0].silence);
    memmove(&history->packet[0], &history->packet[1],
      sizeof(history->packet[0]) * (KEEPALIVE_PACKETS - 1));
    history->count--;
  }

  history->packet[history->count].when = now;
  history->packet[history->count].silence = silence;
  history->count++;
}

void keepalive_history_end(const struct keepalive_history *history,
  double heard, double now, double probe, double *idle, double *survived) {
  double before = 0;
  int i;

  *survived = history->survived;
  *idle = now - heard;
  if (probe > 0) {
    *idle = least(*idle, probe);
  }

  for (i = 0; i < history->count; i++) {
    double when = history->packet[i].when;

    if (when <= heard + BLUR) {
      *survived = most(*survived, history->packet[i].silence);
      before = when;

    } else {
      *idle = least(*idle, when - heard);
    }
  }

  if (probe > 0 && before > 0 && heard - before >= probe - BLUR) {
    *survived = most(*survived, probe);
  }
}

unsigned int keepalive_history_advice(double idle, double survived) {
  if (survived + BLUR >= idle) {
    return 0;
  }

  /* What is known to hold, unless it is so much less that a guess is better. */
  if (survived >= 1 && survived * 4 >= idle) {
    return survived >= 2 ? (unsigned int) (survived * 0.8) : 1;
  }

  return idle >= 2 ? (unsigned int) (idle / 2) : 1;
}
