/*
 * mod_extip - finds one string in a JSON text
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_JSON_H
#define EXTIP_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Room for any string of a text of LEN bytes, decoded, with its NUL. */
#define EXTIP_JSON_ROOM(len) ((len) + 1)

/* True when POINTER is a JSON pointer in its string form (RFC 6901 3). */
bool extip_json_pointer_valid(const char *pointer);

/*
 * Reads the LEN bytes at TEXT, which must be one JSON text (RFC 8259) of at
 * most 32 levels from first to last byte, and copies the string that POINTER
 * names, decoded and ended by NUL, into OUT. OUT has EXTIP_JSON_ROOM(len)
 * bytes. Returns the string's length, or -1 with *REASON a constant: not JSON,
 * nothing there, not a string, or a name on the way that appears twice.
 */
long extip_json_string(const char *text, size_t len, const char *pointer,
  char *out, const char **reason);

#endif
