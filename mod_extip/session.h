/*
 * mod_extip - a session: which address it announces to which client
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

#define EXTIP_ENV_ADDRESS "EXTIP_ADDRESS" /* environment, for mod_exec */

/* Applies the configuration of main_server to the session, at its start and
 * again after HOST. The plan belongs to the caller and must stay valid. */
void extip_session_start(const struct extip_plan *plan);

/*
 * The address to announce for main_server, in ADDR. 0, or -1 with errno ENOENT:
 * engine off, nothing known yet, or not confirmed within ExtIPMaxAge. If it
 * differs from the last one, note, environment and event are updated.
 */
int extip_session_address(struct in_addr *addr);

/* A client could not reach ADDR. This is evidence against the external address
 * only if that was announced. */
void extip_session_doubt(struct in_addr addr);

/* The same, if it is not known which address was announced: it may be evidence
 * against the forwards on the router. */
void extip_session_doubt_forwards(void);

/* At PRE_CMD PASV: until CMD's pool is destroyed, ProFTPD's own PASV handler
 * finds the address in the MasqueradeAddress directives. Does nothing if the
 * engine is off or mod_natpasv answers. */
void extip_session_prepare_pasv(cmd_rec *cmd);

/* PRE_CMD PORT and EPRT: the same for these, when an address is known, whoever
 * else answers PASV. */
void extip_session_prepare_port(cmd_rec *cmd);

/* ExtIPOptions AnnounceToAll of main_server, with the engine on. */
bool extip_session_announces_to_all(void);

/* All forwards, for HOOK extip_forward; NULL if no passive ports are to
 * be forwarded. */
const struct forwards *extip_session_forwards(void);
void extip_session_forwards_free(void);

/* The forward of a port, as text, from P; NULL if it is not to be forwarded. */
const struct forward *extip_session_forward(pool *p, const char *port);

/* An IPv4 address as ProFTPD's own, from P; NULL with errno. */
const pr_netaddr_t *extip_netaddr(pool *p, struct in_addr addr);

#endif
