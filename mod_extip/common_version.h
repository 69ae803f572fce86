/*
 * common_version.h - whether the ProFTPD that runs is the one built for
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Include it after "conf.h". */

#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

/* To be called in a module's init: returns 0, or -1 with errno EPERM after a
 * line in the log. The layout of ProFTPD's session changes between releases
 * that have the same module API number, such as 1.3.8 and 1.3.9. Maintenance
 * releases, such as 1.3.8a and 1.3.8b, keep it. */
static inline int version_check(const char *module_version) {
  if (pr_version_get_number() >> 8 == PROFTPD_VERSION_NUMBER >> 8) {
    return 0;
  }

  pr_log_pri(PR_LOG_ERR,
    "%s: built for ProFTPD %s, this is ProFTPD %s: rebuild the module",
    module_version, PROFTPD_VERSION_TEXT, pr_version_get_str());
  errno = EPERM;
  return -1;
}

#endif
