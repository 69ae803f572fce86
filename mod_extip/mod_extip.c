/*
 * mod_extip - finds out which IPv4 address the world sees this server at
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 *
 * -----DO NOT EDIT BELOW THIS LINE-----
 * $Archive: mod_extip.a $
 * $Libraries: -lcurl -lssl -lcrypto$
 */

/* What ProFTPD calls. The daemon reads the configuration into a plan, opens the
 * table and forks the helper, which asks; a session reads the table. */

#include "conf.h"
#include "privs.h"

#include "ctrl.h"
#include "duration.h"
#include "helper.h"
#include "ipv4.h"
#include "mod_extip.h"
#include "plan.h"
#include "report.h"
#include "session.h"
#include "table.h"

#if PROFTPD_VERSION_NUMBER < 0x0001030800
#error "ProFTPD 1.3.8 or later required"
#endif

#if !defined(EXTIP_STATE_DIR)
#define EXTIP_STATE_DIR "/var/lib/proftpd"
#endif
#define DEFAULT_TABLE EXTIP_STATE_DIR "/extip.tab"

#define ANYWHERE (CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL)

/* A round that takes longer would be in the way of the next one. */
#define TIMEOUT_MAX 300

/* Set once the daemon runs, and kept by ProFTPD while a SIGHUP unloads this
 * module and loads it again: only then may a helper be forked when the
 * configuration has been read, because no core.startup follows. */
#define RUNNING_DEFINE "mod_extip.running"

extern xaset_t *server_list;

__attribute__((visibility("default"))) module extip_module;

static pool *plan_pool = NULL;
static struct extip_plan *plan = NULL;
static struct extip_source_conf *source_confs = NULL;
static struct extip_table table = { -1, -1 };

/* Configuration handlers */

/* ProFTPD's CHECK_ARGS lets superfluous words pass. */
#define CHECK_ARG_COUNT(cmd, count, what) \
  if ((cmd)->argc - 1 != (count)) {       \
    CONF_ERROR((cmd), "expected " what);  \
  }

static const char *complain(
  cmd_rec *cmd, const char *value, const char *allowed) {
  return pstrcat(
    cmd->tmp_pool, "'", value, "' is not allowed: ", allowed, NULL);
}

/* usage: ExtIPBind address */
MODRET set_extipbind(cmd_rec *cmd) {
  struct in_addr addr;
  config_rec *c;

  CHECK_ARG_COUNT(cmd, 1, "an IPv4 address of this host");
  CHECK_CONF(cmd, ANYWHERE);

  if (!extip_ipv4_parse(cmd->argv[1], strlen(cmd->argv[1]), &addr) ||
      addr.s_addr == INADDR_ANY) {
    CONF_ERROR(
      cmd, complain(cmd, cmd->argv[1],
             "expected an IPv4 address of this host, such as 192.168.1.2"));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(addr));
  memcpy(c->argv[0], &addr, sizeof(addr));
  return PR_HANDLED(cmd);
}

