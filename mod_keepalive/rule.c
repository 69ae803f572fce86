/*
 * mod_keepalive - one KeepaliveRule: who it is for, how often, by which method
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Parses, prints and chooses rules.  Needs no ProFTPD. */

#include "rule.h"

#include <ctype.h>
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

#define METHODS (sizeof(methods) / sizeof(methods[0]))

const struct keepalive_rule keepalive_rule_default = {
  .class_name = "*",
  .interval = KEEPALIVE_INTERVAL_DEFAULT,
  .method = KEEPALIVE_AUTO,
};

const char *keepalive_method_name(enum keepalive_method method) {
  return methods[method];
}

/* Up to nine digits, which cannot overflow; returns how many there are. */
static size_t parse_digits(const char *text, unsigned int *number) {
  size_t len = 0;

  *number = 0;
  while (len < 10 && isdigit((unsigned char) text[len])) {
    *number = *number * 10 + (unsigned int) (text[len] - '0');
    len++;
  }

  return len < 10 ? len : 0;
}

static int parse_clock(const char *text, unsigned int *seconds) {
  unsigned int part = 0;
  int parts;

  *seconds = 0;
  for (parts = 0; parts < 3; parts++) {
    size_t len = parse_digits(text, &part);

    if (len < 1 || len > 2) {
      return -1;
    }

    *seconds = *seconds * 60 + part;
    text += len;
    if (*text != (parts < 2 ? ':' : '\0')) {
      return -1;
    }
    text++;
  }

  return 0;
}

int keepalive_duration_parse(const char *text, unsigned int *seconds) {
  static const struct {
    const char *suffix;
    unsigned int factor;
  } units[] = {
    { "", 1 },
    { "s", 1 },
    { "sec", 1 },
    { "m", 60 },
    { "min", 60 },
    { "h", 3600 },
    { "hr", 3600 },
  };
  unsigned int number = 0;
  size_t i, len;

  len = parse_digits(text, &number);
  if (len == 0) {
    return -1;
  }

  if (text[len] == ':') {
    return parse_clock(text, seconds);
  }

  for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
    if (strcasecmp(text + len, units[i].suffix) == 0) {
      if (number > (unsigned int) -1 / units[i].factor) {
        return -1;
      }
      *seconds = number * units[i].factor;
      return 0;
    }
  }

  return -1;
}

static int parse_seconds(const char *name, const char *word, unsigned int max,
  unsigned int *seconds, char *reason, size_t reason_size) {
  if (keepalive_duration_parse(word, seconds) < 0 || *seconds < 1 ||
      *seconds > max) {
    snprintf(reason, reason_size,
      "%s '%s': expected a duration from 1s to %us "
      "(such as 45, 45s, 5m, 1h or 00:00:45)",
      name, word, max);
    return -1;
  }

  return 0;
}

static int parse_method(const char *word, enum keepalive_method *method,
  char *reason, size_t reason_size) {
  size_t i;

  for (i = 0; i < METHODS; i++) {
    if (strcasecmp(word, methods[i]) == 0) {
      *method = (enum keepalive_method) i;
      return 0;
    }
  }

  snprintf(reason, reason_size,
    "method '%s': expected one of auto, tcp, tls, "
    "reply, telnet, none",
    word);
  return -1;
}

static int parse_class(const char *word, char *reason, size_t reason_size) {
  if (*word == '\0' || (strchr(word, '*') != NULL && strcmp(word, "*") != 0)) {
    snprintf(reason, reason_size,
      "class '%s': expected the name of a <Class>, "
      "or * for every client",
      word);
    return -1;
  }

  return 0;
}

int keepalive_rule_parse(struct keepalive_rule *rule, unsigned int count,
  char *const *words, char *reason, size_t reason_size) {
  unsigned int i, seen = 0;

  *rule = keepalive_rule_default;
  if (count < 1 || parse_class(words[0], reason, reason_size) < 0) {
    return -1;
  }
  rule->class_name = words[0];

  for (i = 1; i < count; i += 2) {
    static const char *const keys[] = { "interval", "method", "deadline" };
    const char *value = i + 1 < count ? words[i + 1] : NULL;
    unsigned int key = 0;
    int res;

    while (key < 3 && strcasecmp(words[i], keys[key]) != 0) {
      key++;
    }

    if (key == 3) {
      snprintf(reason, reason_size,
        "'%s': expected interval <duration>, "
        "method <name> or deadline <duration>",
        words[i]);
      return -1;
    }

    if (value == NULL || (seen & (1U << key))) {
      snprintf(reason, reason_size, "'%s' %s", words[i],
        value == NULL ? "needs a value" : "is allowed once");
      return -1;
    }
    seen |= 1U << key;

    switch (key) {
      case 0:
        res = parse_seconds("interval", value, KEEPALIVE_INTERVAL_MAX,
          &rule->interval, reason, reason_size);
        break;

      case 1:
        res = parse_method(value, &rule->method, reason, reason_size);
        break;

      default:
        res = parse_seconds("deadline", value, KEEPALIVE_DEADLINE_MAX,
          &rule->deadline, reason, reason_size);
        break;
    }

    if (res < 0) {
      return -1;
    }
  }

  if (!(seen & 1U)) {
    snprintf(reason, reason_size,
      "'%s': expected interval <duration> after "
      "the class",
      words[0]);
    return -1;
  }

  if (rule->deadline != 0 && rule->deadline <= rule->interval) {
    snprintf(reason, reason_size,
      "deadline '%us': expected more than the "
      "interval of %us",
      rule->deadline, rule->interval);
    return -1;
  }

  return 0;
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

static int is_for_all(const struct keepalive_rule *rule) {
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
