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
 * Answers PASV and EPSV: which client gets a port from which pool, and which
 * address it is told. What stock ProFTPD would refuse is left to it to refuse.
 *
 * -----DO NOT EDIT BELOW THIS LINE-----
 * $Archive: mod_natpasv.a $
 */

#include "mod_natpasv.h"
#include "addr.h"
#include "check.h"
#include "count.h"
#include "ctrls.h"
#include "grant.h"
#include "pools.h"
#include "rules.h"
#include "words.h"

#define DEFAULT_TABLE PR_RUN_DIR "/natpasv.tab"

/* Where sessions without a pool, whose ports the kernel chooses, are counted:
 * no pool can have this name. */
#define NO_POOL "*"

static const char *trace_channel = "natpasv";
static int log_fd = -1;

/* What holds for this session; read when the first listener is asked for,
 * because until then mod_ifsession may change it. */
static struct {
  int known;
  int engine;
  const struct natpasv_rule *rule;
  struct natpasv_terms terms;
  int published; /* as notes, these: */
  char port[8];
  char pool[NATPASV_POOL_MAX + 1];
  char address[INET_ADDRSTRLEN];
} state = { .terms.table.fd = -1 };

void natpasv_log(int priority, const char *fmt, ...) {
  char text[512];
  va_list args;

  va_start(args, fmt);
  (void) pr_vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);

  if (log_fd >= 0) {
    (void) pr_log_writefile(log_fd, MOD_NATPASV_VERSION, "%s", text);

  } else {
    pr_log_pri(priority, MOD_NATPASV_VERSION ": %s", text);
  }
}

/* The value of a directive of the server config. */
static const char *main_param(const char *directive, const char *preset) {
  server_rec *s = (server_rec *) server_list->xas_list;
  config_rec *c = find_config(s->conf, CONF_PARAM, directive, FALSE);

  return c != NULL ? c->argv[0] : preset;
}

const char *natpasv_table_path(void) {
  return main_param("NATPasvTable", DEFAULT_TABLE);
}

int natpasv_table_open_as_root(struct natpasv_table *table) {
  int failure, res;

  pr_signals_block();
  PRIVS_ROOT
  res = natpasv_table_open(table, natpasv_table_path());
  failure = errno;
  PRIVS_RELINQUISH
  pr_signals_unblock();

  errno = failure;
  return res;
}

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
 * [listen <local address>] [quarantine <duration>] */
MODRET set_natpasvpool(cmd_rec *cmd) {
  struct natpasv_pool *pool;
  const char *wrong;
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT);

  wrong = natpasv_pool_parse(cmd->server->pool, cmd, &pool);
  if (wrong == NULL) {
    wrong = natpasv_check_new_pool(cmd->tmp_pool, cmd->server, pool);
  }
  if (wrong != NULL) {
    CONF_ERROR(cmd, wrong);
  }

  c = add_config_param(cmd->argv[0], 1, pool);
  c->flags |= CF_MULTI;
  return PR_HANDLED(cmd);
}

/* usage: NATPasvRule <class>|* [pool <name>] [address
 * auto|extip|local|<ipv4>|<name>] [wait <duration>] */
MODRET set_natpasvrule(cmd_rec *cmd) {
  struct natpasv_rule *rule;
  const char *wrong;
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);

  wrong = natpasv_rule_parse(cmd->server->pool, cmd, &rule);
  if (wrong != NULL) {
    CONF_ERROR(cmd, wrong);
  }

  c = add_config_param(cmd->argv[0], 1, rule);
  c->flags |= CF_MULTI;
  return PR_HANDLED(cmd);
}

/* usage: NATPasvTable <path> */
MODRET set_natpasvtable(cmd_rec *cmd) {
  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter, an absolute path");
  }
  CHECK_CONF(cmd, CONF_ROOT);

  if (pr_fs_valid_path(cmd->argv[1]) < 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", (char *) cmd->argv[1],
                      "': expected an absolute path", NULL));
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

/* usage: NATPasvControlsACLs <action>[,<action>]...|all allow|deny user|group
 * <name>[,<name>]... */
MODRET set_natpasvctrlsacls(cmd_rec *cmd) {
  const char *wrong;

  if (cmd->argc != 5) {
    CONF_ERROR(cmd, "expected <actions>|all allow|deny user|group <names>");
  }
  CHECK_CONF(cmd, CONF_ROOT);

  wrong = natpasv_ctrls_set_acls(cmd);
  if (wrong != NULL) {
    CONF_ERROR(cmd, wrong);
  }
  return PR_HANDLED(cmd);
}

