/*
 * mod_keepalive - the probes on the control connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "probes.h"
#include "control.h"
#include "log.h"
#include "sockopt.h"

/* Without a deadline, a path may fail for this many seconds before probes end
 * the connection, so that keepalives do not make it more fragile than without.
 * TCP itself retransmits for about as long. */
#define PATIENCE 900

static struct {
  bool taken;
  struct keepalive_sockopts before, now;
} probes;

static void change(const struct keepalive_sockopts *plan) {
  if (!probes.taken) {
    return;
  }

  if (keepalive_sockopts_change(keepalive_control_fd(), &probes.now, plan) <
      0) {
    pr_trace_msg(KEEPALIVE_TRACE, 3,
      "cannot set the TCP options of the control connection: %s",
      strerror(errno));
  }
  probes.now = *plan;
}

int keepalive_probes_start(void) {
  if (keepalive_sockopts_get(keepalive_control_fd(), &probes.before) < 0) {
    return -1;
  }

  probes.now = probes.before;
  probes.taken = true;
  return 0;
}

void keepalive_probes_stop(void) {
  if (keepalive_control_fd() >= 0) {
    change(&probes.before);
  }
  probes.taken = false;
}

void keepalive_probes_idle(unsigned int interval, unsigned int deadline) {
  struct keepalive_sockopts plan = probes.before;

  if (deadline > 0) {
    keepalive_sockopts_deadline(&plan, interval, deadline);

  } else {
    keepalive_sockopts_probe(&plan, interval, interval, PATIENCE);
  }

  change(&plan);
}

static void plan_transfer(struct keepalive_sockopts *plan,
  unsigned int interval, unsigned int deadline) {
  unsigned int patience = deadline * 5 / 4, between = patience / 127 + 1;

  keepalive_sockopts_probe(plan, interval,
    between > interval ? between : interval,
    patience > PATIENCE ? patience : PATIENCE);
}

void keepalive_probes_transfer(unsigned int interval, unsigned int deadline) {
  struct keepalive_sockopts plan = probes.before;

  plan_transfer(&plan, interval, deadline);
  change(&plan);
}

void keepalive_probes_measure(unsigned int step) {
  struct keepalive_sockopts plan = probes.before;

  keepalive_sockopts_probe(&plan, step, 1, PATIENCE);
  change(&plan);
}

void keepalive_probes_pause(void) {
  struct keepalive_sockopts plan = probes.now;

  plan.value[KEEPALIVE_ON] = 0;
  change(&plan);
}

void keepalive_probes_data(
  int fd, unsigned int interval, unsigned int deadline) {
  struct keepalive_sockopts before, plan;

  if (keepalive_sockopts_get(fd, &before) == 0) {
    plan = before;
    plan_transfer(&plan, interval, deadline);
    (void) keepalive_sockopts_change(fd, &before, &plan);
  }
}
