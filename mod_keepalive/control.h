/*
 * mod_keepalive - writes on the control connection during a transfer
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_CONTROL_H
#define KEEPALIVE_CONTROL_H

#include "mod_keepalive.h"

#include <stdatomic.h>

#include "result.h"
#include "rule.h"

/* The socket of the control connection; -1: none. */
int keepalive_control_fd(void);

/* Whether the method tls can be used now; and the version of TLS as text. */
bool keepalive_control_has_tickets(void);
const char *keepalive_control_protocol(void);

/* Watches writes on the control connection from now on. Those that belong to
 * this command may become part of its open reply. If a reply cannot be
 * completed, BROKEN is incremented unless it is NULL. */
void keepalive_control_start(const cmd_rec *cmd, _Atomic uint64_t *broken);

/* Forgets an open reply. */
void keepalive_control_stop(void);

/* A command begins, perhaps within another one. */
void keepalive_control_command(const cmd_rec *cmd, bool within);

/* To be called before ProFTPD looks for commands during a transfer; as long as
 * it returns true, each time. */
bool keepalive_control_pass(void);

/* Writes one keepalive by this method: tls, reply or telnet. */
enum keepalive_result keepalive_control_send(enum keepalive_method method);

#endif
