/*
 * mod_keepalive - keeps the control connection open while data flows
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

/* What ProFTPD calls.  A command that will keep the control connection silent
 * gets its keepalive at PRE_CMD and gives it back at LOG_CMD or LOG_CMD_ERR;
 * between commands there is nothing of ours.
 */

#include "conf.h"
#include "privs.h"

#include "method.h"
#include "path.h"
#include "rule.h"
#include "sockopt.h"

#define MOD_KEEPALIVE_VERSION "mod_keepalive/0.1"

#if PROFTPD_VERSION_NUMBER < 0x0001030800
# error "ProFTPD 1.3.8 or later required"
#endif

/* mod_tls keeps the SSL object of a stream in the stream's notes. */
#define TLS_NOTE "mod_tls.SSL"

#define METHOD_NOTE "mod_keepalive.method"
#define SENT_NOTE "mod_keepalive.sent"

extern xaset_t *server_list;

__attribute__((visibility("default"))) module keepalive_module;

static const char *trace_channel = "keepalive";

/* What one session does, from its login or its HOST on. */
static struct {
  int engine;
  int logfd;
  struct keepalive_rule rule;
  int have_rule;   /* the rule was chosen, after login */
  int warned;      /* the fall-back to tcp was logged */
} sess = { .logfd = -1 };

/* The command that is being kept alive. */
static struct {
  const cmd_rec *cmd;
  struct keepalive_sockopts before, during;
  int have_sockopts;
  int timer_id; /* 0: none */
  enum keepalive_method payload; /* what the timer sends */
  unsigned long sent, skipped[KEEPALIVE_RESULTS];
  char sent_text[24];
} xfer;

/* Guards the control connection against being written to from within a write:
 * ProFTPD runs timers there as well.  A write is under way from its event until
 * the counter of raw bytes moves.
 */
static struct {
  int listening;
  int pending;
  off_t raw_out;
} writer;

/* Dead downloads; see keep_stall_timeout(). */
static struct {
  uint64_t moved;
  double since;
} stall;

static int keepalive_sess_init(void);

__attribute__((format(printf, 1, 2)))
static void keepalive_log(const char *fmt, ...) {
  char text[512];
  va_list args;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);

  if (sess.logfd >= 0) {
    (void) pr_log_writefile(sess.logfd, MOD_KEEPALIVE_VERSION, "%s", text);

  } else {
    pr_log_pri(PR_LOG_NOTICE, "%s: %s", MOD_KEEPALIVE_VERSION, text);
  }
}

static int control_fd(void) {
  return session.c != NULL && session.c->outstrm != NULL
    ? PR_NETIO_FD(session.c->outstrm)
    : -1;
}

static struct ssl_st *control_ssl(void) {
  return (struct ssl_st *) pr_table_get(session.c->outstrm->notes, TLS_NOTE, NULL);
}

static void set_note(const char *key, const char *value) {
  size_t len = strlen(value) + 1;

  if (pr_table_set(session.notes, key, value, len) < 0) {
    (void) pr_table_add(session.notes, key, value, len);
  }
}

/* The rule of this session.  Chosen late, for mod_ifsession merges its sections
 * at login.
 */
static void choose_rule(void) {
  const struct keepalive_rule *best = NULL;
  const char *class_name = NULL;
  char text[128];
  config_rec *c;

  if (session.conn_class != NULL) {
    class_name = session.conn_class->cls_name;
  }

  for (c = find_config(main_server->conf, CONF_PARAM, "KeepaliveRule", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "KeepaliveRule", FALSE)) {
    best = keepalive_rule_choose(best, c->argv[0], class_name);
  }

  sess.rule = best != NULL ? *best : keepalive_rule_default;
  sess.have_rule = TRUE;
  pr_trace_msg(trace_channel, 5, "class '%s': KeepaliveRule %s",
    class_name != NULL ? class_name : "(none)",
    keepalive_rule_print(&sess.rule, text, sizeof(text)));
}

/* Socket options: taken from the control connection, and given back. */

