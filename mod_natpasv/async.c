/*
 * mod_natpasv - signals from the control connection
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "async.h"
#include "futex.h"

#include <signal.h>

static struct {
  bool on;
  int owner;               /* as it was before */
  bool naps;               /* the handler below is installed */
  struct sigaction action; /* as it was before */
} async;

void natpasv_async_start(int signo) {
  int fd = session.c->rfd, flags = fcntl(fd, F_GETFL);

  async.owner = fcntl(fd, F_GETOWN);
  async.on = flags >= 0 && fcntl(fd, F_SETOWN, getpid()) == 0 &&
             fcntl(fd, F_SETSIG, signo) == 0 &&
             fcntl(fd, F_SETFL, flags | O_ASYNC) == 0;
}

void natpasv_async_stop(void) {
  int fd = session.c->rfd;

  if (async.on) {
    async.on = false;
    (void) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_ASYNC);
    (void) fcntl(fd, F_SETSIG, 0);
    (void) fcntl(fd, F_SETOWN, async.owner);
  }
}

static void interrupt(int signo) {
  (void) signo;
  natpasv_futex_interrupt();
}

void natpasv_async_naps_start(void) {
  struct sigaction action = { .sa_handler = interrupt };

  async.naps = sigaction(SIGIO, &action, &async.action) == 0;
  if (async.naps) {
    natpasv_async_start(SIGIO);
  }
}

void natpasv_async_naps_stop(void) {
  natpasv_async_stop();
  if (async.naps) {
    async.naps = false;
    (void) sigaction(SIGIO, &async.action, NULL);
  }
}
