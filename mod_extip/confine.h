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

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Leaves the terminal, the daemon's signal handlers and all its descriptors but
 * the KEEP_COUNT ones in KEEP (each above 2; -1 is passed over). 0 and 1 become
 * /dev/null, so does 2 unless KEEP_STDERR and it is no terminal.
 */
void extip_detach(const int *keep, size_t keep_count, bool keep_stderr);

/*
 * Becomes USER and GROUP for good: no supplementary groups, no capabilities, no
 * way to new ones. A process that is not root keeps its user and groups. 0, or
 * -1 with errno: the process must then end.
 */
int extip_drop_privileges(uid_t user, gid_t group);

/* Has the kernel kill this process when PARENT dies, and ends it if that has
 * happened. To be called after extip_drop_privileges(), which undoes it. */
void extip_die_with(pid_t parent);

#endif
