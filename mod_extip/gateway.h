/*
 * mod_extip - which router this host's packets go through
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_GATEWAY_H
#define EXTIP_GATEWAY_H

#include <netinet/in.h>
#include <stdbool.h>

/* There is one for the whole process. */

/* ROUTER is ExtIPGateway; INADDR_ANY: that of the default route, which is also
 * so before any call. */
void extip_gateway_configure(struct in_addr router);

/* Its address; INADDR_ANY: there is none. */
struct in_addr extip_gateway(void);

/* To be called when routes have changed. True if it is another one now. */
bool extip_gateway_follow(void);

#endif
