/*
 * mod_natpasv - active mode: PORT and EPRT
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * ProFTPD executes PORT and EPRT. Before it does, a private address in them is
 * replaced by the one that the client has here, and what would be refused
 * without a word is refused with the remedy.
 */

#ifndef NATPASV_ACTIVE_H
#define NATPASV_ACTIVE_H

#include "count.h"
#include "rules.h"

/* What applies to this session. */
struct natpasv_active {
  enum natpasv_active_mode mode;
  struct natpasv_row *row; /* where it is counted */
};

/* To be called before PORT or EPRT: DECLINED for ProFTPD to go on, with another
 * address if need be, or ERROR. */
modret_t *natpasv_active_command(
  cmd_rec *cmd, const struct natpasv_active *active);

/* To be called before a command that opens a data connection, if it is to be an
 * active one. */
modret_t *natpasv_active_transfer(
  cmd_rec *cmd, const struct natpasv_active *active);

/* To be called after such a command failed: adds the remedy to the reply. */
void natpasv_active_failed(cmd_rec *cmd, const struct natpasv_active *active);

#endif
