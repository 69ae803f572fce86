/*
 * mod_natpasv - ports of each pool for a trial from outside
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_SAMPLES_H
#define NATPASV_SAMPLES_H

#include "mod_natpasv.h"

/* For each pool both ends and others by chance, all of which nobody uses at
 * the moment, and its counters: elements are struct check_pool. */
array_header *natpasv_samples(pool *p);

#endif
