/*
 * mod_keepalive - ftpdctl keepalive status
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_FTPDCTL_H
#define KEEPALIVE_FTPDCTL_H

#include "mod_keepalive.h"

/* To be called at init, and again at core.restart, because access lists belong
 * to one configuration. */
void keepalive_ftpdctl_start(void);
void keepalive_ftpdctl_stop(void);

/* Reads the arguments of KeepaliveControlsACLs. Returns 0, or -1 with a
 * reason. */
int keepalive_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size);

#endif