/* usage: ExtIPCACertificate path */
MODRET set_extipcacertificate(cmd_rec *cmd) {
  struct stat st;
  int res;

  CHECK_ARG_COUNT(cmd, 1, "the path of a file");
  CHECK_CONF(cmd, ANYWHERE);

  PRIVS_ROOT
  res = stat(cmd->argv[1], &st);
  PRIVS_RELINQUISH

  if (*((char *) cmd->argv[1]) != '/' || res < 0 || !S_ISREG(st.st_mode)) {
    CONF_ERROR(cmd,
      complain(cmd, cmd->argv[1],
        "expected the absolute path of a file with certificates in PEM form"));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPControlsACLs actions|all allow|deny user|group list */
MODRET set_extipcontrolsacls(cmd_rec *cmd) {
  const char *fault;

  CHECK_ARG_COUNT(
    cmd, 4, "actions or all, allow or deny, user or group, and a list");
  CHECK_CONF(cmd, CONF_ROOT);

  if (strcmp(cmd->argv[2], "allow") != 0 && strcmp(cmd->argv[2], "deny") != 0) {
    CONF_ERROR(cmd, complain(cmd, cmd->argv[2], "expected allow or deny"));
  }

  if (strcmp(cmd->argv[3], "user") != 0 && strcmp(cmd->argv[3], "group") != 0) {
    CONF_ERROR(cmd, complain(cmd, cmd->argv[3], "expected user or group"));
  }

  fault = extip_ctrl_set_acl(
    cmd->tmp_pool, cmd->argv[1], cmd->argv[2], cmd->argv[3], cmd->argv[4]);
  if (fault != NULL) {
    CONF_ERROR(cmd, fault);
  }

  return PR_HANDLED(cmd);
}

/* usage: ExtIPEngine on|off */
MODRET set_extipengine(cmd_rec *cmd) {
  int engine;
  config_rec *c;

  CHECK_ARG_COUNT(cmd, 1, "on or off");
  CHECK_CONF(cmd, ANYWHERE);

  engine = get_boolean(cmd, 1);
  if (engine < 0) {
    CONF_ERROR(cmd, complain(cmd, cmd->argv[1], "expected on or off"));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = engine;
  return PR_HANDLED(cmd);
}

/* usage: ExtIPLog path|none */
MODRET set_extiplog(cmd_rec *cmd) {
  CHECK_ARG_COUNT(cmd, 1, "an absolute path or none");
  CHECK_CONF(cmd, CONF_ROOT);

  if (strcasecmp(cmd->argv[1], "none") != 0 &&
      *((char *) cmd->argv[1]) != '/') {
    CONF_ERROR(
      cmd, complain(cmd, cmd->argv[1], "expected an absolute path or none"));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* Reads a duration of at least MIN and at most MAX seconds; NULL or a fault. */
static const char *read_duration(
  cmd_rec *cmd, int arg, unsigned min, unsigned max, unsigned *seconds) {
  char allowed[128];

  if (extip_duration_parse(cmd->argv[arg], seconds) == 0 && *seconds >= min &&
      *seconds <= max) {
    return NULL;
  }

  snprintf(allowed, sizeof(allowed),
    "expected a duration of %u to %u seconds, " EXTIP_DURATION_FORMS, min, max);
  return complain(cmd, cmd->argv[arg], allowed);
}

static void add_unsigned(cmd_rec *cmd, unsigned value) {
  config_rec *c = add_config_param(cmd->argv[0], 1, NULL);

  c->argv[0] = palloc(c->pool, sizeof(value));
  memcpy(c->argv[0], &value, sizeof(value));
}

/* usage: ExtIPMaxAge duration|none */
MODRET set_extipmaxage(cmd_rec *cmd) {
  unsigned seconds = 0;
  const char *fault = NULL;

  CHECK_ARG_COUNT(cmd, 1, "a duration or none");
  CHECK_CONF(cmd, ANYWHERE);

  if (strcasecmp(cmd->argv[1], "none") != 0) {
    fault = read_duration(cmd, 1, 1, EXTIP_DURATION_MAX, &seconds);
  }

  if (fault != NULL) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, fault, ", or none", NULL));
  }

  add_unsigned(cmd, seconds);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPOptions [AllowReserved] [AnnounceToAll] */
MODRET set_extipoptions(cmd_rec *cmd) {
  static const struct {
    const char *name;
    unsigned long option;
  } names[] = {
    { "AllowReserved", EXTIP_OPT_ALLOW_RESERVED },
    { "AnnounceToAll", EXTIP_OPT_ANNOUNCE_TO_ALL },
  };
  unsigned long options = 0;
  config_rec *c;

  if (cmd->argc < 2) {
    CONF_ERROR(cmd, "expected AllowReserved, AnnounceToAll or both");
  }
  CHECK_CONF(cmd, ANYWHERE);

  for (unsigned i = 1; i < (unsigned) cmd->argc; i++) {
    unsigned long option = 0;

    for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
      if (strcasecmp(cmd->argv[i], names[j].name) == 0) {
        option = names[j].option;
      }
    }

    if (option == 0) {
      CONF_ERROR(cmd,
        complain(cmd, cmd->argv[i], "expected AllowReserved or AnnounceToAll"));
    }
    options |= option;
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(options));
  memcpy(c->argv[0], &options, sizeof(options));
  return PR_HANDLED(cmd);
}

/* usage: ExtIPQuorum number */
MODRET set_extipquorum(cmd_rec *cmd) {
  const char *text;
  char allowed[64], *end = NULL;
  unsigned long quorum;

  CHECK_ARG_COUNT(cmd, 1, "a number");
  CHECK_CONF(cmd, ANYWHERE);

  text = cmd->argv[1];
  quorum = strtoul(text, &end, 10);
  if (!PR_ISDIGIT(*text) || *end != '\0' || quorum < 1 ||
      quorum > EXTIP_TABLE_SOURCES) {
    snprintf(allowed, sizeof(allowed), "expected a number of 1 to %d",
      EXTIP_TABLE_SOURCES);
    CONF_ERROR(cmd, complain(cmd, text, allowed));
  }

  add_unsigned(cmd, (unsigned) quorum);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPRefresh interval [first-retry] */
MODRET set_extiprefresh(cmd_rec *cmd) {
  struct extip_refresh_conf refresh = { .retry = 0 };
  const char *fault;
  config_rec *c;

  if (cmd->argc < 2 || cmd->argc > 3) {
    CONF_ERROR(cmd,
      "expected an interval and perhaps a first retry, " EXTIP_DURATION_FORMS);
  }
  CHECK_CONF(cmd, ANYWHERE);

  fault = read_duration(cmd, 1, 1, EXTIP_DURATION_MAX, &refresh.refresh);
  if (fault != NULL) {
    CONF_ERROR(cmd, fault);
  }

  if (cmd->argc == 3) {
    fault = read_duration(cmd, 2, 1, refresh.refresh, &refresh.retry);
    if (fault != NULL) {
      CONF_ERROR(cmd, fault);
    }

  } else {
    refresh.retry =
      refresh.refresh < EXTIP_RETRY ? refresh.refresh : EXTIP_RETRY;
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(refresh));
  memcpy(c->argv[0], &refresh, sizeof(refresh));
  return PR_HANDLED(cmd);
}

/* The parsed sources are not in a pool, and a cleanup of the config_rec's pool
 * would come too late: a SIGHUP unloads the module first. */
static void free_sources(void) {
  for (; source_confs != NULL; source_confs = source_confs->next) {
    extip_source_free(source_confs->source);
  }
}

/* usage: ExtIPSource uri [extract how] [header "Name: value"]... */
MODRET set_extipsource(cmd_rec *cmd) {
  struct extip_source_conf *conf;
  struct extip_source *source;
  config_rec *c;
  char fault[512];
  const char *spec = "";

  if (cmd->argc < 2) {
    CONF_ERROR(cmd, "expected a URI: stun:, stuns:, http:, https:, dns:, if:, "
                    "ec2:, gce: or azure:");
  }
  CHECK_CONF(cmd, ANYWHERE);

  source = extip_source_parse(cmd->argv[1], (char *const *) cmd->argv + 2,
    (size_t) cmd->argc - 2, fault, sizeof(fault));
  if (source == NULL) {
    CONF_ERROR(cmd, fault);
  }

  for (unsigned i = 1; i < (unsigned) cmd->argc; i++) {
    spec = pstrcat(cmd->tmp_pool, spec, cmd->argv[i], "\t", NULL);
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->flags |= CF_MULTI;
  conf = pcalloc(c->pool, sizeof(*conf));
  conf->source = source;
  conf->spec = pstrdup(c->pool, spec);
  conf->global = cmd->config != NULL && cmd->config->config_type == CONF_GLOBAL;
  conf->next = source_confs;
  source_confs = conf;
  c->argv[0] = conf;
  return PR_HANDLED(cmd);
}

/* usage: ExtIPTable path */
MODRET set_extiptable(cmd_rec *cmd) {
  CHECK_ARG_COUNT(cmd, 1, "an absolute path");
  CHECK_CONF(cmd, CONF_ROOT);

  if (*((char *) cmd->argv[1]) != '/' ||
      strlen(cmd->argv[1]) > PR_TUNABLE_PATH_MAX - 16) {
    CONF_ERROR(cmd,
      complain(cmd, cmd->argv[1],
        "expected an absolute path in a directory where only root may write"));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPTimeout duration */
MODRET set_extiptimeout(cmd_rec *cmd) {
  unsigned seconds;
  const char *fault;

  CHECK_ARG_COUNT(cmd, 1, "a duration");
  CHECK_CONF(cmd, ANYWHERE);

  fault = read_duration(cmd, 1, 1, TIMEOUT_MAX, &seconds);
  if (fault != NULL) {
    CONF_ERROR(cmd, fault);
  }

  add_unsigned(cmd, seconds);
  return PR_HANDLED(cmd);
}

/* Command handlers */

MODRET extip_pre_pasv(cmd_rec *cmd) {
  extip_session_prepare_pasv(cmd);
  return PR_DECLINED(cmd);
}

/* HOOK extip_get_addr: the address as a pr_netaddr_t from the cmd's pool. */
MODRET extip_get_addr(cmd_rec *cmd) {
  const pr_netaddr_t *na;
  struct in_addr addr;

  if (extip_session_address(&addr) < 0) {
    return PR_DECLINED(cmd);
  }

  na = extip_netaddr(cmd->pool, addr);
  return na != NULL ? mod_create_data(cmd, (void *) na) : PR_DECLINED(cmd);
}

/* The daemon's life */

static const char *find_path(const char *directive, const char *otherwise) {
  config_rec *c = find_config(main_server->conf, CONF_PARAM, directive, FALSE);

  return c != NULL ? c->argv[0] : otherwise;
}

/* A table that cannot be on the disk is in memory only: the modules work, and
 * the log says what is missing. */
static int open_table(void) {
  const char *path = find_path("ExtIPTable", DEFAULT_TABLE);
  char why[512];
  int res;

  PRIVS_ROOT
  res = extip_table_open(path, &table, why, sizeof(why));
  PRIVS_RELINQUISH

  if (res < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "ExtIPTable '%s' is not used, so that the "
      "address will not survive a restart: %s",
      path, why);
    res = extip_table_anonymous(&table);
    if (res < 0) {
      extip_log(
        EXTIP_LOG_WARNING, "no memory for a table either: %s", strerror(errno));
    }

  } else if (*why != '\0') {
    extip_log(EXTIP_LOG_WARNING, "ExtIPTable %s", why);
  }

  if (res == 0 && (pr_fs_get_usable_fd2(&table.read_fd) < 0 ||
                    pr_fs_get_usable_fd2(&table.write_fd) < 0)) {
    extip_log(
      EXTIP_LOG_WARNING, "no descriptor for the table: %s", strerror(errno));
    extip_table_close(&table);
    res = -1;
  }

  return res;
}

static void start(enum extip_start how) {
  if (plan->quest_count == 0 || open_table() < 0) {
    return;
  }

  extip_ctrl_show(plan, &table);
  if (ServerType == SERVER_STANDALONE) {
    extip_helper_start(plan, &table, how);
  }
}

/* What start() and the reading of the configuration have taken; restart and
 * unloading both come here. */
static void stop(void) {
  extip_helper_stop();
  extip_ctrl_show(NULL, NULL);
  extip_table_close(&table);
  extip_log_close();

  plan = NULL;
  if (plan_pool != NULL) {
    destroy_pool(plan_pool);
    plan_pool = NULL;
  }
  free_sources();
}

/* Event handlers */

static void pass_on_change(const char *addr) {
  pr_event_generate("mod_extip.address-changed", addr);
}

static void extip_signal_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  extip_helper_news(pass_on_change);
}

static void extip_postparse_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  extip_log_open(find_path("ExtIPLog", NULL));
  plan_pool = make_sub_pool(permanent_pool);
  pr_pool_tag(plan_pool, MOD_EXTIP_VERSION);
  plan = extip_plan_make(plan_pool, server_list);

  if (pr_define_exists(RUNNING_DEFINE)) {
    start(EXTIP_START_EARLY);
  }
}

static void extip_startup_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  (void) pr_define_add(RUNNING_DEFINE, TRUE);
  start(EXTIP_START_NOW);
}

static void extip_restart_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  stop();
  extip_ctrl_start();
}

static void extip_shutdown_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  stop();
}

