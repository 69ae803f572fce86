/*
 * mod_natpasv - passive ports from pools, for servers behind NAT
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * What ProFTPD calls: directives, events and tables.
 *
 * -----DO NOT EDIT BELOW THIS LINE-----
 * $Archive: mod_natpasv.a $
 */

#include "mod_natpasv.h"
#include "check.h"
#include "common_clients.h"
#include "common_running.h"
#include "common_version.h"
#include "config.h"
#include "forwards.h"
#include "ftpdctl.h"
#include "options.h"
#include "pasv.h"
#include "pools.h"
#include "rules.h"
#include "samples.h"
#include "shared.h"
#include "summary.h"

/* Configuration handlers
 */

/* usage: NATPasvEngine on|off */
MODRET set_natpasvengine(cmd_rec *cmd) {
  int engine;
  config_rec *c;

  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter, on or off");
  }
  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);

  engine = get_boolean(cmd, 1);
  if (engine == -1) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", (char *) cmd->argv[1],
                      "': expected on or off", NULL));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = engine;
  return PR_HANDLED(cmd);
}

/* usage: NATPasvPool <name> <ports>[,<ports>]... [external <first port>]
 * [slice <k>/<n>] [listen <local address>] [quarantine <duration>] */
MODRET set_natpasvpool(cmd_rec *cmd) {
  char reason[NATPASV_REASON_SIZE];
  struct natpasv_pool *pool = NULL;
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT);

  pool = natpasv_pool_parse(cmd->server->pool, cmd, reason, sizeof(reason));
  if (pool == NULL || natpasv_check_new_pool(cmd->tmp_pool, cmd->server, pool,
                        reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  c = add_config_param(cmd->argv[0], 1, pool);
  c->flags |= CF_MULTI;
  return PR_HANDLED(cmd);
}

/* usage: NATPasvRule <class>|* [pool <name>] [address
 * auto|extip|local|<ipv4>|<name>] [wait <duration>]
 * [from auto|client|client/<bits>|<class>|any] [share fair|any]
 * [active peer|strict|off] */
MODRET set_natpasvrule(cmd_rec *cmd) {
  char reason[NATPASV_REASON_SIZE];
  struct natpasv_rule *rule;
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);

  rule = natpasv_rule_parse(cmd->server->pool, cmd, reason, sizeof(reason));
  if (rule == NULL) {
    CONF_ERROR(cmd, reason);
  }

  c = add_config_param(cmd->argv[0], 1, rule);
  c->flags |= CF_MULTI;
  return PR_HANDLED(cmd);
}

/* usage: NATPasvTable none|<path> */
MODRET set_natpasvtable(cmd_rec *cmd) {
  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter, none or an absolute path");
  }
  CHECK_CONF(cmd, CONF_ROOT);

  if (strcasecmp(cmd->argv[1], "none") != 0 &&
      pr_fs_valid_path(cmd->argv[1]) < 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", (char *) cmd->argv[1],
                      "': expected none or an absolute path", NULL));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* usage: NATPasvLog <path>|none */
MODRET set_natpasvlog(cmd_rec *cmd) {
  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter, an absolute path or none");
  }
  CHECK_CONF(cmd, CONF_ROOT);

  if (strcasecmp(cmd->argv[1], "none") != 0 &&
      pr_fs_valid_path(cmd->argv[1]) < 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", (char *) cmd->argv[1],
                      "': expected an absolute path or none", NULL));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* usage: NATPasvControlsACLs actions|all allow|deny user|group list */
MODRET set_natpasvctrlsacls(cmd_rec *cmd) {
  char reason[NATPASV_REASON_SIZE];

  CHECK_CONF(cmd, CONF_ROOT);

  if (natpasv_ftpdctl_configure(cmd, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }
  return PR_HANDLED(cmd);
}

/* HOOK natpasv_active: whether this module answers PASV in this session. */
MODRET natpasv_active(cmd_rec *cmd) {
  return natpasv_config_engine(main_server->conf) ? PR_HANDLED(cmd)
                                                  : PR_DECLINED(cmd);
}

/* HOOK natpasv_check: ports of each pool that can be tried from outside. */
MODRET natpasv_check(cmd_rec *cmd) {
  return natpasv_config_any_engine()
           ? mod_create_data(cmd, natpasv_samples(cmd->pool))
           : PR_DECLINED(cmd);
}

/* HOOK natpasv_ports: the ports that a router would have to forward. */
MODRET natpasv_ports(cmd_rec *cmd) {
  return natpasv_config_any_engine()
           ? mod_create_data(cmd, natpasv_forwards_wanted(cmd->pool))
           : PR_DECLINED(cmd);
}

/* Event handlers
 */

static void natpasv_postparse_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  if (natpasv_config_any_engine()) {
    natpasv_shared_reload();
  }

  if (natpasv_check_configuration() < 0) {
    pr_session_end(PR_SESS_END_FL_ERROR);
  }

  if (ServerType == SERVER_STANDALONE && daemon_is_running()) {
    natpasv_summary_say();
  }
}

