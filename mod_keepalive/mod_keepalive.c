/*
 * mod_keepalive - keeps the control connection alive
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 *
 * -----DO NOT EDIT BELOW THIS LINE-----
 * $Archive: mod_keepalive.a $
 * $Libraries: -lssl -lcrypto$
 */

/* What ProFTPD calls: directives, commands and events. The work for a session
 * is in session.c. */

#include "mod_keepalive.h"

#include "common_running.h"
#include "common_version.h"
#include "ftpdctl.h"
#include "rule.h"
#include "session.h"
#include "shared.h"
#include "summary.h"
#include "ticket.h"

/* Directive handlers */

/* usage: KeepaliveControlsACLs actions|all allow|deny user|group list */
MODRET set_keepalivecontrolsacls(cmd_rec *cmd) {
  char reason[256];

  CHECK_CONF(cmd, CONF_ROOT);

  if (keepalive_ftpdctl_configure(cmd, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, pstrdup(cmd->tmp_pool, reason));
  }

  return PR_HANDLED(cmd);
}

/* usage: KeepaliveEngine on|off */
MODRET set_keepaliveengine(cmd_rec *cmd) {
  config_rec *c;
  int engine;

  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter: on or off");
  }
  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);

  engine = get_boolean(cmd, 1);
  if (engine < 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", (char *) cmd->argv[1],
                      "': expected on or off", NULL));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = engine;

  return PR_HANDLED(cmd);
}

/* usage: KeepaliveLog path|none */
MODRET set_keepalivelog(cmd_rec *cmd) {
  const char *path;

  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter: an absolute path, or none");
  }
  CHECK_CONF(cmd, CONF_ROOT);

  path = cmd->argv[1];
  if (*path != '/' && strcasecmp(path, "none") != 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", path,
                      "': expected an absolute path, or none", NULL));
  }

  (void) add_config_param_str(cmd->argv[0], 1, path);
  return PR_HANDLED(cmd);
}

static enum keepalive_scope rule_scope(const cmd_rec *cmd) {
  switch (cmd->config != NULL ? cmd->config->config_type : CONF_PARAM) {
    case CONF_PARAM:
      return KEEPALIVE_SCOPE_SERVER;

    case CONF_GLOBAL:
      return KEEPALIVE_SCOPE_GLOBAL;

    default:
      return KEEPALIVE_SCOPE_SECTION;
  }
}

/* usage: KeepaliveRule class|* [interval duration]
 * [method auto|tcp|tls|reply|telnet|none] [deadline duration] */
MODRET set_keepaliverule(cmd_rec *cmd) {
  struct keepalive_rule rule;
  char reason[256];
  config_rec *c;

  if (cmd->argc < 2) {
    CONF_ERROR(cmd, "expected <class>|*");
  }
  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);

  if (keepalive_rule_parse(&rule, cmd->argc - 1, (char **) cmd->argv + 1,
        reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, pstrdup(cmd->tmp_pool, reason));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  rule.class_name = pstrdup(c->pool, rule.class_name);
  rule.scope = rule_scope(cmd);
  c->argv[0] = palloc(c->pool, sizeof(rule));
  memcpy(c->argv[0], &rule, sizeof(rule));

  /* All rules are kept, and mod_ifsession adds those of its sections. */
  c->flags |= CF_MULTI;

  return PR_HANDLED(cmd);
}

/* Command handlers */

MODRET keepalive_pre_any(cmd_rec *cmd) {
  keepalive_session_command(cmd);
  return PR_DECLINED(cmd);
}

MODRET keepalive_log_any(cmd_rec *cmd) {
  keepalive_session_command_end(cmd, true);
  return PR_DECLINED(cmd);
}

MODRET keepalive_log_err_any(cmd_rec *cmd) {
  keepalive_session_command_end(cmd, false);
  return PR_DECLINED(cmd);
}

/* Event handlers */

/* A rule for a class that does not exist never matches, which is logged at
 * start. */
static void check_classes(const server_rec *s) {
  config_rec *c;

  for (c = find_config(s->conf, CONF_PARAM, "KeepaliveRule", TRUE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "KeepaliveRule", TRUE)) {
    const struct keepalive_rule *rule = c->argv[0];

    if (strcmp(rule->class_name, "*") != 0 &&
        pr_class_find(rule->class_name) == NULL) {
      pr_log_pri(PR_LOG_WARNING,
        "%s: KeepaliveRule %s: there is no <Class %s>, so this rule never applies",
        MOD_KEEPALIVE_VERSION, rule->class_name, rule->class_name);
    }
  }
}

static void postparse_ev(const void *event_data, void *user_data) {
  bool engine = false;

  (void) event_data;
  (void) user_data;

  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    engine = engine || keepalive_summary_is_on(s);
    check_classes(s);
  }

  if (engine) {
    keepalive_shared_start();
  }
  if (ServerType == SERVER_STANDALONE && daemon_is_running()) {
    keepalive_summary_say();
  }
}

static void startup_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  if (ServerType == SERVER_STANDALONE) {
    keepalive_summary_say();
  }
}

/* Access lists belong to one configuration. */
static void restart_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  keepalive_ftpdctl_start();
}

#if defined(PR_SHARED_MODULE)
static void mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp("mod_keepalive.c", (const char *) event_data) == 0) {
    keepalive_session_stop();
    keepalive_ftpdctl_stop();
    keepalive_ticket_stop();
    pr_event_unregister(&keepalive_module, NULL, NULL);
  }
}
#endif

/* Initialization */

static int keepalive_init(void) {
  if (version_check(MOD_KEEPALIVE_VERSION) < 0) {
    return -1;
  }

#if defined(PR_SHARED_MODULE)
  pr_event_register(
    &keepalive_module, "core.module-unload", mod_unload_ev, NULL);
#endif
  pr_event_register(&keepalive_module, "core.postparse", postparse_ev, NULL);
  pr_event_register(&keepalive_module, "core.restart", restart_ev, NULL);
  pr_event_register(&keepalive_module, "core.startup", startup_ev, NULL);
  keepalive_ftpdctl_start();
  keepalive_ticket_start();

  return 0;
}

/* Module API tables */

static conftable keepalive_conftab[] = {
  { "KeepaliveControlsACLs", set_keepalivecontrolsacls, NULL },
  { "KeepaliveEngine", set_keepaliveengine, NULL },
  { "KeepaliveLog", set_keepalivelog, NULL },
  { "KeepaliveRule", set_keepaliverule, NULL },
  { NULL, NULL, NULL },
};

static cmdtable keepalive_cmdtab[] = {
  { PRE_CMD, C_ANY, G_NONE, keepalive_pre_any, FALSE, FALSE, 0, NULL },
  { LOG_CMD, C_ANY, G_NONE, keepalive_log_any, FALSE, FALSE, 0, NULL },
  { LOG_CMD_ERR, C_ANY, G_NONE, keepalive_log_err_any, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

module keepalive_module = { NULL, NULL,

  /* Module API version 2.0 */
  0x20,

  /* Module name */
  "keepalive",

  /* Module configuration handler table */
  keepalive_conftab,

  /* Module command handler table */
  keepalive_cmdtab,

  /* Module authentication handler table */
  NULL,

  /* Module initialization function */
  keepalive_init,

  /* Session initialization function */
  NULL,

  /* Module version */
  MOD_KEEPALIVE_VERSION,

  /* Handle and priority belong to ProFTPD */
  NULL, 0 };
