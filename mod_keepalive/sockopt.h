/*
 * mod_keepalive - the TCP options of the control connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_SOCKOPT_H
#define KEEPALIVE_SOCKOPT_H

struct keepalive_sockopts {
  int keepalive;    /* SO_KEEPALIVE */
  int idle;         /* TCP_KEEPIDLE: seconds of silence before a probe */
  int between;      /* TCP_KEEPINTVL: seconds between unanswered probes */
  int count;        /* TCP_KEEPCNT: unanswered probes that end it */
  int user_timeout; /* TCP_USER_TIMEOUT: milliseconds, 0: the system's */
};

/* The options of a socket as they are now.  Returns -1 with errno. */
int keepalive_sockopts_get(int fd, struct keepalive_sockopts *opts);

/* Brings a socket from one set of options to another; touches only what
 * differs.  Returns -1 with the errno of the first that failed, after trying
 * them all.
 */
int keepalive_sockopts_change(int fd, const struct keepalive_sockopts *from,
  const struct keepalive_sockopts *to);

/* The options that send a probe after `interval' seconds of silence and, with
 * a deadline (0: none), give a dead peer up when it was silent that long.
 * `from' supplies what neither decides.
 */
void keepalive_sockopts_plan(const struct keepalive_sockopts *from,
  unsigned int interval, unsigned int deadline,
  struct keepalive_sockopts *plan);

/* Changes a plan with a deadline to one that measures: a probe after exactly
 * `idle' seconds of silence, and a look at a dead peer every second.
 */
void keepalive_sockopts_measure(
  struct keepalive_sockopts *plan, unsigned int idle);

#endif
