/*
 * mod_keepalive - what its files with ProFTPD inside share
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef MOD_KEEPALIVE_H
#define MOD_KEEPALIVE_H

#include "conf.h"

#define MOD_KEEPALIVE_VERSION "mod_keepalive/0.1"

#if PROFTPD_VERSION_NUMBER < 0x0001030800
#error "ProFTPD 1.3.8 or later required"
#endif

#define KEEPALIVE_TRACE "keepalive"

extern xaset_t *server_list;

__attribute__((visibility("default"))) extern module keepalive_module;

#endif
