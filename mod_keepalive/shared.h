/*
 * mod_keepalive - the memory that a daemon and its sessions share
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_SHARED_H
#define KEEPALIVE_SHARED_H

#include "mod_keepalive.h"
#include "table.h"

/* In the daemon: creates the table, or finds it again after a reload. */
void keepalive_shared_start(void);

/* NULL if there is none. */
struct keepalive_table *keepalive_shared_table(void);

#endif
