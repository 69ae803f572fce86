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
 * Parses NATPasvRule and chooses the rule for a client. Sections are searched
 * in ProFTPD's own order: those of mod_ifsession, the virtual host, <Global>.
 * The first that has a rule for the client's class, or for all clients,
 * decides; in it, a rule for the class takes precedence over one for all.
 */

#ifndef NATPASV_RULES_H
#define NATPASV_RULES_H

#include "from.h"

#define NATPASV_DEFAULT_WAIT 2 /* seconds */

enum natpasv_address {
  NATPASV_AUTO,
  NATPASV_EXTIP,
  NATPASV_LOCAL,
  NATPASV_FIXED
};

/* What PORT and EPRT may do. */
enum natpasv_active_mode {
  NATPASV_ACTIVE_PEER, /* a private address means the client's own */
  NATPASV_ACTIVE_STRICT,
  NATPASV_ACTIVE_OFF
};

struct natpasv_rule {
  const char *class; /* NULL for all */
  const char *pool;  /* NULL for PassivePorts */
  enum natpasv_address address;
  const char *fixed; /* dotted; NULL while a name could not be looked up */
  const char *name;  /* as written, for messages */
  unsigned int wait;
  struct natpasv_from from;
  bool any; /* share any */
  enum natpasv_active_mode active;
  const void *section; /* where it was written; NULL: there is no rule */
};

/* Reads the arguments of NATPasvRule. NULL with a reason. */
struct natpasv_rule *natpasv_rule_parse(
  pool *p, cmd_rec *cmd, char *reason, size_t reason_size);

/* The rule for a client of that class (NULL: of none). Never NULL. */
const struct natpasv_rule *natpasv_rule_choose(
  xaset_t *conf, const char *class);

#endif
