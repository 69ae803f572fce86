/*
 * mod_natpasv - words of the configuration
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "words.h"

#include <string.h>
#include <strings.h>

#define DAY 86400

/* Bytes from here on are Telnet's: no command begins with one. */
#define TELNET 0xf0

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* At most six digits, so that nothing below can overflow. */
static int parse_number(const char **text, unsigned *number) {
  int digits;

  *number = 0;
  for (digits = 0; is_digit(**text); digits++, (*text)++) {
    *number = *number * 10 + (unsigned) (**text - '0');
    if (digits == 6) {
      return -1;
    }
  }
  return digits > 0 ? digits : -1;
}

static int parse_clock(const char *text, unsigned *seconds) {
  unsigned part, i;

  *seconds = 0;
  for (i = 0; i < 3; i++) {
    if (parse_number(&text, &part) != 2 || (i > 0 && part > 59) ||
        *text++ != (i < 2 ? ':' : '\0')) {
      return -1;
    }
    *seconds = *seconds * 60 + part;
  }
  return 0;
}

static int parse_with_unit(const char *text, unsigned *seconds) {
  static const struct {
    const char *name;
    unsigned seconds;
  } units[] = { { "", 1 }, { "s", 1 }, { "sec", 1 }, { "m", 60 }, { "min", 60 },
    { "h", 3600 }, { "hr", 3600 } };
  unsigned i;

  if (parse_number(&text, seconds) < 0) {
    return -1;
  }

  for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    if (strcasecmp(text, units[i].name) == 0) {
      if (*seconds > DAY / units[i].seconds) {
        return -1;
      }
      *seconds *= units[i].seconds;
      return 0;
    }
  }
  return -1;
}

int natpasv_parse_duration(const char *text, unsigned *seconds) {
  if (strchr(text, ':') == NULL) {
    return parse_with_unit(text, seconds);
  }
  return parse_clock(text, seconds) < 0 || *seconds > DAY ? -1 : 0;
}

int natpasv_is_name(const char *text, unsigned most) {
  size_t length = strlen(text);

  return length > 0 && length <= most &&
         strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123"
                      "456789._-") == length;
}

static int is_command(const char *line, size_t size, const char *command) {
  return size > 4 && strncasecmp(line, command, 4) == 0 &&
         (line[4] == '\r' || line[4] == '\n');
}

int natpasv_says_stop(const char *lines, size_t size) {
  const char *line = lines, *end = lines + size;

  while (line < end) {
    if ((unsigned char) *line >= TELNET) {
      line++;
      continue;
    }

    if (is_command(line, (size_t) (end - line), "ABOR") ||
        is_command(line, (size_t) (end - line), "QUIT")) {
      return 1;
    }

    line = memchr(line, '\n', (size_t) (end - line));
    if (line == NULL) {
      return 0;
    }
    line++;
  }
  return 0;
}
