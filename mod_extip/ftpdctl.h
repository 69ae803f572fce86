/*
 * mod_extip - ftpdctl extip status, status json and refresh
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FTPDCTL_H
#define EXTIP_FTPDCTL_H

#include "plan.h"

/* Registers the actions, and resets the access lists of ExtIPControlsACLs:
 * without them only root may use the actions. */
void extip_ftpdctl_start(void);
void extip_ftpdctl_stop(void);

/* What the actions report on. Its records are in the table of shared.h. It
 * belongs to the caller; NULL: nothing. */
void extip_ftpdctl_show(const struct extip_plan *plan);

/* ExtIPControlsACLs. 0, or -1 with a sentence in REASON. */
int extip_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size);

#endif
