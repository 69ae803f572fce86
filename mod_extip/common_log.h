/*
 * common_log.h - the log of a module
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Include it after "conf.h". Its calls of privileges need "privs.h". */

#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "privs.h"

/* Opens the file that DIRECTIVE names, as root. Returns its descriptor; or -1
 * if PATH is NULL or "none", or if the file cannot be opened, after a line with
 * the cause in the system log. */
static inline int log_open(
  const char *module_version, const char *directive, const char *path) {
  int fd = -1, res, xerrno;

  if (path == NULL || strcasecmp(path, "none") == 0) {
    return -1;
  }

  pr_signals_block();
  PRIVS_ROOT
  res = pr_log_openfile(path, &fd, PR_LOG_SYSTEM_MODE);
  xerrno = errno;
  PRIVS_RELINQUISH
  pr_signals_unblock();

  if (res == 0) {
    return fd;
  }

  pr_log_pri(PR_LOG_WARNING,
    "%s: cannot open %s '%s': %s; using the system log", module_version,
    directive, path,
    res == PR_LOG_WRITABLE_DIR ? "its directory is writable by everybody"
    : res == PR_LOG_SYMLINK    ? "it is a symbolic link"
                               : strerror(xerrno));
  return -1;
}

static inline void log_close(int *fd) {
  if (*fd >= 0) {
    (void) close(*fd);
    *fd = -1;
  }
}

/* Writes one line of at most 1,023 bytes to the log FD; or, if FD is -1, to the
 * system log with PRIORITY. */
__attribute__((format(printf, 4, 0))) static inline void log_write(int fd,
  const char *module_version, int priority, const char *fmt, va_list args) {
  char text[1024];

  vsnprintf(text, sizeof(text), fmt, args);
  if (fd >= 0) {
    (void) pr_log_writefile(fd, module_version, "%s", text);
  } else {
    pr_log_pri(priority, "%s: %s", module_version, text);
  }
}

#endif
