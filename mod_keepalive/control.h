/*
 * mod_keepalive - writing on the control connection while data flow
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_CONTROL_H
#define KEEPALIVE_CONTROL_H

#include "mod_keepalive.h"

#include <stdatomic.h>

#include "method.h"
#include "rule.h"

/* The socket of the control connection; -1: none. */
int keepalive_control_fd(void);

/* Can the method tls be used now; and what TLS there is, in words. */
int keepalive_control_has_tickets(void);
const char *keepalive_control_tls_version(void);

/* From now on writes on the control connection are seen; those that belong to
 * this command may become part of its open reply (NULL: to none).  A reply that
 * has to be broken off is counted, unless the counter is NULL.
 */
void keepalive_control_listen(const cmd_rec *cmd, _Atomic uint64_t *broken);

/* The undo of listen; an open reply is forgotten. */
void keepalive_control_stop(void);

/* A command begins, perhaps within the one that is listened for. */
void keepalive_control_command(const cmd_rec *cmd, int within);

/* Writes one keepalive by this method: tls, reply or telnet. */
enum keepalive_result keepalive_control_send(enum keepalive_method method);

/* See keepalive_history_survived() and keepalive_history_end(). */
void keepalive_control_survived(double seconds);
void keepalive_control_history(
  double silent, double probe, double *idle, double *survived);

#endif
