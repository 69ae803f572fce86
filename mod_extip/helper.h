/*
 * mod_extip - the daemon's side of the helper: starting, listening, ending
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_HELPER_H
#define EXTIP_HELPER_H

#include "plan.h"

/*
 * Starts the helper for TASK, whose discoveries have their records in the table
 * of shared.h. The task belongs to the caller and must stay valid until
 * extip_helper_stop(). If the helper dies, it is started again with back-off.
 * CHANGED is called with each address that it adopts. Only the daemon may call
 * this.
 */
void extip_helper_start(
  const struct extip_task *task, void (*changed)(const char *addr));

/* Ends it. */
void extip_helper_stop(void);

/* The daemon ends: the forwards on the router are removed first, for which it
 * waits two seconds at most. */
void extip_helper_close(void);

/* To be called in the daemon on SIGUSR2, which comes when the helper has sent
 * something or has died: writes the table and the log, and starts a new
 * helper. */
void extip_helper_news(void);

/* Returns its process id; or 0, with the SECONDS until there will be one. */
pid_t extip_helper_pid(unsigned int *seconds);

/* When it began, in seconds since the epoch; 0: there is none. */
int64_t extip_helper_since(void);

/* To be called in a session: releases what only the daemon needs. */
void extip_helper_leave(void);

/* Writes the path of the helper's program, which is in the directory of this
 * module after symbolic links are followed, and returns it. */
const char *extip_helper_find(char path[PATH_MAX]);

/* Forks such that the child handles no signal as the daemon: after SIGTERM, the
 * next function of ProFTPD would end all sessions, which it takes for its
 * children. Signals stay blocked until one of those functions unblocks them. */
pid_t extip_helper_fork(void);

/* Without a daemon (inetd): starts a process that performs TASK once, and
 * returns at once. */
void extip_helper_once(const struct extip_task *task);

#endif
