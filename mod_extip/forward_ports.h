/*
 * mod_extip - which ports the router is to forward
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FORWARD_PORTS_H
#define EXTIP_FORWARD_PORTS_H

#include "plan.h"

/* Reads ExtIPGateway and ExtIPForward of the server config, and collects the
 * ports of the servers in PLAN whose engine is on: control ports, then passive
 * ones. All is in POOL. Says in the log what cannot be. */
void extip_forward_ports_read(
  pool *p, const struct extip_plan *plan, struct extip_router_task *router);

#endif
