/*
 * mod_extip - discovers the IPv4 address under which the Internet sees this
 * server
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
 * $Libraries: -ldl$
 */

/* What ProFTPD calls. The daemon reads the configuration into a plan, opens the
 * table and starts the helper, which asks the sources. A session reads the
 * table. */

#include "conf.h"
#include "privs.h"

#include "common_clients.h"
#include "common_compat.h"
#include "common_running.h"
#include "common_version.h"
#include "directives.h"
#include "forward_ports.h"
#include "ftpdctl.h"
#include "helper.h"
#include "ipv4.h"
#include "mod_extip.h"
#include "plan.h"
#include "log.h"
#include "session.h"
#include "shared.h"
#include "summary.h"

#if !defined(EXTIP_STATE_DIR)
#define EXTIP_STATE_DIR "/var/lib/proftpd"
#endif
#define DEFAULT_TABLE EXTIP_STATE_DIR "/extip.tab"

/* Set once the daemon runs, and kept by ProFTPD while SIGHUP unloads this
 * module and loads it again. If it is set, the helper is started when the
 * configuration has been read, because no core.startup follows. */
#define RUNNING_DEFINE "mod_extip.running"

extern xaset_t *server_list;

__attribute__((visibility("default"))) module extip_module;

static pool *plan_pool = NULL;
static struct extip_plan *plan = NULL;
static bool in_session =
  false; /* where the events of the daemon mean nothing */
static struct extip_task task;

/* Command handlers */

MODRET extip_pre_pasv(cmd_rec *cmd) {
  extip_session_prepare_pasv(cmd);
  return PR_DECLINED(cmd);
}

MODRET extip_pre_port(cmd_rec *cmd) {
  extip_session_prepare_port(cmd);
  return PR_DECLINED(cmd);
}

/* HOOK extip_announce_to_all: whether local clients are told it as well. */
MODRET extip_announce_to_all(cmd_rec *cmd) {
  return extip_session_announces_to_all() ? PR_HANDLED(cmd) : PR_DECLINED(cmd);
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

/* HOOK extip_forward: which forward a port has; without a port, all. */
MODRET extip_forward(cmd_rec *cmd) {
  void *data = cmd->argc == 1
                 ? (void *) extip_session_forwards()
                 : (void *) extip_session_forward(cmd->pool, cmd->argv[1]);

  return data != NULL ? mod_create_data(cmd, data) : PR_DECLINED(cmd);
}

/* The daemon's life */

static const char *find_path(const char *directive, const char *otherwise) {
  config_rec *c = find_config(main_server->conf, CONF_PARAM, directive, FALSE);

  return c != NULL ? c->argv[0] : otherwise;
}

/* Gives each discovery its record in the table. */
static void claim_records(void) {
  size_t records[EXTIP_TABLE_ANSWERS];

  extip_table_claim(
    extip_shared_table(), plan->owners, plan->discovery_count, records);
  for (size_t i = 0; i < plan->discovery_count; i++) {
    plan->discoveries[i].record = records[i];
  }
}

/* The environment is for mod_exec, which is not given the data of an event. It
 * is not left to the sessions, each of which has its own address. */
static void pass_on_change(const char *addr) {
  (void) pr_env_set(plan_pool, EXTIP_ENV_ADDRESS, addr);
  pr_event_generate("mod_extip.address-changed", addr);
  (void) pr_env_unset(plan_pool, EXTIP_ENV_ADDRESS);
}

/* False: there is no memory, which has been said. */
static bool start(enum extip_start how) {
  const char *path = find_path("ExtIPTable", DEFAULT_TABLE);
  bool empty;

  if (plan->discovery_count == 0) {
    if (find_path("ExtIPForward", NULL) != NULL) {
      extip_log(EXTIP_LOG_WARNING,
        "ExtIPForward does nothing: it needs ExtIPEngine on and an ExtIPSource, such as natpmp:");
    }
    return true;
  }

  if (extip_shared_make(&empty) < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "no memory to share with sessions: %s; no source will be asked",
      strerror(errno));
    return false;
  }

  path = strcasecmp(path, "none") == 0 ? "" : path;
  if (empty && *path != '\0') {
    extip_shared_load(path);
  }

  claim_records();
  if (daemon_uid == 0) {
    extip_log(EXTIP_LOG_WARNING,
      "User is root, so that the helper process, which reads what comes from the network, is root as well: configure another User");
  }

  task.user = daemon_uid;
  task.group = daemon_gid;
  task.start = how;
  task.table = path;
  task.discoveries = plan->discoveries;
  task.count = plan->discovery_count;
  extip_forward_ports_read(plan_pool, plan, &task.router);
  extip_forward_table_claim(extip_shared_forwards(), task.router.ports,
    task.router.port_count,
    task.router.forwards.passive && task.router.port_count > 0);
  extip_ftpdctl_show(plan);
  if (ServerType == SERVER_STANDALONE) {
    extip_helper_start(&task, pass_on_change);
  }
  return true;
}

