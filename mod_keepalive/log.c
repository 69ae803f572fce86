/*
 * mod_keepalive - its log
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "log.h"
#include "common_log.h"

static int log_fd = -1;

void keepalive_log_start(void) {
  server_rec *server = (server_rec *) server_list->xas_list;

  if (log_fd < 0) {
    log_fd = log_open(MOD_KEEPALIVE_VERSION, "KeepaliveLog",
      get_param_ptr(server->conf, "KeepaliveLog", FALSE));
  }
}

void keepalive_log_stop(void) {
  log_close(&log_fd);
}

void keepalive_log(const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_write(log_fd, MOD_KEEPALIVE_VERSION, PR_LOG_NOTICE, fmt, args);
  va_end(args);
}