static void take_sockopts(unsigned int deadline) {
  int fd = control_fd();

  if (xfer.have_sockopts) {
    return;
  }

  if (keepalive_sockopts_get(fd, &xfer.before) < 0) {
    pr_trace_msg(trace_channel, 3, "no TCP options on the control connection: "
      "%s", strerror(errno));
    return;
  }

  keepalive_sockopts_plan(&xfer.before, sess.rule.interval, deadline,
    &xfer.during);
  if (keepalive_sockopts_change(fd, &xfer.before, &xfer.during) < 0) {
    keepalive_log("unable to set TCP keepalive on the control connection: %s; "
      "going on without", strerror(errno));
  }

  xfer.have_sockopts = TRUE;
}

static void return_sockopts(void) {
  int fd = control_fd();

  if (!xfer.have_sockopts) {
    return;
  }

  xfer.have_sockopts = FALSE;
  if (fd >= 0 &&
      keepalive_sockopts_change(fd, &xfer.during, &xfer.before) < 0) {
    pr_trace_msg(trace_channel, 3, "unable to restore the TCP options of the "
      "control connection: %s", strerror(errno));
  }
}

/* Writing on the control connection. */

static void ctrl_write_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  writer.pending = TRUE;
  writer.raw_out = session.total_raw_out;
}

static int is_being_written(void) {
  if (writer.pending && session.total_raw_out != writer.raw_out) {
    writer.pending = FALSE;
  }

  return writer.pending;
}

static void listen_to_writes(void) {
  if (!writer.listening) {
    pr_event_register(&keepalive_module, "core.ctrl-write", ctrl_write_ev,
      NULL);
    writer.listening = TRUE;
  }
}

static void stop_listening_to_writes(void) {
  if (writer.listening) {
    pr_event_unregister(&keepalive_module, "core.ctrl-write", ctrl_write_ev);
    memset(&writer, 0, sizeof(writer));
  }
}

static enum keepalive_result send_payload(void) {
  unsigned long written = 0;
  enum keepalive_result res;

  if (is_being_written()) {
    return KEEPALIVE_BUSY;
  }

  /* A full control connection would hold up the data transfer. */
  if (!keepalive_path_writable(control_fd())) {
    return KEEPALIVE_FULL;
  }

  res = keepalive_tls_send(control_ssl(), &written);
  session.total_raw_out += written;
  return res;
}

static void send_keepalive(void) {
  enum keepalive_result res = send_payload();

  if (res != KEEPALIVE_SENT) {
    xfer.skipped[res]++;
    pr_trace_msg(trace_channel, 7, "keepalive skipped: %s",
      keepalive_result_reason(res));
    return;
  }

  xfer.sent++;
  snprintf(xfer.sent_text, sizeof(xfer.sent_text), "%lu", xfer.sent);
  set_note(SENT_NOTE, xfer.sent_text);
  pr_trace_msg(trace_channel, 9, "keepalive %lu sent by %s", xfer.sent,
    keepalive_method_name(xfer.payload));
}

/* Our timer interrupts a sendfile(2) that waits for a dead client, and ProFTPD
 * starts TimeoutStalled anew after every interruption.  So the time without
 * progress is counted here as well, and its end is the one of data.c.
 */
static void keep_stall_timeout(double now) {
  int timeout = pr_data_get_timeout(PR_DATA_TIMEOUT_STALLED);
  struct keepalive_path path = { 0 };
  uint64_t moved;

  if (timeout <= 0 || session.d == NULL || session.d->outstrm == NULL) {
    return;
  }

  if (keepalive_path_look(PR_NETIO_FD(session.d->outstrm), &path) < 0) {
    return;
  }

  moved = path.moved + (uint64_t) session.xfer.total_bytes;
  if (moved != stall.moved || stall.since == 0) {
    stall.moved = moved;
    stall.since = now;
    return;
  }

  if (now - stall.since < timeout) {
    return;
  }

  pr_event_generate("core.timeout-stalled", NULL);
  pr_log_pri(PR_LOG_NOTICE, "Data transfer stall timeout: %d %s", timeout,
    timeout != 1 ? "seconds" : "second");
  pr_session_disconnect(NULL, PR_SESS_DISCONNECT_TIMEOUT,
    "TimeoutStalled during data transfer");
}

