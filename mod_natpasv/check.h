/*
 * mod_natpasv - checks the configuration before the first client is served
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_CHECK_H
#define NATPASV_CHECK_H

#include "pools.h"

/* Checks a new pool against those of the main server. Returns 0, or -1 with a
 * reason. */
int natpasv_check_new_pool(pool *p, server_rec *main,
  const struct natpasv_pool *pool, char *reason, size_t reason_size);

/* Checks the whole configuration once it is read. Logs errors and warnings,
 * each with its remedy. Returns -1 if there is an error. */
int natpasv_check_configuration(void);

#endif
