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

#include <string.h>

#include "printable.h"

size_t extip_printable(char *buf, size_t bufsz, const void *data, size_t len) {
  const unsigned char *bytes = data;
  size_t count = len < bufsz ? len : bufsz - 1;

  for (size_t i = 0; i < count; i++) {
    buf[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char) bytes[i] : '?';
  }
  if (count < len && count >= 3) {
    memset(buf + count - 3, '.', 3);
  }
  buf[count] = '\0';
  return count;
}
