/*
 * mod_natpasv - the table of this daemon
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_SHARED_H
#define NATPASV_SHARED_H

#include "mod_natpasv.h"
#include "table.h"

/* The memory of the daemon, which sessions inherit by fork, or the file of
 * NATPasvTable. NULL if there is none, after a line in the log. */
struct natpasv_table *natpasv_shared(void);

/* Where it is, for people. */
const char *natpasv_shared_place(void);

/* Whether the configured one can be: inetd's sessions have no daemon. */
bool natpasv_shared_is_possible(void);

/* The daemon has started: opens or creates the table if any engine is on. */
void natpasv_shared_begin(bool engine);

/* The daemon continues with a configuration that may name another
 * one. */
void natpasv_shared_reload(void);

/* A session starts: it uses the daemon's table, or opens the file if there is
 * no daemon. */
void natpasv_shared_join(void);

/* The module is unloaded. */
void natpasv_shared_stop(void);

#endif
