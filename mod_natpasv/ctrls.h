/*
 * mod_natpasv - ftpdctl natpasv
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_CTRLS_H
#define NATPASV_CTRLS_H

#include "mod_natpasv.h"

void natpasv_ctrls_begin(void);
void natpasv_ctrls_end(void);

/* ACLs are of one configuration. */
void natpasv_ctrls_restart(void);

/* The arguments of NATPasvControlsACLs; NULL, or what is wrong with them. */
const char *natpasv_ctrls_set_acls(cmd_rec *cmd);

#endif
