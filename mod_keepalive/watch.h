/*
 * mod_keepalive - the watch over a silent client
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_WATCH_H
#define KEEPALIVE_WATCH_H

#include <stdbool.h>

#include "terms.h"

/* From the login on; the rest is called in between. */
void keepalive_watch_start(const struct keepalive_terms *terms);
void keepalive_watch_stop(void);

/* A transfer begins; its data pass through ProFTPD's own reads and writes, so
 * that the client is looked at often; it ends, with success or not. */
void keepalive_watch_transfer(const char *command);
void keepalive_watch_data(void);
void keepalive_watch_transfer_end(bool well);

/* Looks at the data connection alone, for what the end of the transfer says. */
void keepalive_watch_witness(void);

/* Looks at most once a second, at the time NOW. Ends the session of a client
 * that has been dead for longer than the deadline. */
void keepalive_watch_look(double now);

#endif
