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

static int find_word(const struct natpasv_option *options, const char *word) {
  int i;

  for (i = 0; options[i].word != NULL; i++) {
    if (strcasecmp(word, options[i].word) == 0) {
      return i;
    }
  }
  return -1;
}

const char *natpasv_options_parse(pool *p, cmd_rec *cmd, unsigned first,
  const struct natpasv_option *options, void *target, const char *syntax) {
  unsigned i, seen = 0;

  if (cmd->argc < first || (cmd->argc - first) % 2 != 0) {
    return pstrcat(p, "wrong number of parameters, expected ", syntax, NULL);
  }

  for (i = first; i < cmd->argc; i += 2) {
    const char *wrong, *word = cmd->argv[i];
    int which = find_word(options, word);

    if (which < 0) {
      return pstrcat(p, "unknown word '", word, "', expected ", syntax, NULL);
    }

    if (seen & 1U << which) {
      return pstrcat(p, "'", word, "' is there twice, expected ", syntax, NULL);
    }
    seen |= 1U << which;

    wrong = options[which].set(p, target, cmd->argv[i + 1]);
    if (wrong != NULL) {
      return wrong;
    }
  }

  return NULL;
}
