/*
 * mod_natpasv - what all parts of the module share
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

#include <stdbool.h>

#define MOD_NATPASV_VERSION "mod_natpasv/0.1"

#define NATPASV_TRACE "natpasv"

/* ProFTPD has no header for it. The first of them is the server config. */
extern xaset_t *server_list;

extern module natpasv_module;

#endif
