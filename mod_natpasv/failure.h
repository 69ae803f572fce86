/*
 * mod_natpasv - why a data connection could not be opened
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_FAILURE_H
#define NATPASV_FAILURE_H

#include "mod_natpasv.h"

/* To be called after a command failed: the text of the 425 reply that ProFTPD
 * is about to send; NULL if it is another one. */
const char *natpasv_failure(void);

/* Has another text sent in its place. */
void natpasv_failure_replace(const char *text);

/* The first of these errors that the text names, 0 if it names none. ProFTPD
 * keeps the error itself nowhere. */
int natpasv_failure_errno(const char *text, const int *errors, size_t count);

#endif
