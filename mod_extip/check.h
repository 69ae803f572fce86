/*
 * mod_extip - ftpdctl extip check: is this server reachable as it says
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_CHECK_H
#define EXTIP_CHECK_H

#include "common_compat.h"
#include "plan.h"

#if defined(PR_USE_CTRLS)

/* Starts a process that has the ports tried from outside and answers the
 * client of CTRL when that is over; the daemon goes on at once. Returns a
 * status of ftpdctl: with a response if it was not started. */
int extip_check_start(pr_ctrls_t *ctrl, const struct extip_plan *plan);

#endif

#endif