static int timer_cb(CALLBACK_FRAME) {
  int xerrno = errno;

  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;

  if (session.c != NULL && (session.sf_flags & SF_XFER) && !XFER_ABORTED) {
    keep_stall_timeout(keepalive_now());
    send_keepalive();
  }

  errno = xerrno;
  return 1;
}

static void start_timer(unsigned int seconds) {
  memset(&stall, 0, sizeof(stall));
  listen_to_writes();
  xfer.timer_id = pr_timer_add((int) seconds, -1, &keepalive_module, timer_cb,
    "keepalive");
  if (xfer.timer_id < 0) {
    keepalive_log("unable to start a timer: %s; sending no keepalives",
      strerror(errno));
    xfer.timer_id = 0;
  }
}

static void stop_timer(void) {
  if (xfer.timer_id != 0) {
    pr_timer_remove(xfer.timer_id, &keepalive_module);
    xfer.timer_id = 0;
  }
}

/* The method for this command: does the kernel probe, and what is written?
 * Asked anew for each command, since AUTH TLS and CCC change the answer.
 */
static const char *choose_method(int *probes, enum keepalive_method *payload) {
  int tls = keepalive_tls_possible(control_ssl());

  *probes = FALSE;
  *payload = KEEPALIVE_NONE;

  switch (sess.rule.method) {
    case KEEPALIVE_AUTO:
      *probes = TRUE;
      *payload = tls ? KEEPALIVE_TLS : KEEPALIVE_NONE;
      return tls ? "tcp+tls" : "tcp";

    case KEEPALIVE_TLS:
      if (tls) {
        *payload = KEEPALIVE_TLS;
        return "tls";
      }

      if (!sess.warned) {
        keepalive_log("method tls needs a control connection with TLS 1.3, "
          "this one has %s: using tcp", keepalive_tls_version(control_ssl()));
        sess.warned = TRUE;
      }
      *probes = TRUE;
      return "tcp";

    case KEEPALIVE_TCP:
      *probes = TRUE;
      return "tcp";

    default:
      *payload = sess.rule.method;
      return keepalive_method_name(sess.rule.method);
  }
}

/* Commands that keep the control connection silent for long. */
static const struct {
  const char *name;
  const char *site; /* of SITE: the word after it */
  int transfers;    /* opens a data connection */
} silent_cmds[] = {
  { C_RETR, NULL, TRUE },
  { C_STOR, NULL, TRUE },
  { C_STOU, NULL, TRUE },
  { C_APPE, NULL, TRUE },
  { C_LIST, NULL, TRUE },
  { C_NLST, NULL, TRUE },
  { C_MLSD, NULL, TRUE },
  /* mod_digest */
  { "HASH", NULL, FALSE },
  { "MD5", NULL, FALSE },
  { "XCRC", NULL, FALSE },
  { "XMD5", NULL, FALSE },
  { "XSHA", NULL, FALSE },
  { "XSHA1", NULL, FALSE },
  { "XSHA256", NULL, FALSE },
  { "XSHA512", NULL, FALSE },
  /* mod_copy */
  { C_SITE, "CPTO", FALSE },
  { C_SITE, "COPY", FALSE },
  { NULL, NULL, FALSE },
};

static int is_silent_cmd(const cmd_rec *cmd, int *transfers) {
  int i;

  for (i = 0; silent_cmds[i].name != NULL; i++) {
    if (strcmp(cmd->argv[0], silent_cmds[i].name) == 0 &&
        (silent_cmds[i].site == NULL ||
         (cmd->argc > 1 &&
          strcasecmp(cmd->argv[1], silent_cmds[i].site) == 0))) {
      *transfers = silent_cmds[i].transfers;
      return TRUE;
    }
  }

  return FALSE;
}

/* The other protocols of ProFTPD have keepalives of their own. */
static int is_ftp(void) {
  const char *protocol = pr_session_get_protocol(0);

  return strcmp(protocol, "ftp") == 0 || strcmp(protocol, "ftps") == 0;
}

static void begin(const cmd_rec *cmd, int transfers) {
  const char *method;
  int probes;

  xfer.cmd = cmd;
  xfer.sent = 0;
  memset(xfer.skipped, 0, sizeof(xfer.skipped));

  method = choose_method(&probes, &xfer.payload);
  set_note(METHOD_NOTE, method);
  set_note(SENT_NOTE, "0");

  if (probes) {
    take_sockopts(0);
  }

  if (transfers && xfer.payload != KEEPALIVE_NONE) {
    start_timer(sess.rule.interval);
  }

  pr_trace_msg(trace_channel, 8, "%s: method %s", (char *) cmd->argv[0],
    method);
}