static void natpasv_startup_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  if (ServerType == SERVER_STANDALONE) {
    natpasv_shared_begin(natpasv_config_any_engine());
    natpasv_summary_say();
  }
}

#if defined(PR_SHARED_MODULE)
static void natpasv_mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp("mod_natpasv.c", event_data) == 0) {
    pr_event_unregister(&natpasv_module, NULL, NULL);
    natpasv_ftpdctl_stop();
    natpasv_shared_stop();
  }
}
#endif

static void natpasv_restart_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  natpasv_ftpdctl_stop();
  natpasv_ftpdctl_start();
}

/* Initialization
 */

static int natpasv_init(void) {
  if (version_check(MOD_NATPASV_VERSION) < 0) {
    return -1;
  }

  natpasv_ftpdctl_start();
#if defined(PR_SHARED_MODULE)
  pr_event_register(
    &natpasv_module, "core.module-unload", natpasv_mod_unload_ev, NULL);
#endif
  pr_event_register(
    &natpasv_module, "core.postparse", natpasv_postparse_ev, NULL);
  pr_event_register(&natpasv_module, "core.restart", natpasv_restart_ev, NULL);
  pr_event_register(&natpasv_module, "core.startup", natpasv_startup_ev, NULL);
  return 0;
}

/* Module API tables
 */

static conftable natpasv_conftab[] = {
  { "NATPasvControlsACLs", set_natpasvctrlsacls, NULL },
  { "NATPasvEngine", set_natpasvengine, NULL },
  { "NATPasvLocal", set_natpasvlocal, NULL },
  { "NATPasvLog", set_natpasvlog, NULL },
  { "NATPasvPool", set_natpasvpool, NULL },
  { "NATPasvRule", set_natpasvrule, NULL },
  { "NATPasvTable", set_natpasvtable, NULL },
  { NULL, NULL, NULL },
};

static cmdtable natpasv_cmdtab[] = {
  { CMD, C_PASV, G_NONE, natpasv_pasv, TRUE, FALSE, CL_MISC, NULL },
  { CMD, C_EPSV, G_NONE, natpasv_epsv, TRUE, FALSE, CL_MISC, NULL },
  { PRE_CMD, C_USER, G_NONE, natpasv_login, FALSE, FALSE, 0, NULL },
  { PRE_CMD, C_PASS, G_NONE, natpasv_login, FALSE, FALSE, 0, NULL },
  { PRE_CMD, C_PORT, G_NONE, natpasv_port, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_EPRT, G_NONE, natpasv_port, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_APPE, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_LIST, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_MLSD, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_NLST, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_RETR, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_STOR, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { PRE_CMD, C_STOU, G_NONE, natpasv_transfer, TRUE, FALSE, 0, NULL },
  { POST_CMD_ERR, C_ANY, G_NONE, natpasv_failed, FALSE, FALSE, 0, NULL },
  { HOOK, "natpasv_active", G_NONE, natpasv_active, FALSE, FALSE, 0, NULL },
  { HOOK, "natpasv_check", G_NONE, natpasv_check, FALSE, FALSE, 0, NULL },
  { HOOK, "natpasv_ports", G_NONE, natpasv_ports, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

__attribute__((visibility("default"))) module natpasv_module = {
  NULL,
  NULL,

  /* Module API version */
  0x20,

  "natpasv",
  natpasv_conftab,
  natpasv_cmdtab,
  NULL,
  natpasv_init,
  NULL,
  MOD_NATPASV_VERSION,

  NULL,
  0,
};
