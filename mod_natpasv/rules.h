/*
 * mod_natpasv - which client gets which ports and which address
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * NATPasvRule is parsed and chosen here. Sections are asked in ProFTPD's own
 * order: mod_ifsession's, then the virtual host, then <Global>. The first that
 * has a rule for the client's class, or for all, decides; in it a rule for the
 * class goes before one for all.
 */

#ifndef NATPASV_RULES_H
#define NATPASV_RULES_H

#include "mod_natpasv.h"

#define NATPASV_DEFAULT_WAIT 2 /* seconds */

enum natpasv_address {
  NATPASV_AUTO,
  NATPASV_EXTIP,
  NATPASV_LOCAL,
  NATPASV_FIXED
};

struct natpasv_rule {
  const char *class; /* NULL for all */
  const char *pool;  /* NULL for PassivePorts */
  enum natpasv_address address;
  const char *fixed; /* dotted; NULL while a name could not be looked up */
  const char *name;  /* as written, for messages */
  unsigned wait;
  const void *section; /* where it was written */
};

/* The arguments of NATPasvRule; NULL, or what is wrong with them. */
const char *natpasv_rule_parse(
  pool *p, cmd_rec *cmd, struct natpasv_rule **result);

/* The rule for a client of that class (NULL for none); never NULL. */
const struct natpasv_rule *natpasv_rule_choose(
  xaset_t *conf, const char *class);

#endif
