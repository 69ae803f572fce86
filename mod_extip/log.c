/*
 * mod_extip - one place for what is logged
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "common_log.h"
#include "log.h"
#include "mod_extip.h"

static int log_fd = -1;

void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  static const int priorities[] = {
    [EXTIP_LOG_INFO] = PR_LOG_INFO,
    [EXTIP_LOG_NOTICE] = PR_LOG_NOTICE,
    [EXTIP_LOG_WARNING] = PR_LOG_WARNING,
  };
  va_list args;

  va_start(args, fmt);
  log_write(log_fd, MOD_EXTIP_VERSION, priorities[loudness], fmt, args);
  va_end(args);
}

void extip_log_open(const char *path) {
  log_close(&log_fd);
  log_fd = log_open(MOD_EXTIP_VERSION, "ExtIPLog", path);
}

void extip_log_close(void) {
  log_close(&log_fd);
}
