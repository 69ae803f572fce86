/*
 * mod_keepalive - the methods that write on the control connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_METHOD_H
#define KEEPALIVE_METHOD_H

/* What became of one keepalive. */
enum keepalive_result {
  KEEPALIVE_SENT,
  KEEPALIVE_BUSY,      /* a reply is being written at this moment */
  KEEPALIVE_FULL,      /* the socket takes no more: the peer does not read */
  KEEPALIVE_HANDSHAKE, /* TLS is in a handshake of its own */
  KEEPALIVE_FAILED,    /* the write failed */
  KEEPALIVE_RESULTS
};

/* Words for a log line: why a keepalive was not sent. */
const char *keepalive_result_reason(enum keepalive_result result);

struct ssl_st; /* OpenSSL's SSL */

/* NewSessionTicket, RFC 8446 4.6.1: is it possible on this connection? */
int keepalive_tls_possible(struct ssl_st *ssl);

/* The protocol of a connection in words; ssl may be NULL. */
const char *keepalive_tls_version(struct ssl_st *ssl);

/* Sends one; *written grows by the bytes that went to the socket. */
enum keepalive_result keepalive_tls_send(
  struct ssl_st *ssl, unsigned long *written);

#endif
