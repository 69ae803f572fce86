/*
 * mod_natpasv - numbers that nobody can guess
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_RANDOM_H
#define NATPASV_RANDOM_H

#include <stdint.h>

/* A number from 0 to below - 1, each equally likely, from the kernel's
 * cryptographic generator. -1 with errno from getentropy(3). A forked process
 * has numbers of its own. */
int natpasv_random(uint32_t below, uint32_t *number);

#endif
