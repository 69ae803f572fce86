/*
 * mod_extip - durations as ProFTPD takes them, read strictly
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
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "duration.h"

static const struct {
  const char *suffix;
  unsigned seconds;
} units[] = {
  { "", 1 },
  { "s", 1 },
  { "sec", 1 },
  { "m", 60 },
  { "min", 60 },
  { "h", 3600 },
  { "hr", 3600 },
};

static int is_clock(const char *text) {
  static const char form[] = "00:00:00";

  for (size_t i = 0; i < sizeof(form); i++) {
    if (form[i] == '0' ? !isdigit((unsigned char) text[i])
                       : text[i] != form[i]) {
      return 0;
    }
  }

  return 1;
}

static unsigned two_digits(const char *text) {
  return (unsigned) (text[0] - '0') * 10 + (unsigned) (text[1] - '0');
}

int extip_duration_parse(const char *text, unsigned *seconds) {
  unsigned long number = 0;
  const char *end = text;

  if (is_clock(text)) {
    *seconds = two_digits(text) * 3600 + two_digits(text + 3) * 60 +
               two_digits(text + 6);
    return 0;
  }

  while (isdigit((unsigned char) *end) && number <= EXTIP_DURATION_MAX) {
    number = number * 10 + (unsigned long) (*end++ - '0');
  }

  if (number > EXTIP_DURATION_MAX) {
    errno = ERANGE;
    return -1;
  }

  for (size_t i = 0; end > text && i < sizeof(units) / sizeof(units[0]); i++) {
    if (strcasecmp(end, units[i].suffix) == 0) {
      if (number * units[i].seconds > EXTIP_DURATION_MAX) {
        errno = ERANGE;
        return -1;
      }

      *seconds = (unsigned) number * units[i].seconds;
      return 0;
    }
  }

  errno = EINVAL;
  return -1;
}
