/*
 * mod_keepalive - keepalives during a transfer
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_TRANSFER_H
#define KEEPALIVE_TRANSFER_H

#include "mod_keepalive.h"
#include "terms.h"

/* From the login on. */
void keepalive_transfer_start(const struct keepalive_terms *terms);
void keepalive_transfer_stop(void);

/* Sets the notes for LogFormat in a session without keepalives. */
void keepalive_transfer_none(void);

/* A command begins (PRE_CMD), and ends with success (LOG_CMD) or failure
 * (LOG_CMD_ERR). */
void keepalive_transfer_command(const cmd_rec *cmd);
void keepalive_transfer_command_end(const cmd_rec *cmd, bool well);

#endif
