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

#ifndef KEEPALIVE_HISTORY_H
#define KEEPALIVE_HISTORY_H

/* The last packets that are known, the newest last. */
#define KEEPALIVE_PACKETS 8

struct keepalive_history {
  struct {
    double when;    /* keepalive_now() */
    double silence; /* seconds before it */
  } packet[KEEPALIVE_PACKETS];
  int count;
  double survived; /* longest that is known otherwise */
};

/* A packet went over the control connection, in either direction.  `probe' is
 * the interval of the kernel's probes at that time, 0: none.
 */
void keepalive_history_packet(
  struct keepalive_history *history, double now, double probe);

/* A silence of so many seconds was survived. */
void keepalive_history_survived(
  struct keepalive_history *history, double seconds);

/* The peer was last heard at `heard', and is gone by `now'.  Answers the
 * seconds of silence after which the path was gone at the latest, and those
 * that it had survived before (0: not known).
 */
void keepalive_history_end(const struct keepalive_history *history,
  double heard, double now, double probe, double *idle, double *survived);

/* The interval to try on a path that survived one silence and not another, in
 * seconds.  0 when it had survived as much before: it was not the silence.
 * Where enough is known to be sure it is a fifth less than what was survived.
 */
unsigned int keepalive_history_advice(double idle, double survived);

#endif
