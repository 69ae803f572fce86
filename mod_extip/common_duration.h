/*
 * common_duration.h - durations as ProFTPD takes them, read strictly
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Needs no ProFTPD. */

#ifndef COMMON_DURATION_H
#define COMMON_DURATION_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static inline bool duration_is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* hh:mm:ss, two digits each, minutes and seconds below 60. */
static inline bool duration_read_clock(
  const char *text, unsigned long *seconds) {
  static const char form[] = "00:00:00";
  unsigned long part[3] = { 0, 0, 0 };

  for (size_t i = 0; i < sizeof(form); i++) {
    if (form[i] != '0') {
      if (text[i] != form[i]) {
        return false;
      }
    } else if (duration_is_digit(text[i])) {
      part[i / 3] = part[i / 3] * 10 + (unsigned long) (text[i] - '0');
    } else {
      return false;
    }
  }

  *seconds = part[0] * 3600 + part[1] * 60 + part[2];
  return part[1] < 60 && part[2] < 60;
}

/* A number and its unit. A value above MAX is read as MAX + 1. */
static inline bool duration_read_number(
  const char *text, unsigned long max, unsigned long *seconds) {
  static const struct {
    const char *name;
    unsigned long seconds;
  } units[] = { { "", 1 }, { "s", 1 }, { "sec", 1 }, { "m", 60 }, { "min", 60 },
    { "h", 3600 }, { "hr", 3600 } };
  const char *end = text;

  for (*seconds = 0; duration_is_digit(*end); end++) {
    unsigned long digit = (unsigned long) (*end - '0');

    *seconds = *seconds > (max - digit) / 10 ? max + 1 : *seconds * 10 + digit;
  }

  for (size_t i = 0; end > text && i < sizeof(units) / sizeof(units[0]); i++) {
    if (strcasecmp(end, units[i].name) == 0) {
      *seconds = *seconds > max / units[i].seconds
                   ? max + 1
                   : *seconds * units[i].seconds;
      return true;
    }
  }

  return false;
}

/*
 * Reads a duration from MIN to MAX seconds: a number alone or with s, sec, m,
 * min, h or hr, or hh:mm:ss, as ProFTPD's pr_str_get_duration() documents. What
 * that function accepts besides ("5 minutes" for five seconds, "1:2:3",
 * "00:60:00", "-0", numbers that overflow) is refused. MAX is at least 9 and
 * below 2^31. Returns 0, or -1 with a sentence in REASON.
 */
static inline int duration_parse(const char *text, unsigned int min,
  unsigned int max, unsigned int *seconds, char *reason, size_t reason_size) {
  unsigned long found = 0;

  if ((duration_read_clock(text, &found) ||
        duration_read_number(text, max, &found)) &&
      found >= min && found <= max) {
    *seconds = (unsigned int) found;
    return 0;
  }

  snprintf(reason, reason_size,
    "'%s': expected a duration from %us to %us, such as 45, 45s, 5m, 1h or 00:00:45",
    text, min, max);
  return -1;
}

#endif
