/*
 * mod_natpasv - what the configuration says about a whole server
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_CONFIG_H
#define NATPASV_CONFIG_H

#include "mod_natpasv.h"

/* Whether a server's engine is on. */
bool natpasv_config_engine(xaset_t *conf);

/* Whether a server, or a section of mod_ifsession in it, turns it on. */
bool natpasv_config_any_on(xaset_t *conf);

/* Whether any server does. */
bool natpasv_config_any_engine(void);

/* Whether something in this server can turn it on. */
bool natpasv_config_may_engage(xaset_t *conf);

/* Whether a directive of another module, on or off, is on in a server. */
bool natpasv_config_is_on(xaset_t *conf, const char *directive);

/* Whether mod_proxy_protocol takes the client's address from a balancer. */
bool natpasv_config_behind_balancer(xaset_t *conf);

/* The value of a directive of the server config, or preset. */
const char *natpasv_config_param(const char *directive, const char *preset);

#endif
