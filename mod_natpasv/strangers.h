/*
 * mod_natpasv - strangers turned away after they connected
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Where the kernel does not keep strangers from a listener, their connections
 * reach ProFTPD, which would serve the first that comes or give up. Here they
 * are closed, and the listener stays open.
 */

#ifndef NATPASV_STRANGERS_H
#define NATPASV_STRANGERS_H

#include "table.h"

/* For as long as ProFTPD may accept on the listener opened last, if that has to
 * be watched. */
void natpasv_strangers_start(struct natpasv_row *row);

void natpasv_strangers_stop(void);

#endif
