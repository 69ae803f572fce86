/*
 * mod_extip - the helper's side of extip-upnp
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_UPNP_CHILD_H
#define EXTIP_UPNP_CHILD_H

#include <netinet/in.h>

#include "upnp.h"

/* A process that speaks UPnP with one router, see extip-upnp.c. */
struct extip_upnp_child;

/* Starts it for the router at GATEWAY. NULL with errno; ENOENT: this build has
 * no extip-upnp. */
struct extip_upnp_child *extip_upnp_child_start(struct in_addr gateway);

/* Readable when an answer has come or the process has ended. */
int extip_upnp_child_fd(const struct extip_upnp_child *child);

/* Asks. Answers come in the order of the requests. Returns 0, or -1 with errno;
 * EAGAIN: too many are on their way. */
int extip_upnp_child_ask(
  struct extip_upnp_child *child, const struct extip_upnp_line *request);

/* Returns 1 with the next ANSWER, 0 if there is none yet, or -1 when the
 * process has ended, because an answer took too long or because it failed: then
 * stop it, and start another one. Never waits. */
int extip_upnp_child_hear(
  struct extip_upnp_child *child, struct extip_upnp_line *answer);

/* Ends it. CHILD may be NULL. */
void extip_upnp_child_stop(struct extip_upnp_child *child);

#endif
