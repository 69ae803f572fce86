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

#ifndef EXTIP_CTRL_H
#define EXTIP_CTRL_H

#include "plan.h"
#include "table.h"

/* Registers the actions, and forgets what ExtIPControlsACLs said: without it
 * only root may use them. */
void extip_ctrl_start(void);
void extip_ctrl_stop(void);

/* What they report on; the caller's, NULL for nothing. */
void extip_ctrl_show(
  const struct extip_plan *plan, const struct extip_table *table);

/* ExtIPControlsACLs. NULL, or what is wrong with it, from P. */
const char *extip_ctrl_set_acl(pool *p, const char *actions, const char *allow,
  const char *type, char *list);

#endif
