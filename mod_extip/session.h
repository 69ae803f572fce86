/*
 * mod_extip - a session: which address it announces, and to whom it tells it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_SESSION_H
#define EXTIP_SESSION_H

#include "plan.h"
#include "table.h"

/* Puts the session under the configuration of main_server: at its start, and
 * again after HOST. Both arguments stay the caller's and must live on. */
void extip_session_start(
  const struct extip_plan *plan, const struct extip_table *table);

/*
 * The address to announce for main_server, in ADDR. 0, or -1 with errno ENOENT:
 * engine off, nothing known yet, or not confirmed within ExtIPMaxAge. An
 * address other than the last one is passed on: session note, environment,
 * event.
 */
int extip_session_address(struct in_addr *addr);

/* PRE_CMD PASV: until CMD's pool is destroyed, ProFTPD's own PASV handler finds
 * the address in the MasqueradeAddress directives. Left alone when the engine
 * is off or mod_natpasv answers. */
void extip_session_prepare_pasv(cmd_rec *cmd);

/* An IPv4 address as ProFTPD's own, from P; NULL with errno. */
const pr_netaddr_t *extip_netaddr(pool *p, struct in_addr addr);

#endif
