/*
 * mod_extip - what the daemon shares with its sessions, and keeps over a reload
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_SHARED_H
#define EXTIP_SHARED_H

#include "common_local.h"
#include "forward_table.h"
#include "task.h"

/*
 * In the daemon: creates the memory, or finds it again after a reload; EMPTY
 * tells which. With inetd there is no daemon, and a session creates its own.
 * Returns 0, or -1 with errno.
 */
int extip_shared_make(bool *empty);

/* Fills an empty table from the file at PATH. Faults of the file are logged by
 * the helper, which writes it. */
void extip_shared_load(const char *path);

/* The table for writing, in the daemon; NULL if there is none. */
struct extip_table *extip_shared_table(void);

/* The table for reading, in the daemon and its sessions; NULL if there is
 * none. */
const struct extip_table *extip_shared_view(void);

/* The forwards in the same way. */
struct extip_forward_table *extip_shared_forwards(void);
const struct extip_forward_table *extip_shared_forwards_view(void);

/* The descriptor on which the helper is woken; -1 if it cannot be. */
int extip_shared_wake_fd(void);

/* Asks the helper for an early round, from the daemon or a session. Returns 0,
 * or -1 if this is not possible. */
int extip_shared_wake(const struct extip_wake *wake);

/* What the daemon and its sessions count of local clients; NULL if they
 * cannot. */
struct local_run *extip_shared_run(void);

/* In a session: from now on it can only read the table, wake the helper and
 * count. */
void extip_shared_leave(void);

/* The daemon ends. */
void extip_shared_free(void);

#endif
