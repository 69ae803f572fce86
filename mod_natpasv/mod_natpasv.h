/*
 * mod_natpasv - what its parts share
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef MOD_NATPASV_H
#define MOD_NATPASV_H

#include "conf.h"
#include "privs.h"

#include "lease.h"

#define MOD_NATPASV_VERSION "mod_natpasv/0.1"

#if PROFTPD_VERSION_NUMBER < 0x0001030802
#error "ProFTPD 1.3.8 or later required"
#endif

extern module natpasv_module;
extern xaset_t *server_list;

/* To NATPasvLog; to the system log with that priority if there is none. */
void natpasv_log(int priority, const char *fmt, ...)
  __attribute__((format(printf, 2, 3)));

/* Where the table is. */
const char *natpasv_table_path(void);

/* The table, opened as root for somebody outside a session; 0, or -1 with
 * errno. */
int natpasv_table_open_as_root(struct natpasv_table *table);

#endif
