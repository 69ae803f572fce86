/*
 * mod_natpasv - what of the configuration concerns the thing in front
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Collects for export.h the pools in force, the control ports and the address
 * of this server.
 */

#ifndef NATPASV_EXPORTED_H
#define NATPASV_EXPORTED_H

#include "export.h"
#include "mod_natpasv.h"

/* -1 with a reason if there is nothing to export. */
int natpasv_exported(
  pool *p, struct natpasv_export *what, char *reason, size_t reason_size);

#endif
