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

/* Parses, prints and chooses rules. Needs no ProFTPD. */

#include "rule.h"
#include "common_duration.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const methods[] = {
  [KEEPALIVE_AUTO] = "auto",
  [KEEPALIVE_TCP] = "tcp",
  [KEEPALIVE_TLS] = "tls",
  [KEEPALIVE_REPLY] = "reply",
  [KEEPALIVE_TELNET] = "telnet",
  [KEEPALIVE_NONE] = "none",
};

_Static_assert(sizeof(methods) / sizeof(methods[0]) == KEEPALIVE_METHODS,
  "a name for each method");

const struct keepalive_rule keepalive_rule_default = {
  .class_name = "*",
  .interval = KEEPALIVE_INTERVAL_DEFAULT,
  .method = KEEPALIVE_AUTO,
};

const char *keepalive_method_name(enum keepalive_method method) {
  return methods[method];
}

/* The key and its value precede the reason. */
static int parse_seconds(const char *key, const char *word, unsigned int max,
  unsigned int *seconds, char *reason, size_t reason_size) {
  char cause[200];

  if (duration_parse(word, 1, max, seconds, cause, sizeof(cause)) < 0) {
    snprintf(reason, reason_size, "%s %s", key, cause);
    return -1;
  }

  return 0;
}

static int parse_method(const char *word, enum keepalive_method *method,
  char *reason, size_t reason_size) {
  for (size_t i = 0; i < KEEPALIVE_METHODS; i++) {
    if (strcasecmp(word, methods[i]) == 0) {
      *method = (enum keepalive_method) i;
      return 0;
    }
  }

  snprintf(reason, reason_size,
    "method '%s': expected one of auto, tcp, tls, reply, telnet, none", word);
  return -1;
}

static int parse_class(const char *word, char *reason, size_t reason_size) {
  if (*word == '\0' || (strchr(word, '*') != NULL && strcmp(word, "*") != 0)) {
    snprintf(reason, reason_size,
      "class '%s': expected the name of a <Class>, or * for every client",
      word);
    return -1;
  }

  return 0;
}

enum { INTERVAL, METHOD, DEADLINE, KEYS };

static const char *const keys[KEYS] = {
  [INTERVAL] = "interval",
  [METHOD] = "method",
  [DEADLINE] = "deadline",
};

static int parse_value(struct keepalive_rule *rule, unsigned int key,
  const char *value, char *reason, size_t reason_size) {
  switch (key) {
    case INTERVAL:
      return parse_seconds(keys[key], value, KEEPALIVE_INTERVAL_MAX,
        &rule->interval, reason, reason_size);

    case METHOD:
      return parse_method(value, &rule->method, reason, reason_size);

    default:
      return parse_seconds(keys[key], value, KEEPALIVE_DEADLINE_MAX,
        &rule->deadline, reason, reason_size);
  }
}

static int parse_deadline(struct keepalive_rule *rule, bool interval_given,
  char *reason, size_t reason_size) {
  if (rule->deadline == 0) {
    return 0;
  }

  if (rule->method == KEEPALIVE_NONE) {
    snprintf(reason, reason_size,
      "deadline '%us': needs probes, and method none sends none",
      rule->deadline);
    return -1;
  }

  if (!interval_given && rule->deadline <= rule->interval) {
    rule->interval = rule->deadline / 2;
  }

  if (rule->interval == 0 || rule->deadline <= rule->interval) {
    snprintf(reason, reason_size,
      "deadline '%us': expected more than the interval of %us", rule->deadline,
      rule->interval > 0 ? rule->interval : 1);
    return -1;
  }

  return 0;
}

int keepalive_rule_parse(struct keepalive_rule *rule, unsigned int count,
  char *const *words, char *reason, size_t reason_size) {
  bool seen[KEYS] = { false };

  *rule = keepalive_rule_default;
  if (count < 1 || parse_class(words[0], reason, reason_size) < 0) {
    return -1;
  }
  rule->class_name = words[0];

  for (unsigned int i = 1; i < count; i += 2) {
    unsigned int key = 0;

    while (key < KEYS && strcasecmp(words[i], keys[key]) != 0) {
      key++;
    }

    if (key == KEYS) {
      snprintf(reason, reason_size,
        "'%s': expected interval <duration>, method <name> or deadline <duration>",
        words[i]);
      return -1;
    }

    if (i + 1 == count || seen[key]) {
      snprintf(reason, reason_size, "'%s' %s", words[i],
        seen[key] ? "is allowed once" : "needs a value");
      return -1;
    }
    seen[key] = true;

    if (parse_value(rule, key, words[i + 1], reason, reason_size) < 0) {
      return -1;
    }
  }

  return parse_deadline(rule, seen[INTERVAL], reason, reason_size);
}

const char *keepalive_rule_print(
  const struct keepalive_rule *rule, char *text, size_t size) {
  int len;

  len = snprintf(text, size, "%s interval %us method %s", rule->class_name,
    rule->interval, keepalive_method_name(rule->method));
  if (rule->deadline != 0 && len > 0 && (size_t) len < size) {
    snprintf(text + len, size - (size_t) len, " deadline %us", rule->deadline);
  }

  return text;
}

static bool is_for_all(const struct keepalive_rule *rule) {
  return strcmp(rule->class_name, "*") == 0;
}

const struct keepalive_rule *keepalive_rule_choose(
  const struct keepalive_rule *best, const struct keepalive_rule *rule,
  const char *class_name) {
  if (!is_for_all(rule) &&
      (class_name == NULL || strcmp(rule->class_name, class_name) != 0)) {
    return best;
  }

  if (best == NULL || rule->scope > best->scope) {
    return rule;
  }

  if (rule->scope == best->scope && is_for_all(best) && !is_for_all(rule)) {
    return rule;
  }

  return best;
}
