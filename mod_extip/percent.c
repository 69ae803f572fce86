/*
 * mod_extip - percent-decoding of parts of a URI
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "percent.h"

static int hex_digit(char c) {
  const char *digits = "0123456789abcdef";
  const char *found = c != '\0' ? strchr(digits, tolower(c)) : NULL;

  return found != NULL ? (int) (found - digits) : -1;
}

char *extip_percent_decode(const char *text, size_t len) {
  char *out = malloc(len + 1);
  size_t used = 0;

  if (out == NULL) {
    return NULL;
  }
  for (size_t i = 0; i < len; i++) {
    int byte = (unsigned char) text[i];

    if (byte == '%') {
      int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
      int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

      byte = low >= 0 ? high << 4 | low : 0;
      i += 2;
    }
    if (byte < 0x20 || byte == 0x7f) {
      free(out);
      errno = EINVAL;
      return NULL;
    }
    out[used++] = (char) byte;
  }
  out[used] = '\0';
  return out;
}