static void start_and_say(enum extip_start how) {
  task.router.port_count = 0;
  if (start(how) && ServerType == SERVER_STANDALONE) {
    extip_summary_say(plan, &task.router);
  }
}

/* Releases what start() and the reading of the configuration have taken. Called
 * on restart and on unloading. */
static void stop(void) {
  extip_helper_stop();
  extip_ftpdctl_show(NULL);
  extip_session_forwards_free();
  extip_shared_free();
  extip_log_close();

  plan = NULL;
  if (plan_pool != NULL) {
    destroy_pool(plan_pool);
    plan_pool = NULL;
  }
  extip_directives_free();
}

/* Event handlers */

static void extip_signal_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  if (!in_session) {
    extip_helper_news();
  }
}

static void extip_startup_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  (void) pr_define_add(RUNNING_DEFINE, TRUE);
  start_and_say(EXTIP_START_NOW);
}

/* mod_natpasv does so, too. */
static void check_local_clients(void) {
  for (server_rec *s = (server_rec *) server_list->xas_list;
       s != NULL && !pr_module_exists("mod_natpasv.c"); s = s->next) {
    clients_check(MOD_EXTIP_VERSION, s);
  }
}

static void extip_postparse_ev(const void *event_data, void *user_data) {
  char reason[256];

  (void) event_data;
  (void) user_data;

  extip_log_open(find_path("ExtIPLog", NULL));
  plan_pool = make_sub_pool(permanent_pool);
  pr_pool_tag(plan_pool, MOD_EXTIP_VERSION);
  plan = extip_plan_make(plan_pool, server_list, reason, sizeof(reason));
  if (plan == NULL) {
    pr_log_pri(PR_LOG_ERR, MOD_EXTIP_VERSION ": error: %s", reason);
    pr_session_end(PR_SESS_END_FL_ERROR);
  }

  check_local_clients();
  if (pr_define_exists(RUNNING_DEFINE)) {
    start_and_say(EXTIP_START_EARLY);

  } else if (ServerType == SERVER_STANDALONE && daemon_is_running()) {
    extip_startup_ev(NULL, NULL);
  }
}

static void extip_restart_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  if (in_session) {
    return;
  }

  /* Without a file, the next helper could not renew the forwards. */
  if (task.table != NULL && *task.table == '\0') {
    extip_helper_close();
  }
  stop();
  extip_ftpdctl_start();
}

static void extip_shutdown_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  if (!in_session) {
    extip_helper_close();
    stop();
  }
}

#if defined(PR_SHARED_MODULE)
static void extip_mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp(event_data, "mod_extip.c") == 0) {
    stop();
    extip_ftpdctl_stop();
    pr_event_unregister(&extip_module, NULL, NULL);
  }
}
#endif

/* In a session: HOST has chosen another server. */
static void extip_sess_reinit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  extip_session_start(plan);
}

/* In a session: no client connected to a passive listener. */
static void extip_unreached_ev(const void *event_data, void *user_data) {
  struct in_addr addr;

  (void) user_data;
  if (event_data != NULL &&
      extip_ipv4_parse(event_data, strlen(event_data), &addr)) {
    extip_session_doubt(addr);
  } else {
    extip_session_doubt_forwards();
  }
}

/* Initialization */

static int extip_init(void) {
  if (version_check(MOD_EXTIP_VERSION) < 0) {
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
  pr_event_register(
    &extip_module, "mod_natpasv.unreached", extip_unreached_ev, NULL);
  extip_ftpdctl_start();
  return 0;
}

static int extip_sess_init(void) {
  in_session = true;

  /* Here, because the sessions' modules change the list of this event: what the
   * daemon had put there would be copied for each. */
  pr_event_register(
    &extip_module, "core.session-reinit", extip_sess_reinit_ev, NULL);
  if (ServerType == SERVER_INETD && extip_shared_view() != NULL) {
    extip_helper_once(&task);
  }

  extip_helper_leave();
  extip_shared_leave();
  extip_session_start(plan);
  return 0;
}

/* Module API tables */

static cmdtable extip_cmdtab[] = {
  { PRE_CMD, C_EPRT, G_NONE, extip_pre_port, FALSE, FALSE, 0, NULL },
  { PRE_CMD, C_PASV, G_NONE, extip_pre_pasv, FALSE, FALSE, 0, NULL },
  { PRE_CMD, C_PORT, G_NONE, extip_pre_port, FALSE, FALSE, 0, NULL },
  { HOOK, "extip_announce_to_all", G_NONE, extip_announce_to_all, FALSE, FALSE,
    0, NULL },
  { HOOK, "extip_forward", G_NONE, extip_forward, FALSE, FALSE, 0, NULL },
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