/* Session
 */

static void end_of_listener(const struct natpasv_listener_end *how) {
  if (how->port != 0) {
    natpasv_return(&state.terms, how->port);
  }

  if (how->end != NATPASV_NOT_REACHED) {
    return;
  }

  natpasv_count(state.terms.row, NATPASV_UNREACHED);
  natpasv_log(PR_LOG_INFO,
    "client %s never came to port %s of pool '%s', announced %s%s",
    pr_netaddr_get_ipstr(session.c->remote_addr), state.port, state.pool,
    how->announced != NULL ? "with address " : "by EPSV",
    how->announced != NULL ? how->announced : "");

  /* What a client of the LAN cannot reach says nothing about the address that
   * the world sees. */
  if (!natpasv_is_local(session.c->remote_addr)) {
    pr_event_generate("mod_natpasv.unreached", how->announced);
  }
}

static uint32_t client_key(const pr_netaddr_t *addr) {
  return (uint32_t) natpasv_hash(
    NATPASV_HASH, pr_netaddr_get_inaddr(addr), pr_netaddr_get_inaddr_len(addr));
}

static void publish(unsigned port, const char *address) {
  const char *pool =
    state.terms.pool != NULL ? state.terms.pool->name : NO_POOL;

  (void) pr_snprintf(state.port, sizeof(state.port), "%u", port);
  sstrncpy(state.pool, pool, sizeof(state.pool));
  sstrncpy(state.address, address, sizeof(state.address));

  /* The table of notes keeps pointers. */
  if (!state.published) {
    state.published = TRUE;
    (void) pr_table_add(session.notes, "mod_natpasv.pool", state.pool, 0);
    (void) pr_table_add(session.notes, "mod_natpasv.port", state.port, 0);
    (void) pr_table_add(session.notes, "mod_natpasv.address", state.address, 0);
  }
}

static void choose_terms(void) {
  const char *class =
    session.conn_class != NULL ? session.conn_class->cls_name : NULL;
  struct natpasv_terms *terms = &state.terms;

  state.rule = natpasv_rule_choose(main_server->conf, class);
  terms->pool = state.rule->pool != NULL ? natpasv_pool_find(state.rule->pool)
                                         : natpasv_pool_of_passiveports(
                                             session.pool, main_server->conf);
  terms->wait = state.rule->wait;
  terms->lessee.table = &terms->table;
  terms->lessee.client = client_key(session.c->remote_addr);
  terms->lessee.quarantine = terms->pool != NULL ? terms->pool->quarantine : 0;
  terms->row = terms->table.map == NULL
                 ? NULL
                 : natpasv_count_row(&terms->table,
                     terms->pool != NULL ? terms->pool->name : NO_POOL,
                     class != NULL ? class : "");

  pr_trace_msg(trace_channel, 8, "class '%s': rule '%s', pool '%s', wait %u s",
    class != NULL ? class : "",
    state.rule->class != NULL ? state.rule->class : "*",
    terms->pool != NULL ? terms->pool->name : NO_POOL, terms->wait);
}

static int is_engaged(void) {
  if (!state.known) {
    state.known = TRUE;
    state.engine = natpasv_engine(main_server->conf);
    if (state.engine) {
      choose_terms();
    }
  }
  return state.engine;
}

/* Command handlers
 */

static int is_allowed(cmd_rec *cmd) {
  return dir_check(cmd->tmp_pool, cmd, cmd->group, session.cwd, NULL);
}

static const pr_netaddr_t *bind_address(pool *p) {
  const pr_netaddr_t *addr = session.c->local_addr;
  const struct natpasv_pool *pool = state.terms.pool;

  /* An IPv4 client of an IPv6 socket. */
  if (pr_netaddr_get_family(addr) !=
      pr_netaddr_get_family(session.c->remote_addr)) {
    addr = pr_netaddr_v6tov4(p, addr);
  }

  if (pool != NULL && pool->listen != NULL &&
      pr_netaddr_get_family(pool->listen) == pr_netaddr_get_family(addr)) {
    return pool->listen;
  }
  return addr;
}

/* The data connection of the PASV before this one, until it is closed. */
static conn_t *former = NULL;

/* The announced port; 0 after a refusal. The data connection that was open
 * before, if any, is closed by after_reply(). */
