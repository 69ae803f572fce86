/*
 * mod_natpasv - from which addresses a data connection may come
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The parameter 'from' of NATPasvRule, and AllowForeignAddress if it is not
 * given.
 */

#ifndef NATPASV_FROM_H
#define NATPASV_FROM_H

#include "filter.h"
#include "mod_natpasv.h"

#define NATPASV_FROM_SYNTAX "auto|client|client/<bits>|<class>|any"

enum natpasv_whence {
  NATPASV_FROM_UNSET, /* as AllowForeignAddress says */
  NATPASV_FROM_AUTO,
  NATPASV_FROM_CLIENT,
  NATPASV_FROM_CLASS, /* and the client */
  NATPASV_FROM_ANY
};

struct natpasv_from {
  enum natpasv_whence whence;
  unsigned int bits; /* of a client's network, 0 for its address alone */
  const char *class;
};

/* What applies to the listeners of this session. */
struct natpasv_guard {
  bool closed; /* to all but the filter's networks */
  bool opens;  /* to all later, if the client seems to connect from another
                  address */
  struct natpasv_filter filter;
};

/* 0, or -1 with a reason. */
int natpasv_from_parse(pool *p, const char *value, struct natpasv_from *from,
  char *reason, size_t reason_size);

/* Whether the kernel can compare addresses with a class: it cannot if the class
 * has names, patterns or '!' in it, or if all of its lines have to match.
 * Returns 0, or -1 with a reason. */
int natpasv_from_class(pool *p, const char *name, struct natpasv_filter *filter,
  char *reason, size_t reason_size);

/* Whether others than the client may connect at once. What AllowForeignAddress
 * says is looked up in this configuration. */
bool natpasv_from_admits_others(const struct natpasv_from *from, xaset_t *conf);

/* What this means for the client of this session. */
const struct natpasv_guard *natpasv_from_guard(
  pool *p, const struct natpasv_from *from);

#endif
