/*
 * mod_natpasv - unread commands of a client
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "pending.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Bytes from here on belong to Telnet; no command begins with one. */
#define TELNET 0xf0

static bool is_command(const char *line, size_t size, const char *command) {
  return size > 4 && strncasecmp(line, command, 4) == 0 &&
         (line[4] == '\r' || line[4] == '\n');
}

static enum natpasv_pending kind_of(const char *line, size_t size) {
  if (is_command(line, size, "ABOR")) {
    return NATPASV_PENDING_ABOR;
  }
  if (is_command(line, size, "QUIT")) {
    return NATPASV_PENDING_QUIT;
  }
  return is_command(line, size, "NOOP") ? NATPASV_PENDING_NONE
                                        : NATPASV_PENDING_OTHER;
}

enum natpasv_pending natpasv_pending_first(const char *lines, size_t size) {
  const char *line = lines, *end = lines + size;

  while (line < end) {
    const char *next;
    enum natpasv_pending kind;

    if ((unsigned char) *line >= TELNET) {
      line++;
      continue;
    }

    next = memchr(line, '\n', (size_t) (end - line));
    if (next == NULL) {
      return NATPASV_PENDING_NONE;
    }

    kind = kind_of(line, (size_t) (end - line));
    if (kind != NATPASV_PENDING_NONE) {
      return kind;
    }
    line = next + 1;
  }
  return NATPASV_PENDING_NONE;
}
