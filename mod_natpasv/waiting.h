/*
 * mod_natpasv - a session that waits for its data connection
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * From the command for a transfer until a data connection is made, ProFTPD
 * waits in accept(2) and reads nothing. This part watches the client meanwhile:
 * the wait ends if the client has left, and a listener that excludes the client
 * is opened.
 */

#ifndef NATPASV_WAITING_H
#define NATPASV_WAITING_H

#include "table.h"

/* To be called before a command that opens a data connection, if there is a
 * listener. */
void natpasv_waiting_start(struct natpasv_row *row);

/* The listener is closed, or the command is done. */
void natpasv_waiting_stop(void);

#endif
