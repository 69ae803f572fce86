/*
 * mod_keepalive - the TCP options of a connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Plan, save, set and restore. Needs no ProFTPD. */

#include "sockopt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define COUNT_MIN 9   /* probes that may be lost in a row */
#define COUNT_MAX 127 /* Linux: MAX_TCP_KEEPCNT */

/* With a deadline: how many probes may be lost before the peer counts as
 * dead. */
#define DEADLINE_PROBES 5

/* SO_KEEPALIVE comes last, because it starts the timer with the other
 * options. */
static const struct {
  int level, name;
} options[KEEPALIVE_SOCKOPTS] = {
  [KEEPALIVE_IDLE] = { IPPROTO_TCP, TCP_KEEPIDLE },
  [KEEPALIVE_BETWEEN] = { IPPROTO_TCP, TCP_KEEPINTVL },
  [KEEPALIVE_COUNT] = { IPPROTO_TCP, TCP_KEEPCNT },
  [KEEPALIVE_USER_TIMEOUT] = { IPPROTO_TCP, TCP_USER_TIMEOUT },
  [KEEPALIVE_ON] = { SOL_SOCKET, SO_KEEPALIVE },
};

int keepalive_sockopts_get(int fd, struct keepalive_sockopts *opts) {
  for (unsigned int i = 0; i < KEEPALIVE_SOCKOPTS; i++) {
    socklen_t len = sizeof(int);

    if (getsockopt(
          fd, options[i].level, options[i].name, &opts->value[i], &len) < 0) {
      return -1;
    }
  }

  return 0;
}

int keepalive_sockopts_change(int fd, const struct keepalive_sockopts *from,
  const struct keepalive_sockopts *to) {
  int res = 0;

  for (unsigned int i = 0; i < KEEPALIVE_SOCKOPTS; i++) {
    if (to->value[i] != from->value[i] &&
        setsockopt(fd, options[i].level, options[i].name, &to->value[i],
          sizeof(int)) < 0) {
      res = -1;
    }
  }

  return res;
}

static int at_most(int number, int max) {
  return number > max ? max : number;
}

void keepalive_sockopts_probe(struct keepalive_sockopts *plan,
  unsigned int idle, unsigned int between, unsigned int patience) {
  int count = at_most((int) (patience / between), COUNT_MAX);

  plan->value[KEEPALIVE_ON] = 1;
  plan->value[KEEPALIVE_IDLE] = (int) idle;
  plan->value[KEEPALIVE_BETWEEN] = (int) between;
  plan->value[KEEPALIVE_COUNT] = count < COUNT_MIN ? COUNT_MIN : count;
}

/* The kernel checks for a dead peer only when a probe is due. So the probes are
 * planned such that one is due exactly at the deadline: idle + count *
 * between. */
void keepalive_sockopts_deadline(struct keepalive_sockopts *plan,
  unsigned int interval, unsigned int deadline) {
  int left = (int) deadline - (int) interval, idle, between;
  int count = at_most(DEADLINE_PROBES, left);

  /* With one second between them they always fit. */
  do {
    between = (left + count - 1) / count;
    idle = (int) deadline - count * between;
    count++;
  } while (idle < 1);

  plan->value[KEEPALIVE_ON] = 1;
  plan->value[KEEPALIVE_IDLE] = idle;
  plan->value[KEEPALIVE_BETWEEN] = between;
  plan->value[KEEPALIVE_COUNT] = at_most(count - 1, COUNT_MAX);

  /* Half a second earlier, so that it has passed when the probe at the deadline
   * is due. */
  plan->value[KEEPALIVE_USER_TIMEOUT] = (int) deadline * 1000 - 500;
}
