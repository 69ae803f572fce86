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

#include "mod_natpasv.h"

struct natpasv_option {
  const char *word; /* NULL ends the table */
  /* 0, or -1 with a reason. */
  int (*set)(
    pool *p, void *target, const char *value, char *reason, size_t reason_size);
};

/* Room for any reason: a list of ports is the longest thing in one. */
#define NATPASV_REASON_SIZE 1024

/* Applies the arguments from first on, in pairs, each word at most once.
 * Returns 0, or -1 with a reason. */
int natpasv_options_parse(pool *p, cmd_rec *cmd, unsigned int first,
  const struct natpasv_option *options, void *target, const char *syntax,
  char *reason, size_t reason_size);

/* Fills reason and returns -1. */
int natpasv_options_refuse(char *reason, size_t reason_size, const char *fmt,
  ...) __attribute__((format(printf, 3, 4)));

/* A duration of at most a day, as an option's value. */
int natpasv_options_duration(const char *word, const char *value,
  unsigned int *seconds, char *reason, size_t reason_size);

/* Whether it can name a pool or a host: 1 to most of A-Z a-z 0-9 . _ - */
bool natpasv_options_is_name(const char *text, size_t most);

#endif
