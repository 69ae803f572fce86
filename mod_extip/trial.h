/*
 * mod_extip - has a probe try ports of an address, and prints what it found
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The part of extip-helper that 'ftpdctl extip check' starts, and a person:
 * with the credentials read, it gives up its privileges, and then waits for
 * the network as it has to; who started it ends it.
 *
 * It prints a line for each port:
 *
 *   61000 reached        the probe has connected to it
 *   61001 closed <why>   it could not
 *   61002 untold <why>   the probe did not tell
 *
 * and before them what it has learned: "from <address>" is where the probe's
 * connections come from, "seen <address>" where it sees this host.
 */

#ifndef EXTIP_TRIAL_H
#define EXTIP_TRIAL_H

#include <netinet/in.h>

#include "probe.h"

#define EXTIP_TRIAL_PORTS 32

struct extip_trial {
  struct extip_probe probe;
  char user[512], password[512];
  struct in_addr addr; /* to be tried */
  uint16_t ports[EXTIP_TRIAL_PORTS];
  size_t count;
};

/* Print the outcomes. Return -1 with a reason if the probe cannot be asked. */
int extip_trial_turn(
  struct extip_trial *trial, char *reason, size_t reason_size);
int extip_trial_http(
  struct extip_trial *trial, char *reason, size_t reason_size);

/* extip-helper probe ...; returns its exit status. */
int extip_trial_main(int argc, char **argv);

#endif
