/*
 * mod_keepalive - ftpdctl keepalive status
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_CTRLS_H
#define KEEPALIVE_CTRLS_H

#include "mod_keepalive.h"

/* Registers `ftpdctl keepalive' and its ACLs; both end together. */
void keepalive_ctrls_start(void);
void keepalive_ctrls_stop(void);

/* The arguments of KeepaliveControlsACLs; NULL, or what is wrong with them. */
const char *keepalive_ctrls_set_acls(cmd_rec *cmd);

#endif
