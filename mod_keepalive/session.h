/*
 * mod_keepalive - the life of a session
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_SESSION_H
#define KEEPALIVE_SESSION_H

#include "mod_keepalive.h"

/* Stops and restores everything that was started or changed. */
void keepalive_session_stop(void);

/* A command begins (PRE_CMD), and ends with success (LOG_CMD) or failure
 * (LOG_CMD_ERR). */
void keepalive_session_command(const cmd_rec *cmd);
void keepalive_session_command_end(const cmd_rec *cmd, bool well);

#endif
