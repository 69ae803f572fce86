/*
 * mod_natpasv - which client gets which ports and which address
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "rules.h"
#include "common_local.h"
#include "options.h"
#include "ports.h"

#define RULE_SYNTAX                                                    \
  "<class>|* [pool <name>] [address auto|extip|local|<ipv4>|<name>] "  \
  "[wait <duration>] [from " NATPASV_FROM_SYNTAX "] [share fair|any] " \
  "[active peer|strict|off]"

#define WARN(fmt, ...)       \
  pr_log_pri(PR_LOG_WARNING, \
    MOD_NATPASV_VERSION ": warning: NATPasvRule " fmt, __VA_ARGS__)

static const struct natpasv_rule default_rule = {
  .address = NATPASV_AUTO,
  .wait = NATPASV_DEFAULT_WAIT,
};

static int set_pool(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_rule *rule = target;

  if (!natpasv_options_is_name(value, NATPASV_POOL_MAX)) {
    return natpasv_options_refuse(
      reason, reason_size, "pool '%s' is not the name of a NATPasvPool", value);
  }

  rule->pool = pstrdup(p, value);
  return 0;
}

/* Resolves a name as MasqueradeAddress does, once, when the configuration is
 * read. If this fails, the server starts all the same. */
static void look_up(pool *p, struct natpasv_rule *rule) {
  array_header *more = NULL;
  const pr_netaddr_t *addr = pr_netaddr_get_addr(p, rule->name, &more),
                     *used = NULL;
  unsigned int i = 0, found = 0;

  while (addr != NULL) {
    if (pr_netaddr_get_family(addr) == AF_INET) {
      used = used != NULL ? used : addr;
      found++;
    }
    addr = more != NULL && i < more->nelts
             ? ((const pr_netaddr_t **) more->elts)[i++]
             : NULL;
  }

  if (used == NULL) {
    WARN(
      "address '%s' has no IPv4 address now: until the next restart or reload, its clients get the address of 'auto'",
      rule->name);
    return;
  }

  rule->fixed = pstrdup(p, pr_netaddr_get_ipstr(used));
  if (local_address(AF_INET, pr_netaddr_get_inaddr(used))) {
    WARN(
      "address '%s' is %s here, which no client on the Internet can reach: see /etc/hosts, or write the outside address",
      rule->name, rule->fixed);
  }
  if (found > 1) {
    WARN(
      "address '%s' has %u IPv4 addresses, of which %s is announced: write the one that is meant",
      rule->name, found, rule->fixed);
  }
}

static int set_address(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_rule *rule = target;
  static const char *const words[NATPASV_FIXED] = {
    [NATPASV_AUTO] = "auto",
    [NATPASV_EXTIP] = "extip",
    [NATPASV_LOCAL] = "local",
  };

  rule->name = pstrdup(p, value);
  for (unsigned int i = 0; i < NATPASV_FIXED; i++) {
    if (strcasecmp(value, words[i]) == 0) {
      rule->address = i;
      return 0;
    }
  }

  rule->address = NATPASV_FIXED;
  if (pr_netaddr_is_v4(value) == TRUE) {
    rule->fixed = rule->name;
    return 0;
  }

  /* A name has to contain a letter and a dot, so a typing error such as
   * "address locla" or "192.0.2.300" is not resolved. */
  if (!natpasv_options_is_name(value, 255) || strchr(value, '.') == NULL ||
      strspn(value, "0123456789.") == strlen(value)) {
    return natpasv_options_refuse(reason, reason_size,
      "address '%s' is not auto, extip, local, an IPv4 address or a fully qualified domain name",
      value);
  }

  look_up(p, rule);
  return 0;
}

static int set_wait(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_rule *rule = target;

  (void) p;
  return natpasv_options_duration(
    "wait", value, &rule->wait, reason, reason_size);
}

static int set_share(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_rule *rule = target;

  (void) p;
  rule->any = strcasecmp(value, "any") == 0;
  return rule->any || strcasecmp(value, "fair") == 0
           ? 0
           : natpasv_options_refuse(
               reason, reason_size, "share '%s' is not fair or any", value);
}

static int set_active(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_rule *rule = target;
  static const char *const words[] = {
    [NATPASV_ACTIVE_PEER] = "peer",
    [NATPASV_ACTIVE_STRICT] = "strict",
    [NATPASV_ACTIVE_OFF] = "off",
  };

  (void) p;
  for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    if (strcasecmp(value, words[i]) == 0) {
      rule->active = i;
      return 0;
    }
  }
  return natpasv_options_refuse(
    reason, reason_size, "active '%s' is not peer, strict or off", value);
}

static int set_from(
  pool *p, void *target, const char *value, char *reason, size_t reason_size) {
  struct natpasv_rule *rule = target;

  return natpasv_from_parse(p, value, &rule->from, reason, reason_size);
}

static const struct natpasv_option options[] = {
  { "pool", set_pool },
  { "address", set_address },
  { "wait", set_wait },
  { "from", set_from },
  { "share", set_share },
  { "active", set_active },
  { NULL, NULL },
};

struct natpasv_rule *natpasv_rule_parse(
  pool *p, cmd_rec *cmd, char *reason, size_t reason_size) {
  struct natpasv_rule *rule;

  if (cmd->argc < 2) {
    (void) natpasv_options_refuse(
      reason, reason_size, "wrong number of parameters, expected " RULE_SYNTAX);
    return NULL;
  }

  rule = pcalloc(p, sizeof(struct natpasv_rule));
  *rule = default_rule;
  rule->section =
    cmd->config != NULL ? (void *) cmd->config : (void *) cmd->server;
  if (strcmp(cmd->argv[1], "*") != 0) {
    rule->class = pstrdup(p, cmd->argv[1]);
  }

  return natpasv_options_parse(
           p, cmd, 2, options, rule, RULE_SYNTAX, reason, reason_size) < 0
           ? NULL
           : rule;
}

const struct natpasv_rule *natpasv_rule_choose(
  xaset_t *conf, const char *class) {
  const struct natpasv_rule *chosen = NULL;

  for (config_rec *c = find_config(conf, CONF_PARAM, "NATPasvRule", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "NATPasvRule", FALSE)) {
    const struct natpasv_rule *rule = c->argv[0];

    if (chosen != NULL && rule->section != chosen->section) {
      continue;
    }

    if (rule->class == NULL) {
      chosen = chosen != NULL ? chosen : rule;

    } else if (class != NULL && strcmp(rule->class, class) == 0) {
      return rule;
    }
  }

  return chosen != NULL ? chosen : &default_rule;
}
