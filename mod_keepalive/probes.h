/*
 * mod_keepalive - the probes on the control connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_PROBES_H
#define KEEPALIVE_PROBES_H

#include <stdbool.h>

/* The former options are saved, and restored by the stop. Returns -1 with
 * errno. */
int keepalive_probes_start(void);
void keepalive_probes_stop(void);

/* Between commands: a probe is sent after INTERVAL seconds, and TCP gives up a
 * client that does not answer for DEADLINE seconds (0: about a quarter of an
 * hour). */
void keepalive_probes_idle(unsigned int interval, unsigned int deadline);

/* During a transfer, TCP must not end the connection before the deadline,
 * because the data may still flow. */
void keepalive_probes_transfer(unsigned int interval, unsigned int deadline);

/* A probe is sent after STEP seconds, and one each second while there is no
 * answer. */
void keepalive_probes_measure(unsigned int step);

/* No more probes, with which TCP would end a connection that cannot be
 * saved. */
void keepalive_probes_pause(void);

/* Sends the same probes on the data connection, which ProFTPD closes itself. */
void keepalive_probes_data(
  int fd, unsigned int interval, unsigned int deadline);

#endif
