/*
 * keepalive-probed.h - which TCP options a socket has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef KEEPALIVE_PROBED_H
#define KEEPALIVE_PROBED_H

#include "../../mod_keepalive/sockopt.h"
#include "tap.h"

/* idle, between, count, timeout, on */
static inline void is_probed(int fd, const char *want, const char *name) {
  struct keepalive_sockopts now;
  char got[128];

  (void) keepalive_sockopts_get(fd, &now);
  (void) snprintf(got, sizeof(got), "%d %d %d %d %d", now.value[KEEPALIVE_IDLE],
    now.value[KEEPALIVE_BETWEEN], now.value[KEEPALIVE_COUNT],
    now.value[KEEPALIVE_USER_TIMEOUT], now.value[KEEPALIVE_ON]);
  is_str(got, want, "%s", name);
}

#endif
