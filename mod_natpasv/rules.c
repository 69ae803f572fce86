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
#include "options.h"
#include "words.h"

#define RULE_SYNTAX                                                   \
  "<class>|* [pool <name>] [address auto|extip|local|<ipv4>|<name>] " \
  "[wait <duration>]"

static const struct natpasv_rule default_rule = {
  .address = NATPASV_AUTO,
  .wait = NATPASV_DEFAULT_WAIT,
};

static const char *set_pool(pool *p, void *target, const char *value) {
  struct natpasv_rule *rule = target;
  if (!natpasv_is_name(value, NATPASV_POOL_MAX)) {
    return pstrcat(
      p, "pool '", value, "' is not the name of a NATPasvPool", NULL);
  }

  rule->pool = pstrdup(p, value);
  return NULL;
}

/* As MasqueradeAddress does: once, when the configuration is read, and a name
 * that cannot be looked up now is no reason not to start. */
static void look_up(pool *p, struct natpasv_rule *rule) {
  array_header *more = NULL;
  const pr_netaddr_t *addr = pr_netaddr_get_addr(p, rule->name, &more);
  unsigned i = 0;

  while (addr != NULL && pr_netaddr_get_family(addr) != AF_INET) {
    addr = more != NULL && i < more->nelts
             ? ((const pr_netaddr_t **) more->elts)[i++]
             : NULL;
  }

  if (addr != NULL) {
    rule->fixed = pstrdup(p, pr_netaddr_get_ipstr(addr));
    return;
  }

  pr_log_pri(PR_LOG_WARNING,
    MOD_NATPASV_VERSION
    ": NATPasvRule address '%s' has no IPv4 address now; until the next "
    "restart or reload its clients get the address of 'auto'",
    rule->name);
}

static const char *set_address(pool *p, void *target, const char *value) {
  struct natpasv_rule *rule = target;
  static const char *const words[] = { "auto", "extip", "local" };
  unsigned i;

  rule->name = pstrdup(p, value);
  for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    if (strcasecmp(value, words[i]) == 0) {
      rule->address = NATPASV_AUTO + i;
      return NULL;
    }
  }

  rule->address = NATPASV_FIXED;
  if (pr_netaddr_is_v4(value) == TRUE) {
    rule->fixed = rule->name;
    return NULL;
  }

  /* A name has a letter and a dot: so a slip of the pen, as in "adress
   * locla" or "192.0.2.300", is not looked up. */
  if (!natpasv_is_name(value, 255) || strchr(value, '.') == NULL ||
      strspn(value, "0123456789.") == strlen(value)) {
    return pstrcat(p, "address '", value,
      "' is not auto, extip, local, an "
      "IPv4 address or a fully qualified domain name",
      NULL);
  }

  look_up(p, rule);
  return NULL;
}

static const char *set_wait(pool *p, void *target, const char *value) {
  struct natpasv_rule *rule = target;
  if (natpasv_parse_duration(value, &rule->wait) < 0) {
    return pstrcat(
      p, "wait '", value, "' is not " NATPASV_DURATION_SYNTAX, NULL);
  }
  return NULL;
}

static const struct natpasv_option options[] = {
  { "pool", set_pool },
  { "address", set_address },
  { "wait", set_wait },
  { NULL, NULL },
};

const char *natpasv_rule_parse(
  pool *p, cmd_rec *cmd, struct natpasv_rule **result) {
  struct natpasv_rule *rule;

  if (cmd->argc < 2) {
    return "wrong number of parameters, expected " RULE_SYNTAX;
  }

  rule = pcalloc(p, sizeof(struct natpasv_rule));
  *rule = default_rule;
  rule->section =
    cmd->config != NULL ? (void *) cmd->config : (void *) cmd->server;
  if (strcmp(cmd->argv[1], "*") != 0) {
    rule->class = pstrdup(p, cmd->argv[1]);
  }

  *result = rule;
  return natpasv_options_parse(p, cmd, 2, options, rule, RULE_SYNTAX);
}

const struct natpasv_rule *natpasv_rule_choose(
  xaset_t *conf, const char *class) {
  const struct natpasv_rule *chosen = NULL;
  config_rec *c;

  for (c = find_config(conf, CONF_PARAM, "NATPasvRule", FALSE); c != NULL;
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
