/*
 * mod_extip - gives up what the helper process does not need
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_CONFINE_H
#define EXTIP_CONFINE_H

#include <sys/types.h>

/* Leaves the terminal, resets the daemon's signals, and closes its descriptors
 * except those in helper_fds.h. Descriptors 0 and 1 become /dev/null, and so
 * does 2 if it is a terminal. */
void extip_detach(void);

/*
 * Becomes USER and GROUP for good, without supplementary groups or
 * capabilities, and without a way to gain any. A process that is not root keeps
 * its user and groups. Returns 0, or -1 with errno: the process must then end.
 */
int extip_drop_privileges(uid_t user, gid_t group);

/* Has the kernel kill this process when PARENT dies, and ends it if PARENT is
 * dead already. To be called after extip_drop_privileges(), which undoes it. */
void extip_die_with(pid_t parent);

#endif
