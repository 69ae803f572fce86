/*
 * mod_extip - what its files with ProFTPD inside have in common
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef MOD_EXTIP_H
#define MOD_EXTIP_H

#include "conf.h"

#define MOD_EXTIP_VERSION "mod_extip/0.1"

extern module extip_module;

#endif