#if defined(PR_SHARED_MODULE)
static void extip_mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp(event_data, "mod_extip.c") == 0) {
    stop();
    extip_ctrl_stop();
    pr_event_unregister(&extip_module, NULL, NULL);
  }
}
#endif

/* In a session: HOST has chosen another server. */
static void extip_sess_reinit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  extip_session_start(plan, &table);
}

/* In a session: nobody came to a passive listener. That speaks against our
 * address only if it was the one announced. */
static void extip_unreached_ev(const void *event_data, void *user_data) {
  struct in_addr addr, ours;

  (void) user_data;
  if (event_data != NULL &&
      extip_ipv4_parse(event_data, strlen(event_data), &addr) &&
      extip_session_address(&ours) == 0 && addr.s_addr == ours.s_addr) {
    (void) extip_helper_wake(EXTIP_WAKE_UNREACHED);
  }
}

/* Initialization */

static int extip_init(void) {
  if (pr_version_get_number() >> 8 != PROFTPD_VERSION_NUMBER >> 8) {
    pr_log_pri(PR_LOG_ERR,
      MOD_EXTIP_VERSION ": built for ProFTPD %s, this is "
                        "ProFTPD %s: rebuild the module",
      PROFTPD_VERSION_TEXT, pr_version_get_str());
    errno = EINVAL;
    return -1;
  }

#if defined(PR_SHARED_MODULE)
  pr_event_register(
    &extip_module, "core.module-unload", extip_mod_unload_ev, NULL);
#endif
  pr_event_register(&extip_module, "core.postparse", extip_postparse_ev, NULL);
  pr_event_register(&extip_module, "core.restart", extip_restart_ev, NULL);
  pr_event_register(&extip_module, "core.shutdown", extip_shutdown_ev, NULL);
  pr_event_register(&extip_module, "core.signal.USR2", extip_signal_ev, NULL);
  pr_event_register(&extip_module, "core.startup", extip_startup_ev, NULL);
  extip_ctrl_start();
  return 0;
}

