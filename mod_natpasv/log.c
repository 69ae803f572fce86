/*
 * mod_natpasv - its log
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "log.h"
#include "common_log.h"
#include "config.h"

static int log_fd = -1;

void natpasv_log_start(void) {
  if (log_fd < 0) {
    log_fd = log_open(MOD_NATPASV_VERSION, "NATPasvLog",
      natpasv_config_param("NATPasvLog", NULL));
  }
}

void natpasv_log(int priority, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_write(log_fd, MOD_NATPASV_VERSION, priority, fmt, args);
  va_end(args);
}

void natpasv_log_aloud(int priority, const char *fmt, ...) {
  va_list args, again;

  va_start(args, fmt);
  va_copy(again, args);
  log_write(-1, MOD_NATPASV_VERSION, priority, fmt, args);
  if (log_fd >= 0) {
    log_write(log_fd, MOD_NATPASV_VERSION, priority, fmt, again);
  }
  va_end(again);
  va_end(args);
}