static void end(void) {
  stop_timer();
  return_sockopts();
  xfer.cmd = NULL;
}

/* Directive handlers */

/* usage: KeepaliveEngine on|off */
MODRET set_keepaliveengine(cmd_rec *cmd) {
  config_rec *c;
  int engine;

  if (cmd->argc != 2) {
    CONF_ERROR(cmd, "expected one parameter: on or off");
  }
  CHECK_CONF(cmd, CONF_ROOT|CONF_VIRTUAL|CONF_GLOBAL);

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
  CHECK_CONF(cmd, CONF_ROOT|CONF_VIRTUAL|CONF_GLOBAL);

  path = cmd->argv[1];
  if (*path != '/' && strcasecmp(path, "none") != 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "'", path,
      "': expected an absolute path, or none", NULL));
  }

  (void) add_config_param_str(cmd->argv[0], 1, path);
  return PR_HANDLED(cmd);
}

static enum keepalive_scope rule_scope(const cmd_rec *cmd) {
  if (cmd->config == NULL || cmd->config->config_type == CONF_PARAM) {
    return KEEPALIVE_SCOPE_SERVER;
  }

  return cmd->config->config_type == CONF_GLOBAL ? KEEPALIVE_SCOPE_GLOBAL
                                                 : KEEPALIVE_SCOPE_SECTION;
}

/* usage: KeepaliveRule class|* interval duration [method auto|tcp|tls|reply|telnet|none] [deadline duration] */
MODRET set_keepaliverule(cmd_rec *cmd) {
  struct keepalive_rule rule;
  char reason[256];
  config_rec *c;

  if (cmd->argc < 2) {
    CONF_ERROR(cmd, "expected <class>|* interval <duration>");
  }
  CHECK_CONF(cmd, CONF_ROOT|CONF_VIRTUAL|CONF_GLOBAL);

  if (keepalive_rule_parse(&rule, cmd->argc - 1, (char **) cmd->argv + 1,
      reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, pstrdup(cmd->tmp_pool, reason));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  rule.class_name = pstrdup(c->pool, rule.class_name);
  rule.scope = rule_scope(cmd);
  c->argv[0] = palloc(c->pool, sizeof(rule));
  memcpy(c->argv[0], &rule, sizeof(rule));

  /* Every rule counts, and mod_ifsession adds those of its sections. */
  c->flags |= CF_MULTI;

  return PR_HANDLED(cmd);
}

/* Command handlers */

MODRET keepalive_pre_any(cmd_rec *cmd) {
  int transfers = FALSE;

  /* A command within a transfer does not end or replace its keepalive. */
  if (!sess.engine || xfer.cmd != NULL || session.user == NULL ||
      !is_silent_cmd(cmd, &transfers) || !is_ftp()) {
    return PR_DECLINED(cmd);
  }

  if (!sess.have_rule) {
    choose_rule();
  }

  begin(cmd, transfers);
  return PR_DECLINED(cmd);
}

MODRET keepalive_log_any(cmd_rec *cmd) {
  if (xfer.cmd == cmd) {
    end();
  }

  return PR_DECLINED(cmd);
}

/* Event handlers */

/* Everything that was taken or started goes back; HOST, unload and restart all
 * come by here.
 */
static void undo(void) {
  end();
  stop_listening_to_writes();
  if (sess.logfd >= 0) {
    (void) close(sess.logfd);
  }

  memset(&sess, 0, sizeof(sess));
  sess.logfd = -1;
}

static void sess_reinit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  undo();
  if (keepalive_sess_init() < 0) {
    pr_session_disconnect(&keepalive_module,
      PR_SESS_DISCONNECT_SESSION_INIT_FAILED, NULL);
  }
}

