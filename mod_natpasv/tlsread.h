/*
 * mod_natpasv - reads bytes that came in TLS
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_TLSREAD_H
#define NATPASV_TLSREAD_H

#include <sys/types.h>

struct ssl_st; /* OpenSSL's SSL */

/* Reads what the peer on fd has sent, without waiting: up to size bytes, 0 if
 * there are none. raw counts the bytes on the wire. */
size_t natpasv_tlsread(
  struct ssl_st *ssl, int fd, char *text, size_t size, off_t *raw);

#endif