static int extip_sess_init(void) {
  pr_event_unregister(&extip_module, "core.restart", NULL);
  pr_event_unregister(&extip_module, "core.shutdown", NULL);
  pr_event_unregister(&extip_module, "core.signal.USR2", NULL);

  if (ServerType == SERVER_INETD && table.write_fd >= 0) {
    extip_helper_once(plan, &table);
  }

  extip_helper_leave();
  if (table.write_fd >= 0) {
    (void) close(table.write_fd);
    table.write_fd = -1;
  }

  pr_event_register(
    &extip_module, "core.session-reinit", extip_sess_reinit_ev, NULL);
  pr_event_register(
    &extip_module, "mod_natpasv.unreached", extip_unreached_ev, NULL);
  extip_session_start(plan, &table);
  return 0;
}

/* Module API tables */

static conftable extip_conftab[] = {
  { "ExtIPBind", set_extipbind, NULL },
  { "ExtIPCACertificate", set_extipcacertificate, NULL },
  { "ExtIPControlsACLs", set_extipcontrolsacls, NULL },
  { "ExtIPEngine", set_extipengine, NULL },
  { "ExtIPLog", set_extiplog, NULL },
  { "ExtIPMaxAge", set_extipmaxage, NULL },
  { "ExtIPOptions", set_extipoptions, NULL },
  { "ExtIPQuorum", set_extipquorum, NULL },
  { "ExtIPRefresh", set_extiprefresh, NULL },
  { "ExtIPSource", set_extipsource, NULL },
  { "ExtIPTable", set_extiptable, NULL },
  { "ExtIPTimeout", set_extiptimeout, NULL },
  { NULL, NULL, NULL },
};

static cmdtable extip_cmdtab[] = {
  { PRE_CMD, C_PASV, G_NONE, extip_pre_pasv, FALSE, FALSE, 0, NULL },
  { HOOK, "extip_get_addr", G_NONE, extip_get_addr, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

module extip_module = {
  NULL,
  NULL,

  /* Module API version 2.0 */
  0x20,

  "extip",
  extip_conftab,
  extip_cmdtab,
  NULL,
  extip_init,
  extip_sess_init,
  MOD_EXTIP_VERSION,
  NULL,
  0,
};
