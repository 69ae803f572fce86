/*
 * mod_keepalive - what the files that use ProFTPD share
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

#include <stdbool.h>

#include "common_compat.h"

#define MOD_KEEPALIVE_VERSION "mod_keepalive/0.1"

#define KEEPALIVE_TRACE "keepalive"

/* ProFTPD has no header for it. The first of them is the server config. */
extern xaset_t *server_list;

__attribute__((visibility("default"))) extern module keepalive_module;

#endif
