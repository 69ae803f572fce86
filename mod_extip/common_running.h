/*
 * common_running.h - whether the daemon was there before this module
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Include it after "conf.h". */

#ifndef COMMON_RUNNING_H
#define COMMON_RUNNING_H

#include <stdbool.h>

/* To be called at core.postparse: whether a reload has loaded this module for
 * the first time, so that no core.startup follows. A daemon opens its
 * scoreboard just before that event, and not earlier. Without a scoreboard it
 * is not known, and such a module waits for the next restart. */
static inline bool daemon_is_running(void) {
  return pr_scoreboard_get_daemon_pid() == getpid();
}

#endif
