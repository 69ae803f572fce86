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

/* The method `tcp', and the kernel's part of a deadline: plan, save, set and
 * restore the options of one socket.  Needs no ProFTPD.
 */

#include "sockopt.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Without a deadline a path may fail for this many seconds before the probes
 * give the connection up, as far as KEEPALIVE_COUNT_MAX allows: a keepalive
 * must not make a connection more fragile than it was.  TCP itself retransmits
 * for about 15 minutes.
 */
#define KEEPALIVE_PATIENCE  900
#define KEEPALIVE_COUNT_MIN 9
#define KEEPALIVE_COUNT_MAX 127 /* Linux: MAX_TCP_KEEPCNT */

/* With a deadline: how many probes may be lost before a peer counts as dead. */
#define KEEPALIVE_PROBES 5

static const struct {
  int level, name;
  size_t offset;
} options[] = {
#define OPTION(level, name, field) \
  { level, name, offsetof(struct keepalive_sockopts, field) }
#ifdef TCP_KEEPIDLE
  OPTION(IPPROTO_TCP, TCP_KEEPIDLE, idle),
#endif
#ifdef TCP_KEEPINTVL
  OPTION(IPPROTO_TCP, TCP_KEEPINTVL, between),
#endif
#ifdef TCP_KEEPCNT
  OPTION(IPPROTO_TCP, TCP_KEEPCNT, count),
#endif
#ifdef TCP_USER_TIMEOUT
  OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout),
#endif
  /* Last: switching it on starts the timer with the values above. */
  OPTION(SOL_SOCKET, SO_KEEPALIVE, keepalive),
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

static int *field(struct keepalive_sockopts *opts, size_t i) {
  return (int *) (void *) ((char *) opts + options[i].offset);
}

static int value(const struct keepalive_sockopts *opts, size_t i) {
  int number;

  memcpy(&number, (const char *) opts + options[i].offset, sizeof(number));
  return number;
}

int keepalive_sockopts_get(int fd, struct keepalive_sockopts *opts) {
  size_t i;

  memset(opts, 0, sizeof(*opts));
  for (i = 0; i < OPTIONS; i++) {
    socklen_t len = sizeof(int);

    if (getsockopt(
          fd, options[i].level, options[i].name, field(opts, i), &len) < 0) {
      return -1;
    }
  }

  return 0;
}

int keepalive_sockopts_change(int fd, const struct keepalive_sockopts *from,
  const struct keepalive_sockopts *to) {
  int xerrno = 0;
  size_t i;

  for (i = 0; i < OPTIONS; i++) {
    int number = value(to, i);

    if (number != value(from, i) &&
        setsockopt(
          fd, options[i].level, options[i].name, &number, sizeof(number)) < 0 &&
        xerrno == 0) {
      xerrno = errno;
    }
  }

  errno = xerrno;
  return xerrno == 0 ? 0 : -1;
}

static int at_least(int number, int min) {
  return number < min ? min : number;
}

static int at_most(int number, int max) {
  return number > max ? max : number;
}

/* The kernel looks at a dead peer only when a probe is due, so the probes are
 * laid such that one is due exactly at the deadline: idle + count * between.
 */
static void plan_deadline(
  int interval, int deadline, struct keepalive_sockopts *plan) {
  int left = deadline - interval;
  int count = at_most(KEEPALIVE_PROBES, left);

  for (;; count++) {
    plan->between = (left + count - 1) / count;
    plan->idle = deadline - count * plan->between;
    plan->count = at_most(count, KEEPALIVE_COUNT_MAX);

    /* With one second between them it always fits. */
    if (plan->idle >= 1) {
      break;
    }
  }

  /* Half a second early, so that the probe at the deadline finds it over. */
  plan->user_timeout = deadline * 1000 - 500;
}

void keepalive_sockopts_plan(const struct keepalive_sockopts *from,
  unsigned int interval, unsigned int deadline,
  struct keepalive_sockopts *plan) {
  *plan = *from;
  plan->keepalive = 1;

  if (deadline != 0) {
    plan_deadline((int) interval, (int) deadline, plan);
    return;
  }

  plan->idle = (int) interval;
  plan->between = (int) interval;
  plan->count =
    at_most(at_least(KEEPALIVE_PATIENCE / (int) interval, KEEPALIVE_COUNT_MIN),
      KEEPALIVE_COUNT_MAX);
}

void keepalive_sockopts_measure(
  struct keepalive_sockopts *plan, unsigned int idle) {
  plan->idle = (int) idle;
  plan->between = 1;
  plan->count = KEEPALIVE_COUNT_MAX;
}
