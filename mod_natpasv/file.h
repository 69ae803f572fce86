/*
 * mod_natpasv - the table in a file
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * For processes that are not children of one daemon: sessions of inetd, and
 * several daemons with one range of ports. A file that is not a table is never
 * written to. While a table is in use, each process has a shared lock on the
 * file, which sessions inherit from their daemon.
 */

#ifndef NATPASV_FILE_H
#define NATPASV_FILE_H

#include "table.h"

enum natpasv_file_user {
  NATPASV_FILE_DAEMON, /* the daemon starts: a table that nobody uses is
                          initialised */
  NATPASV_FILE_RELOAD, /* the daemon reloads */
  NATPASV_FILE_SESSION /* a session of inetd: counters are kept */
};

/* Opens or creates the file. Returns 0, or -1 with a reason. While it is open,
 * truncating it does no harm: SIGBUS is caught, and the file is extended
 * again. */
int natpasv_file_open(struct natpasv_table *table, const char *path,
  enum natpasv_file_user user, char *reason, size_t reason_size);

/* To be called again in a session, in which ProFTPD installs its own
 * handlers. */
void natpasv_file_guard(const struct natpasv_table *table);

void natpasv_file_close(struct natpasv_table *table);

#endif
