/*
 * mod_extip - one line about what is in force
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_SUMMARY_H
#define EXTIP_SUMMARY_H

#include "plan.h"

/* Says in the system log, when the daemon has started or read another
 * configuration, for which servers sources are asked, how, and what is known.
 */
void extip_summary_say(
  const struct extip_plan *plan, const struct extip_router_task *router);

#endif
