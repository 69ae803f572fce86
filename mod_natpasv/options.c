/*
 * mod_natpasv - word and value pairs of a directive
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "options.h"
#include "common_duration.h"

#define DAY 86400 /* seconds */

int natpasv_options_refuse(
  char *reason, size_t reason_size, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  (void) pr_vsnprintf(reason, reason_size, fmt, args);
  va_end(args);
  return -1;
}

static int find_word(const struct natpasv_option *options, const char *word) {
  for (int i = 0; options[i].word != NULL; i++) {
    if (strcasecmp(word, options[i].word) == 0) {
      return i;
    }
  }
  return -1;
}

int natpasv_options_parse(pool *p, cmd_rec *cmd, unsigned int first,
  const struct natpasv_option *options, void *target, const char *syntax,
  char *reason, size_t reason_size) {
  unsigned int seen = 0;

  if (cmd->argc < first || (cmd->argc - first) % 2 != 0) {
    return natpasv_options_refuse(
      reason, reason_size, "wrong number of parameters, expected %s", syntax);
  }

  for (unsigned int i = first; i < cmd->argc; i += 2) {
    const char *word = cmd->argv[i];
    int which = find_word(options, word);

    if (which < 0) {
      return natpasv_options_refuse(
        reason, reason_size, "unknown word '%s', expected %s", word, syntax);
    }

    if (seen & 1U << which) {
      return natpasv_options_refuse(
        reason, reason_size, "'%s' is given twice, expected %s", word, syntax);
    }
    seen |= 1U << which;

    if (options[which].set(p, target, cmd->argv[i + 1], reason, reason_size) <
        0) {
      return -1;
    }
  }
  return 0;
}

int natpasv_options_duration(const char *word, const char *value,
  unsigned int *seconds, char *reason, size_t reason_size) {
  char expected[128];

  if (duration_parse(value, 0, DAY, seconds, expected, sizeof(expected)) < 0) {
    return natpasv_options_refuse(reason, reason_size, "%s %s", word, expected);
  }
  return 0;
}

bool natpasv_options_is_name(const char *text, size_t most) {
  size_t length = strlen(text);

  return length > 0 && length <= most &&
         strspn(text,
           "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
           length;
}
