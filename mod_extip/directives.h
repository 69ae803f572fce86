/*
 * mod_extip - its directives
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_DIRECTIVES_H
#define EXTIP_DIRECTIVES_H

#include "conf.h"

extern conftable extip_conftab[];

/* Releases what the directives hold outside of ProFTPD's pools. */
void extip_directives_free(void);

#endif
