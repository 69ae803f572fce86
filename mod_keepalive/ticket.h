/*
 * mod_keepalive - method tls: a NewSessionTicket message
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_TICKET_H
#define KEEPALIVE_TICKET_H

#include <stdbool.h>
#include <stddef.h>

#include "result.h"

struct ssl_st; /* OpenSSL's SSL */

/* To be called in the daemon, before mod_tls makes its contexts: from now on,
 * each of them is known until its end. The stop is for the unloading of the
 * module. */
void keepalive_ticket_start(void);
void keepalive_ticket_stop(void);

/* Whether NewSessionTicket (RFC 8446 4.6.1) is possible on this connection. */
bool keepalive_ticket_possible(struct ssl_st *ssl);

/* The protocol of a connection as text; SSL may be NULL. */
const char *keepalive_ticket_protocol(struct ssl_st *ssl);

/* Sends one ticket, and adds the bytes that went to the socket to *WRITTEN. */
enum keepalive_result keepalive_ticket_send(
  struct ssl_st *ssl, size_t *written);

/* A client may answer a KeyUpdate while data flow. ProFTPD would take that for
 * the beginning of a command and wait for its rest, so it is read here, before
 * ProFTPD looks for commands. Nothing is owed any more when a transfer begins.
 */
bool keepalive_ticket_is_answer_owed(void);
void keepalive_ticket_take_answer(struct ssl_st *ssl);
void keepalive_ticket_forget_answer(void);

#endif
