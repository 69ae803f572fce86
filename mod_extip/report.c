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
#include "privs.h"

#include "mod_extip.h"
#include "report.h"

static int log_fd = -1;

void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  static const int priorities[] = {
    [EXTIP_LOG_INFO] = PR_LOG_INFO,
    [EXTIP_LOG_NOTICE] = PR_LOG_NOTICE,
    [EXTIP_LOG_WARNING] = PR_LOG_WARNING,
  };
  char text[1024];
  va_list args;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);

  if (log_fd >= 0) {
    (void) pr_log_writefile(log_fd, MOD_EXTIP_VERSION, "%s", text);

  } else {
    pr_log_pri(priorities[loudness], MOD_EXTIP_VERSION ": %s", text);
  }
}

void extip_log_open(const char *path) {
  int res, xerrno;

  extip_log_close();
  if (path == NULL || strcasecmp(path, "none") == 0) {
    return;
  }

  PRIVS_ROOT
  res = pr_log_openfile(path, &log_fd, PR_LOG_SYSTEM_MODE);
  xerrno = errno;
  PRIVS_RELINQUISH

  if (res < 0) {
    log_fd = -1;
    extip_log(EXTIP_LOG_WARNING, "cannot open ExtIPLog '%s': %s", path,
      res == PR_LOG_WRITABLE_DIR ? "others may write in its directory"
      : res == PR_LOG_SYMLINK    ? "it is a symbolic link"
                                 : strerror(xerrno));
  }
}

void extip_log_close(void) {
  if (log_fd >= 0) {
    (void) close(log_fd);
    log_fd = -1;
  }
}

int extip_log_fd(void) {
  return log_fd;
}
