/*
 * mod_natpasv - one line about what is in force
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_SUMMARY_H
#define NATPASV_SUMMARY_H

#include "mod_natpasv.h"

/* Says in the system log, when the daemon has started or read another
 * configuration, in how many servers the engine is on, and with which ports. */
void natpasv_summary_say(void);

#endif