/* A rule for a class that does not exist never matches: say so at start. */
static void check_classes(const server_rec *s) {
  config_rec *c;

  for (c = find_config(s->conf, CONF_PARAM, "KeepaliveRule", TRUE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "KeepaliveRule", TRUE)) {
    const struct keepalive_rule *rule = c->argv[0];

    if (strcmp(rule->class_name, "*") != 0 &&
        pr_class_find(rule->class_name) == NULL) {
      pr_log_pri(PR_LOG_WARNING, "%s: KeepaliveRule %s: there is no "
        "<Class %s>, so this rule never applies", MOD_KEEPALIVE_VERSION,
        rule->class_name, rule->class_name);
    }
  }
}

static void postparse_ev(const void *event_data, void *user_data) {
  server_rec *s;

  (void) event_data;
  (void) user_data;

  for (s = (server_rec *) server_list->xas_list; s != NULL; s = s->next) {
    check_classes(s);
  }
}

#if defined(PR_SHARED_MODULE)
static void mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp("mod_keepalive.c", (const char *) event_data) == 0) {
    undo();
    pr_event_unregister(&keepalive_module, NULL, NULL);
  }
}
#endif /* PR_SHARED_MODULE */

/* Initialization */

static int keepalive_init(void) {
  /* The layout of ProFTPD's session changes between releases that share a
   * module API number.
   */
  if (pr_version_get_number() >> 8 != PROFTPD_VERSION_NUMBER >> 8) {
    pr_log_pri(PR_LOG_ERR, "%s: built for ProFTPD %s, this is ProFTPD %s: "
      "rebuild the module", MOD_KEEPALIVE_VERSION, PROFTPD_VERSION_TEXT,
      pr_version_get_str());
    errno = EPERM;
    return -1;
  }

#if defined(PR_SHARED_MODULE)
  pr_event_register(&keepalive_module, "core.module-unload", mod_unload_ev,
    NULL);
#endif /* PR_SHARED_MODULE */
  pr_event_register(&keepalive_module, "core.postparse", postparse_ev, NULL);

  return 0;
}

static void open_log(void) {
  const char *path;
  int res, xerrno;

  path = get_param_ptr(main_server->conf, "KeepaliveLog", FALSE);
  if (path == NULL || strcasecmp(path, "none") == 0) {
    return;
  }

  pr_signals_block();
  PRIVS_ROOT
  res = pr_log_openfile(path, &sess.logfd, PR_LOG_SYSTEM_MODE);
  xerrno = errno;
  PRIVS_RELINQUISH
  pr_signals_unblock();

  if (res < 0) {
    sess.logfd = -1;
    pr_log_pri(PR_LOG_NOTICE, "%s: unable to open KeepaliveLog %s: %s; logging "
      "here", MOD_KEEPALIVE_VERSION, path,
      res == PR_LOG_WRITABLE_DIR ? "its directory is world-writable"
        : res == PR_LOG_SYMLINK ? "it is a symbolic link" : strerror(xerrno));
  }
}

static int keepalive_sess_init(void) {
  const int *engine;

  pr_event_unregister(&keepalive_module, "core.session-reinit",
    sess_reinit_ev);
  pr_event_register(&keepalive_module, "core.session-reinit", sess_reinit_ev,
    NULL);

  engine = get_param_ptr(main_server->conf, "KeepaliveEngine", FALSE);
  sess.engine = engine != NULL && *engine;
  if (sess.engine) {
    open_log();
  }

  return 0;
}

/* Module API tables */

static conftable keepalive_conftab[] = {
  { "KeepaliveEngine", set_keepaliveengine, NULL },
  { "KeepaliveLog", set_keepalivelog, NULL },
  { "KeepaliveRule", set_keepaliverule, NULL },
  { NULL, NULL, NULL },
};

static cmdtable keepalive_cmdtab[] = {
  { PRE_CMD, C_ANY, G_NONE, keepalive_pre_any, FALSE, FALSE, 0, NULL },
  { LOG_CMD, C_ANY, G_NONE, keepalive_log_any, FALSE, FALSE, 0, NULL },
  { LOG_CMD_ERR, C_ANY, G_NONE, keepalive_log_any, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

module keepalive_module = {
  NULL, NULL,

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
  keepalive_sess_init,

  /* Module version */
  MOD_KEEPALIVE_VERSION,

  /* Handle and priority belong to ProFTPD */
  NULL, 0
};
