/*
 * mod_extip - text from outside, made fit for logs
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_PRINTABLE_H
#define EXTIP_PRINTABLE_H

#include <stddef.h>

/*
 * Copies the LEN bytes at DATA into BUF as printable ASCII that ends in NUL:
 * any other byte becomes "?", and what does not fit is cut with "..." at the
 * end. BUFSZ is at least 1. Returns the length of the result.
 */
size_t extip_printable(char *buf, size_t bufsz, const void *data, size_t len);

#endif
