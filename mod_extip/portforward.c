/*
 * mod_extip - one forward on the router, as everybody may know it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <stddef.h>

#include "portforward.h"

static const char *const protocol_names[] = {
  [EXTIP_PCP] = "pcp",
  [EXTIP_NATPMP] = "natpmp",
  [EXTIP_UPNP] = "upnp",
};
_Static_assert(
  sizeof(protocol_names) / sizeof(protocol_names[0]) == EXTIP_PROTOCOLS,
  "a name for each protocol");

static const char *const state_names[] = {
  [EXTIP_FORWARD_ASKED] = "asked",
  [EXTIP_FORWARD_OPEN] = "open",
  [EXTIP_FORWARD_ANOTHER] = "another port",
  [EXTIP_FORWARD_REFUSED] = "refused",
  [EXTIP_FORWARD_SILENT] = "no answer",
};
_Static_assert(
  sizeof(state_names) / sizeof(state_names[0]) == EXTIP_FORWARD_STATES,
  "a name for each state");

const char *extip_protocol_name(unsigned int protocol) {
  return protocol < EXTIP_PROTOCOLS ? protocol_names[protocol] : "?";
}

const char *extip_forward_state_name(unsigned int state) {
  return state < EXTIP_FORWARD_STATES ? state_names[state] : "?";
}
