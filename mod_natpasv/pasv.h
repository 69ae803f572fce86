/*
 * mod_natpasv - PASV and EPSV of a session
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Answers PASV and EPSV: chooses the rule for this client, opens a listener on
 * a port of its pool, and replies. Commands that ProFTPD itself would refuse
 * are left to ProFTPD.
 */

#ifndef NATPASV_PASV_H
#define NATPASV_PASV_H

#include "mod_natpasv.h"

/* USER or PASS: opens what is needed later, because the login may change the
 * root directory, and not before the greeting, for which a client waits. */
modret_t *natpasv_login(cmd_rec *cmd);

modret_t *natpasv_pasv(cmd_rec *cmd);
modret_t *natpasv_epsv(cmd_rec *cmd);

/* PRE_CMD PORT and EPRT. */
modret_t *natpasv_port(cmd_rec *cmd);

/* To be called before a command that opens a data connection, and after one
 * that failed. */
modret_t *natpasv_transfer(cmd_rec *cmd);
modret_t *natpasv_failed(cmd_rec *cmd);

#endif
