/*
 * mod_natpasv - word and value pairs of a directive
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef NATPASV_OPTIONS_H
#define NATPASV_OPTIONS_H

#include "conf.h"

struct natpasv_option {
  const char *word; /* NULL ends the table */
  /* Answers NULL, or what is wrong with the value. */
  const char *(*set)(pool *p, void *target, const char *value);
};

/* Applies the arguments from first on, in pairs, each word at most once.
 * Answers NULL, or what is wrong with them. */
const char *natpasv_options_parse(pool *p, cmd_rec *cmd, unsigned first,
  const struct natpasv_option *options, void *target, const char *syntax);

#endif