static unsigned open_listener(cmd_rec *cmd) {
  char cause[NATPASV_CAUSE_MAX] = "the table of leases is not open";
  int failure;

  former = session.d;
  session.d = NULL;

  errno = ENOENT;
  if (state.terms.pool == NULL || state.terms.table.map != NULL) {
    session.d = natpasv_grant(
      &state.terms, bind_address(cmd->pool), end_of_listener, &former, cause);
  }
  failure = errno;

  if (session.d == NULL) {
    pr_response_send(R_425, _("Unable to build data connection: %s"), cause);
    natpasv_log(failure == EBUSY ? PR_LOG_WARNING : PR_LOG_ERR,
      "%s of client %s refused: %s", (char *) cmd->argv[0],
      pr_netaddr_get_ipstr(session.c->remote_addr), cause);
    pr_cmd_set_errno(cmd, failure);
    natpasv_after_answer(&state.terms);
    natpasv_listener_drop(&former);
    errno = failure;
    return 0;
  }

  session.data_port = session.d->local_port;
  session.sf_flags |= SF_PASSIVE;
  return natpasv_pool_announced(state.terms.pool, session.d->local_port);
}

/* What the client need not wait for: it connects meanwhile. */
static void after_reply(unsigned port, const char *address) {
  natpasv_listener_open_stream();
  natpasv_after_answer(&state.terms);
  natpasv_listener_drop(&former);
  publish(port, address);
  natpasv_listener_prepare(session.d->local_addr);
}

MODRET natpasv_pasv(cmd_rec *cmd) {
  const char *address;
  char text[INET_ADDRSTRLEN], *dot;
  unsigned port;

  if (!is_engaged() || session.sf_flags & SF_EPSV_ALL || cmd->argc != 1 ||
      !is_allowed(cmd)) {
    return PR_DECLINED(cmd);
  }

  port = open_listener(cmd);
  if (port == 0) {
    return PR_ERROR(cmd);
  }

  address = natpasv_address(cmd->pool, state.rule);
  natpasv_listener_announced(address);

  sstrncpy(text, address, sizeof(text));
  for (dot = strchr(text, '.'); dot != NULL; dot = strchr(dot, '.')) {
    *dot = ',';
  }

  /* Not localised: clients look for this text. Sent now, not after POST_CMD and
   * LOG_CMD: the client connects while these run. */
  pr_log_debug(
    DEBUG1, "Entering Passive Mode (%s,%u,%u).", text, port >> 8, port & 255);
  pr_response_send(
    R_227, "Entering Passive Mode (%s,%u,%u).", text, port >> 8, port & 255);
  after_reply(port, address);
  return PR_HANDLED(cmd);
}

/* Whether the argument asks for something that a listener can be opened for:
 * not ALL, nor a protocol that RFC 2428 does not know. */
static int wants_listener(cmd_rec *cmd) {
  char *end = NULL;
  long protocol;

  if (cmd->argc != 2) {
    return pr_netaddr_get_family(session.c->local_addr) == AF_INET ||
           pr_netaddr_use_ipv6();
  }

  protocol = strtol(cmd->argv[1], &end, 10);
  return *end == '\0' &&
         (protocol == 1 || (protocol == 2 && pr_netaddr_use_ipv6()));
}

MODRET natpasv_epsv(cmd_rec *cmd) {
  unsigned port;

  if (!is_engaged() || !wants_listener(cmd) || !is_allowed(cmd)) {
    return PR_DECLINED(cmd);
  }

  port = open_listener(cmd);
  if (port == 0) {
    return PR_ERROR(cmd);
  }

  /* RFC 2428, 3: the address fields of the reply are blank. */
  pr_log_debug(DEBUG1, "Entering Extended Passive Mode (|||%u|)", port);
  pr_response_send(R_229, "Entering Extended Passive Mode (|||%u|)", port);
  after_reply(port, "");
  return PR_HANDLED(cmd);
}

/* Hook: whether PASV in this session is answered here. */
MODRET natpasv_active(cmd_rec *cmd) {
  return natpasv_engine(main_server->conf) ? PR_HANDLED(cmd) : PR_DECLINED(cmd);
}

/* Event handlers
 */

static void natpasv_exit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  natpasv_listener_close();
}

static int natpasv_sess_init(void);

