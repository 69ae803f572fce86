/*
 * mod_keepalive - what applies to a session
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_TERMS_H
#define KEEPALIVE_TERMS_H

#include "rule.h"
#include "table.h"

/* Valid from the login to the end of the session, or to the next HOST. */
struct keepalive_terms {
  struct keepalive_rule rule;
  unsigned int interval;         /* of the rule, or below, for this network */
  struct keepalive_table *table; /* NULL: there is none */
  struct keepalive_slot *slot;   /* NULL: no slot was free */
  struct keepalive_network *network; /* in the table; NULL as well */
  uint64_t network_key;
};

#endif
