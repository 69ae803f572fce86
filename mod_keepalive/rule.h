/*
 * mod_keepalive - one KeepaliveRule: for whom, how often, by which method
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_RULE_H
#define KEEPALIVE_RULE_H

#include <stddef.h>

/* Seconds. TCP_KEEPIDLE and TCP_KEEPINTVL end at 32767 on Linux. */
#define KEEPALIVE_INTERVAL_DEFAULT 25
#define KEEPALIVE_INTERVAL_MAX     32767
#define KEEPALIVE_DEADLINE_MAX     86400

enum keepalive_method {
  KEEPALIVE_AUTO,
  KEEPALIVE_TCP,
  KEEPALIVE_TLS,
  KEEPALIVE_REPLY,
  KEEPALIVE_TELNET,
  KEEPALIVE_NONE,
  KEEPALIVE_METHODS
};

/* Where a rule is written; of two that match, the inner one applies. */
enum keepalive_scope {
  KEEPALIVE_SCOPE_GLOBAL,
  KEEPALIVE_SCOPE_SERVER,
  KEEPALIVE_SCOPE_SECTION
};

struct keepalive_rule {
  const char *class_name; /* "*" is everybody */
  unsigned int interval;  /* seconds */
  unsigned int deadline;  /* seconds, 0: none */
  enum keepalive_method method;
  enum keepalive_scope scope;
};

/* What applies if no rule matches. */
extern const struct keepalive_rule keepalive_rule_default;

/* Reads "<class>|* [interval <duration>] [method <name>] [deadline
 * <duration>]", word by word. The rule keeps words[0]. Returns -1 with a reason
 * that names the offending word and what is allowed. */
int keepalive_rule_parse(struct keepalive_rule *rule, unsigned int count,
  char *const *words, char *reason, size_t reason_size);

/* Prints the rule in the same grammar. */
const char *keepalive_rule_print(
  const struct keepalive_rule *rule, char *text, size_t size);

/* Chooses between the rule so far (or NULL) and another one for a client of
 * this class (NULL: of none): the inner scope first, then the rule that names
 * the class, then the former one. */
const struct keepalive_rule *keepalive_rule_choose(
  const struct keepalive_rule *best, const struct keepalive_rule *rule,
  const char *class_name);

const char *keepalive_method_name(enum keepalive_method method);

#endif