static void natpasv_sess_reinit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  /* HOST: another server, whose configuration is read at its first use. */
  pr_event_unregister(
    &natpasv_module, "core.session-reinit", natpasv_sess_reinit_ev);
  pr_event_unregister(&natpasv_module, "core.exit", natpasv_exit_ev);
  state.known = FALSE;
  (void) natpasv_sess_init();
}

static void natpasv_postparse_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  if (natpasv_check_configuration() < 0) {
    pr_session_end(PR_SESS_END_FL_ERROR);
  }
}

/* A table that no session holds on to is from before; its counters too. */
static void natpasv_startup_ev(const void *event_data, void *user_data) {
  struct natpasv_table table;

  (void) event_data;
  (void) user_data;

  if (ServerType != SERVER_STANDALONE || !natpasv_check_any_engine()) {
    return;
  }

  if (natpasv_table_open_as_root(&table) < 0) {
    pr_log_pri(PR_LOG_ERR,
      MOD_NATPASV_VERSION
      ": error opening NATPasvTable '%s': %s; no session can have a port from "
      "a pool",
      natpasv_table_path(), natpasv_table_error(errno));
    return;
  }

  if (!natpasv_table_busy(&table)) {
    natpasv_table_clear(&table);
  }
  natpasv_table_close(&table);
}

#if defined(PR_SHARED_MODULE)
static void natpasv_mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp("mod_natpasv.c", event_data) == 0) {
    pr_event_unregister(&natpasv_module, NULL, NULL);
    natpasv_ctrls_end();
  }
}
#endif

static void natpasv_restart_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  natpasv_ctrls_restart();
}

/* Initialization
 */

static void open_log(void) {
  const char *path = main_param("NATPasvLog", "none");
  int failure, res;

  if (log_fd >= 0 || strcasecmp(path, "none") == 0) {
    return;
  }

  pr_signals_block();
  PRIVS_ROOT
  res = pr_log_openfile(path, &log_fd, PR_LOG_SYSTEM_MODE);
  failure = errno;
  PRIVS_RELINQUISH
  pr_signals_unblock();

  if (res < 0) {
    log_fd = -1;
    pr_log_pri(PR_LOG_NOTICE,
      MOD_NATPASV_VERSION
      ": unable to open NATPasvLog '%s': %s; using the system log",
      path,
      res == -1 ? strerror(failure)
                : "in a world-writable directory or a symlink");
  }
}

/* Whether something in this server can turn the engine on. */
static int may_be_engaged(void) {
  return find_config(main_server->conf, CONF_PARAM, "NATPasvEngine", TRUE) !=
         NULL;
}

static int natpasv_sess_init(void) {
  pr_event_register(
    &natpasv_module, "core.session-reinit", natpasv_sess_reinit_ev, NULL);

  if (!may_be_engaged()) {
    return 0;
  }

  open_log();

  /* Here and not at the first PASV: that is in the chroot. */
  if (state.terms.table.map == NULL &&
      natpasv_table_open_as_root(&state.terms.table) < 0) {
    natpasv_log(PR_LOG_ERR, "error opening NATPasvTable '%s': %s",
      natpasv_table_path(), natpasv_table_error(errno));
  }

  pr_event_register(&natpasv_module, "core.exit", natpasv_exit_ev, NULL);
  return 0;
}

static int natpasv_init(void) {
  unsigned long running = pr_version_get_number();

  if (running >> 8 != PROFTPD_VERSION_NUMBER >> 8) {
    pr_log_pri(PR_LOG_ERR,
      MOD_NATPASV_VERSION ": built for ProFTPD " PROFTPD_VERSION_TEXT
                          ", this is ProFTPD %s: rebuild the module",
      pr_version_get_str());
    return -1;
  }

  natpasv_ctrls_begin();
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
  { "NATPasvLog", set_natpasvlog, NULL },
  { "NATPasvPool", set_natpasvpool, NULL },
  { "NATPasvRule", set_natpasvrule, NULL },
  { "NATPasvTable", set_natpasvtable, NULL },
  { NULL, NULL, NULL },
};

static cmdtable natpasv_cmdtab[] = {
  { CMD, C_PASV, G_NONE, natpasv_pasv, TRUE, FALSE, CL_MISC, NULL },
  { CMD, C_EPSV, G_NONE, natpasv_epsv, TRUE, FALSE, CL_MISC, NULL },
  { HOOK, "natpasv_active", G_NONE, natpasv_active, FALSE, FALSE, 0, NULL },
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
  natpasv_sess_init,
  MOD_NATPASV_VERSION,

  NULL,
  0,
};
