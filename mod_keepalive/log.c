/*
 * mod_keepalive - one place for what is logged
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "mod_keepalive.h"
#include "privs.h"

#include "log.h"

static int log_fd = -1;

void keepalive_log(const char *fmt, ...) {
  char text[512];
  va_list args;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);

  if (log_fd >= 0) {
    (void) pr_log_writefile(log_fd, MOD_KEEPALIVE_VERSION, "%s", text);

  } else {
    pr_log_pri(PR_LOG_NOTICE, MOD_KEEPALIVE_VERSION ": %s", text);
  }
}

void keepalive_log_open(const char *path) {
  int res, xerrno;

  keepalive_log_close();
  if (path == NULL || strcasecmp(path, "none") == 0) {
    return;
  }

  pr_signals_block();
  PRIVS_ROOT
  res = pr_log_openfile(path, &log_fd, PR_LOG_SYSTEM_MODE);
  xerrno = errno;
  PRIVS_RELINQUISH
  pr_signals_unblock();

  if (res < 0) {
    log_fd = -1;
    keepalive_log("cannot open KeepaliveLog '%s': %s; logging here", path,
      res == PR_LOG_WRITABLE_DIR ? "others may write in its directory"
      : res == PR_LOG_SYMLINK    ? "it is a symbolic link"
                                 : strerror(xerrno));
  }
}

void keepalive_log_close(void) {
  if (log_fd >= 0) {
    (void) close(log_fd);
    log_fd = -1;
  }
}
