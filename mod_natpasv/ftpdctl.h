/*
 * mod_natpasv - ftpdctl natpasv
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_FTPDCTL_H
#define NATPASV_FTPDCTL_H

#include "mod_natpasv.h"

/* To be called at init, and again at core.restart, because access lists belong
 * to one configuration. */
void natpasv_ftpdctl_start(void);
void natpasv_ftpdctl_stop(void);

/* Reads the arguments of NATPasvControlsACLs. Returns 0, or -1 with a
 * reason. */
int natpasv_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size);

#endif
