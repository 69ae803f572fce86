/*
 * mod_keepalive - the silences of a control connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* A path that forgets idle connections does not tell. What can be observed is
 * how long a silence was when an answer ended it, and how long it was when a
 * probe was not answered although the client was there, as its data connection
 * shows. Needs no ProFTPD. */

#include "silence.h"

#include <stdio.h>

/* The uncertainty of a measured silence, from round trips and the kernel's
 * timers, in seconds. */
#define BLUR 0.3

/* The longest time for an answer to a probe, in seconds. */
#define ANSWER 1.0

/* How many probes and retransmissions may be lost on a path that works. */
#define LOST 2

static unsigned int max(unsigned int a, unsigned int b) {
  return a > b ? a : b;
}

static unsigned int min(unsigned int a, unsigned int b) {
  return a < b ? a : b;
}

/* Between two looks at a connection on which everything was answered, the
 * longest silence is at least the mean one. It is not taken to be above IDLE,
 * because a probe was sent then, which may have reached a router even if it was
 * lost later. */
static unsigned int survived_between(const struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle) {
  uint32_t answers = control->segs_in - silence->segs_in;

  if (answers == 0 || control->resent != silence->resent ||
      control->heard <= silence->heard) {
    return 0;
  }

  return min(
    (unsigned int) ((control->heard - silence->heard) / answers + BLUR), idle);
}

/* Whether the client was there after a probe that it should have answered. */
static bool is_overdue(
  const struct keepalive_tcpinfo *control, unsigned int idle, double alive) {
  return control->tries > 0 && alive > control->heard + idle + ANSWER;
}

void keepalive_silence_look(struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle,
  double data_heard) {
  unsigned int tries = control->tries;

  if (tries == 0) {
    if (silence->seen) {
      silence->survived =
        max(silence->survived, survived_between(silence, control, idle));
    }

    silence->seen = true;
    silence->heard = control->heard;
    silence->segs_in = control->segs_in;
    silence->resent = control->resent;
    silence->forgotten = 0;
    silence->suspected = false;
    silence->vain = 0;

  } else if (!is_overdue(control, idle, data_heard)) {
    silence->vain = 0;

  } else if (tries > silence->tries) {
    silence->vain += tries - silence->tries;
  }

  silence->tries = tries;
  if (silence->vain > LOST) {
    silence->forgotten = idle;
  }
}

void keepalive_silence_transfer_ended(struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle,
  double data_heard) {
  silence->suspected = is_overdue(control, idle, data_heard);
}

void keepalive_silence_end(struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle) {
  if (control->tries > LOST && silence->suspected) {
    silence->forgotten = idle;
  }
}

unsigned int keepalive_silence_step(const struct keepalive_silence *silence,
  unsigned int step, unsigned int limit, unsigned int forgotten) {
  unsigned int next = min(step * 2, limit);

  if (silence->survived < step || (forgotten > 0 && next >= forgotten)) {
    return step;
  }

  return next;
}

void keepalive_silence_print_gone(char *text, size_t size, const char *client,
  const char *command, double silent) {
  snprintf(text, size,
    "%s by %s: no answer for %us, so the session ends: the client is gone",
    command, client, (unsigned int) (silent + 0.5));
}
