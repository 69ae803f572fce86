/*
 * mod_natpasv - the configuration checked before anybody is served
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

/* A pool before it joins the others of the main server; NULL, or what is
 * wrong. */
const char *natpasv_check_new_pool(
  pool *p, server_rec *main, const struct natpasv_pool *pool);

/* Whether any server, or section of mod_ifsession in it, turns the engine
 * on. */
int natpasv_check_any_engine(void);

/* All of it, once it is read. Says what is wrong, or may become so, and the
 * remedy; -1 when it cannot work. */
int natpasv_check_configuration(void);

#endif
