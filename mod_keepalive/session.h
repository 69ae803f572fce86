/*
 * mod_keepalive - the control connection of one session, kept alive
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
#include "table.h"

/* Reads what the server of this session configures; after a HOST again. */
void keepalive_session_start(void);

/* Everything that was taken or started goes back. */
void keepalive_session_undo(void);

/* A command begins (PRE_CMD) and ends (LOG_CMD, LOG_CMD_ERR). */
void keepalive_session_command(const cmd_rec *cmd);
void keepalive_session_command_end(const cmd_rec *cmd);

/* The table beside the scoreboard.  Returns NULL with errno. */
struct keepalive_table *keepalive_session_open_table(void);

#endif
