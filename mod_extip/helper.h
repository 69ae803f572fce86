/*
 * mod_extip - the process that asks, seen from the daemon and its sessions
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_HELPER_H
#define EXTIP_HELPER_H

#include "plan.h"
#include "table.h"

/*
 * Forks the helper for what PLAN asks, with TABLE for its answers; both are the
 * caller's and stay until extip_helper_stop(). It is started again, with
 * back-off, when it dies. Only the daemon may call this, with effective root
 * privileges or without.
 */
void extip_helper_start(const struct extip_plan *plan,
  const struct extip_table *table, enum extip_start start);

/* Ends it and gives back all that belongs to it, but for the two descriptors
 * with which sessions that go on wake the next one. */
void extip_helper_stop(void);

/* In the daemon, on SIGUSR2, which comes when the helper has adopted an address
 * or died: passes on the addresses and sees to a new helper. */
void extip_helper_news(void (*changed)(const char *addr));

/* Why a round is wanted before its time. */
enum extip_wake { EXTIP_WAKE_OPERATOR = 'o', EXTIP_WAKE_UNREACHED = 'u' };

/* Asks the helper for an early round; from the daemon or a session. 0, or -1
 * when there is no helper to ask. */
int extip_helper_wake(enum extip_wake why);

/* In a session: lets go of what only the daemon needs. */
void extip_helper_leave(void);

/* Without a daemon (inetd): a process of its own runs the rounds that are due,
 * once, and the caller goes on at once. */
void extip_helper_once(
  const struct extip_plan *plan, const struct extip_table *table);

#endif
