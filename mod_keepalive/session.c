/*
 * mod_keepalive - the control connection of one session, kept alive
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* A command that will keep the control connection silent gets its keepalive at
 * PRE_CMD and gives it back at LOG_CMD or LOG_CMD_ERR.  Between commands there
 * is nothing of ours but, with a deadline, the options of the socket.
 */

#include "session.h"
#include "privs.h"

#include "control.h"
#include "history.h"
#include "log.h"
#include "method.h"
#include "path.h"
#include "rule.h"
#include "sockopt.h"
#include "status.h"

#define METHOD_NOTE "mod_keepalive.method"
#define SENT_NOTE   "mod_keepalive.sent"

static const char *trace_channel = KEEPALIVE_TRACE;

/* The session, from its start or its HOST on. */
static struct {
  int engine;
  int have_rule; /* chosen, after login */
  int warned;    /* the fall-back to tcp was logged */
  int gave_up;   /* the deadline is over */
  int watching;  /* control_closing_cb() is registered */
  struct keepalive_rule rule;
  struct keepalive_table *table;
  struct keepalive_sockopts before, during;
  int have_sockopts;
} sess;

/* With a deadline the first transfer measures what the path survives: its first
 * probe comes after one second of silence, and each that is answered doubles
 * that, up to the interval.
 */
static struct {
  unsigned int step;     /* seconds of silence before the next probe */
  unsigned int survived; /* the longest step that was answered */
  double heard;          /* when the peer was last heard */
} ladder;

/* The command that is being kept alive. */
static struct {
  const cmd_rec *cmd;
  int timer_id;                  /* 0: none */
  enum keepalive_method payload; /* what the timer sends */
  double last;                   /* keepalive_now() of the last one */
  struct keepalive_slot *slot;
  unsigned int sent;
  char sent_text[16];
} xfer;

/* Dead downloads: see keep_stall_timeout(). */
static struct {
  uint64_t moved;
  double since; /* keepalive_now() of the last byte on the wire */
  int timer_id; /* 0: none */
} stall;

static void set_note(const char *key, const char *value) {
  size_t len = strlen(value) + 1;

  if (pr_table_set(session.notes, key, value, len) < 0) {
    (void) pr_table_add(session.notes, key, value, len);
  }
}

struct keepalive_table *keepalive_session_open_table(void) {
  struct keepalive_table *table;
  const char *scoreboard = pr_get_scoreboard(), *slash;
  char path[PR_TUNABLE_PATH_MAX + 1];
  int xerrno;

  slash = scoreboard != NULL ? strrchr(scoreboard, '/') : NULL;
  if (slash == NULL) {
    errno = ENOENT;
    return NULL;
  }

  pr_snprintf(path, sizeof(path), "%.*s/keepalive.tab",
    (int) (slash - scoreboard), scoreboard);

  pr_signals_block();
  PRIVS_ROOT
  table = keepalive_table_open(path);
  xerrno = errno;
  PRIVS_RELINQUISH
  pr_signals_unblock();

  errno = xerrno;
  return table;
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

/* The socket's options, taken and given back. */

static void take_sockopts(void) {
  int fd = keepalive_control_fd();

  if (sess.have_sockopts) {
    return;
  }

  if (keepalive_sockopts_get(fd, &sess.before) < 0) {
    pr_trace_msg(trace_channel, 3,
      "no TCP options on the control connection: "
      "%s",
      strerror(errno));
    return;
  }

  keepalive_sockopts_plan(
    &sess.before, sess.rule.interval, sess.rule.deadline, &sess.during);
  if (keepalive_sockopts_change(fd, &sess.before, &sess.during) < 0) {
    keepalive_log("cannot set TCP keepalive on the control connection: %s; "
                  "going on without",
      strerror(errno));
  }

  sess.have_sockopts = TRUE;
}

static void replan_sockopts(unsigned int step) {
  struct keepalive_sockopts plan;

  if (!sess.have_sockopts) {
    return;
  }

  keepalive_sockopts_plan(
    &sess.before, sess.rule.interval, sess.rule.deadline, &plan);
  if (step > 0) {
    keepalive_sockopts_measure(&plan, step);
  }

  (void) keepalive_sockopts_change(keepalive_control_fd(), &sess.during, &plan);
  sess.during = plan;
}

static void return_sockopts(void) {
  int fd = keepalive_control_fd();

  if (!sess.have_sockopts) {
    return;
  }

  sess.have_sockopts = FALSE;
  if (fd >= 0 &&
      keepalive_sockopts_change(fd, &sess.during, &sess.before) < 0) {
    pr_trace_msg(trace_channel, 3,
      "cannot restore the TCP options of the "
      "control connection: %s",
      strerror(errno));
  }
}

/* The end of the path. */

/* A peer that resets the connection is there, unless it took a probe to make it
 * say so.  What read(2) said does not get through mod_tls.
 */
static int is_gone(const struct keepalive_path *path) {
  return sess.gave_up ||
         (path->closed && (path->unanswered > 0 ||
                            session.c->instrm->strm_errno == ETIMEDOUT ||
                            session.c->outstrm->strm_errno == ETIMEDOUT));
}

static void bury(const struct keepalive_path *path) {
  struct keepalive_death death;
  double idle, survived;
  char text[256];

  keepalive_control_history(path->silent_ms / 1000.0,
    sess.have_sockopts ? sess.during.idle : 0, &idle, &survived);

  memset(&death, 0, sizeof(death));
  death.when = (int64_t) time(NULL);
  death.silent = (path->silent_ms + 500) / 1000;
  death.idle = (uint32_t) (idle + 0.5);
  death.survived = (uint32_t) (survived + 0.5);
  death.advice = keepalive_history_advice(idle, survived);
  sstrncpy(death.client, pr_netaddr_get_ipstr(session.c->remote_addr),
    sizeof(death.client));
  sstrncpy(death.during, xfer.cmd != NULL ? xfer.cmd->argv[0] : "silence",
    sizeof(death.during));

  keepalive_log("%s", keepalive_death_print(&death, text, sizeof(text)));
  if (sess.table != NULL) {
    keepalive_table_bury(sess.table, &death);
  }
}

/* When core.exit comes, the connection is closed already: this runs just
 * before.
 */
static void control_closing_cb(void *data) {
  struct keepalive_path path = { 0 };

  (void) data;
  sess.watching = FALSE;
  if (sess.engine && sess.have_rule &&
      keepalive_path_look(keepalive_control_fd(), &path) == 0 &&
      is_gone(&path)) {
    bury(&path);
  }
}

static void set_step(unsigned int step) {
  ladder.step = step < sess.rule.interval ? step : sess.rule.interval;
  replan_sockopts(ladder.step);
}

static void climb(double now, const struct keepalive_path *path) {
  double heard = now - path->silent_ms / 1000.0;
  double silence = heard - ladder.heard;

  /* The same packet as at the last look: clocks differ by some milliseconds. */
  if (ladder.heard != 0 && silence < 0.1) {
    return;
  }

  if (ladder.heard != 0 && silence + 0.2 >= ladder.step) {
    ladder.survived = ladder.step;
    keepalive_control_survived(ladder.step);
    set_step(ladder.step * 2);
  }

  ladder.heard = heard;
}

/* The kernel gives a dead peer up by itself, but a session that waits in
 * sendfile(2) or for data would not hear of it; and for a reply that is not
 * acknowledged the kernel counts from the reply on.  Returns whether there is
 * anything to wait for.
 */
static int keep_deadline(double now) {
  struct keepalive_path path;

  if (keepalive_path_look(keepalive_control_fd(), &path) < 0) {
    return FALSE;
  }

  if (path.closed || (path.unanswered > 0 &&
                       path.silent_ms + 500 >= sess.rule.deadline * 1000)) {
    sess.gave_up = TRUE;
    pr_session_disconnect(
      &keepalive_module, PR_SESS_DISCONNECT_TIMEOUT, "KeepaliveRule deadline");
  }

  if (ladder.step > 0) {
    climb(now, &path);
  }

  return path.unanswered > 0;
}

/* With a deadline the control connection is looked at every second. */
static int timer_seconds(void) {
  return sess.rule.deadline > 0 ? 1 : (int) sess.rule.interval;
}

/* Our timer interrupts ProFTPD while it waits for a client that does not read.
 * After that sendfile(2) counts as progress, even with nothing sent, and other
 * writes find some room in the socket's buffer that poll(2) did not tell of:
 * both start TimeoutStalled anew.  So the time without bytes on the wire is
 * counted here, and its end is the one of data.c.  Uploads are not disturbed.
 */
static void keep_stall_timeout(double now);

static int stall_cb(CALLBACK_FRAME) {
  int xerrno = errno;

  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;

  stall.timer_id = 0;
  if ((session.sf_flags & SF_XFER) && !XFER_ABORTED) {
    keep_stall_timeout(keepalive_now());
  }

  errno = xerrno;
  return 0;
}

static void end_stalled(int timeout) {
  pr_event_generate("core.timeout-stalled", NULL);
  pr_log_pri(PR_LOG_NOTICE, "Data transfer stall timeout: %d %s", timeout,
    timeout != 1 ? "seconds" : "second");
  pr_session_disconnect(
    NULL, PR_SESS_DISCONNECT_TIMEOUT, "TimeoutStalled during data transfer");
}

static void keep_stall_timeout(double now) {
  int timeout = pr_data_get_timeout(PR_DATA_TIMEOUT_STALLED);
  struct keepalive_path path = { 0 };
  double left;

  if (timeout <= 0 || session.xfer.direction != PR_NETIO_IO_WR ||
      session.d == NULL || session.d->outstrm == NULL ||
      keepalive_path_look(PR_NETIO_FD(session.d->outstrm), &path) < 0) {
    return;
  }

  /* A client may have connected long before the command. */
  if (path.acked != stall.moved) {
    double sent = now - path.sent_ms / 1000.0;

    stall.moved = path.acked;
    stall.since = sent > stall.since ? sent : stall.since;
  }

  /* Timers of ProFTPD have seconds. */
  left = stall.since + timeout - now;
  if (left <= 0.5) {
    end_stalled(timeout);
  }

  if (left + 0.5 < timer_seconds() && stall.timer_id == 0) {
    stall.timer_id = pr_timer_add((int) (left + 0.5), -1, &keepalive_module,
      stall_cb, MOD_KEEPALIVE_VERSION " TimeoutStalled");
  }
}

/* The timer. */

static void count_skipped(enum keepalive_result res) {
  if (sess.table != NULL) {
    atomic_fetch_add(&sess.table->skipped[res], 1);
  }

  if (xfer.slot != NULL) {
    atomic_fetch_add(&xfer.slot->skipped[res], 1);
  }

  pr_trace_msg(
    trace_channel, 7, "keepalive skipped: %s", keepalive_result_reason(res));
}

static void count_sent(void) {
  xfer.sent++;
  pr_snprintf(xfer.sent_text, sizeof(xfer.sent_text), "%u", xfer.sent);
  set_note(SENT_NOTE, xfer.sent_text);

  if (sess.table != NULL) {
    atomic_fetch_add(&sess.table->sent[xfer.payload], 1);
  }

  if (xfer.slot != NULL) {
    atomic_store(&xfer.slot->sent, xfer.sent);
  }

  pr_trace_msg(trace_channel, 9, "keepalive %u sent by %s", xfer.sent,
    keepalive_method_name(xfer.payload));
}

static void send_keepalive(double now) {
  enum keepalive_result res;

  /* Timers of ProFTPD have seconds, and come a little early or late. */
  if (xfer.payload == KEEPALIVE_NONE ||
      now - xfer.last < sess.rule.interval - 0.5) {
    return;
  }

  res = keepalive_control_send(xfer.payload);
  if (res != KEEPALIVE_SENT) {
    count_skipped(res);
    return;
  }

  xfer.last = now;
  count_sent();
}

static int timer_cb(CALLBACK_FRAME) {
  int xerrno = errno, go_on = xfer.cmd != NULL;
  double now = keepalive_now();

  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;

  if (sess.rule.deadline > 0) {
    go_on |= keep_deadline(now);
  }

  if ((session.sf_flags & SF_XFER) && !XFER_ABORTED) {
    keep_stall_timeout(now);
    send_keepalive(now);
  }

  if (!go_on) {
    xfer.timer_id = 0;
  }

  errno = xerrno;
  return go_on;
}

static void start_timer(void) {
  xfer.last = keepalive_now();
  stall.moved = 0;
  stall.since = xfer.last;
  if (xfer.timer_id != 0) {
    return;
  }

  xfer.timer_id = pr_timer_add(
    timer_seconds(), -1, &keepalive_module, timer_cb, MOD_KEEPALIVE_VERSION);
  if (xfer.timer_id < 0) {
    keepalive_log(
      "cannot start a timer: %s; going on without", strerror(errno));
    xfer.timer_id = 0;
  }
}

static void stop_timer(int *timer_id) {
  if (*timer_id > 0) {
    (void) pr_timer_remove(*timer_id, &keepalive_module);
  }

  *timer_id = 0;
}

/* The method for a command: does the kernel probe, and what is written?  Asked
 * anew for each, since AUTH TLS and CCC change the answer.
 */
static const char *choose_method(
  int transfers, int *probes, enum keepalive_method *payload) {
  enum keepalive_method method = sess.rule.method;
  int tls = keepalive_control_has_tickets();

  *probes = method != KEEPALIVE_NONE;
  *payload = KEEPALIVE_NONE;

  /* What is written goes out during transfers only. */
  if (!transfers && method != KEEPALIVE_NONE) {
    method = KEEPALIVE_TCP;
  }

  switch (method) {
    case KEEPALIVE_AUTO:
      *payload = tls ? KEEPALIVE_TLS : KEEPALIVE_NONE;
      return tls ? "tcp+tls" : "tcp";

    case KEEPALIVE_TLS:
      if (!tls) {
        if (!sess.warned) {
          keepalive_log("method tls needs TLS 1.3 on the control connection of "
                        "%s, this one has %s: using tcp",
            pr_netaddr_get_ipstr(session.c->remote_addr),
            keepalive_control_tls_version());
          sess.warned = TRUE;
        }
        return "tcp";
      }
      /* fall through */

    case KEEPALIVE_REPLY:
    case KEEPALIVE_TELNET:
      *probes = FALSE;
      *payload = method;
      break;

    default:
      break;
  }

  return keepalive_method_name(method);
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

static void enter_table(const cmd_rec *cmd, const char *method) {
  if (sess.table == NULL) {
    return;
  }

  atomic_fetch_add(&sess.table->transfers, 1);
  xfer.slot = keepalive_table_claim(sess.table, session.pid);
  if (xfer.slot != NULL) {
    xfer.slot->interval = sess.rule.interval;
    xfer.slot->began = (int64_t) time(NULL);
    sstrncpy(xfer.slot->client, pr_netaddr_get_ipstr(session.c->remote_addr),
      sizeof(xfer.slot->client));
    sstrncpy(xfer.slot->command, cmd->argv[0], sizeof(xfer.slot->command));
    sstrncpy(xfer.slot->method, method, sizeof(xfer.slot->method));
  }
}

static void leave_table(void) {
  if (xfer.slot != NULL) {
    keepalive_table_release(xfer.slot);
    xfer.slot = NULL;
  }
}

static void begin(const cmd_rec *cmd, int transfers) {
  const char *method;
  int probes;

  xfer.cmd = cmd;
  xfer.sent = 0;
  method = choose_method(transfers, &probes, &xfer.payload);
  set_note(METHOD_NOTE, method);
  set_note(SENT_NOTE, "0");

  if (probes) {
    take_sockopts();
  }

  if (xfer.payload != KEEPALIVE_NONE || sess.rule.deadline > 0) {
    keepalive_control_listen(
      cmd, sess.table != NULL ? &sess.table->broken : NULL);
    start_timer();
  }

  if (sess.rule.deadline > 0 && ladder.survived < sess.rule.interval) {
    set_step(ladder.survived > 0 ? ladder.survived : 1);
  }

  enter_table(cmd, method);
  pr_trace_msg(
    trace_channel, 8, "%s: method %s", (char *) cmd->argv[0], method);
}

/* With a deadline the timer goes on by itself until the peer is heard. */
static void end(void) {
  leave_table();
  stop_timer(&stall.timer_id);
  if (sess.rule.deadline == 0) {
    stop_timer(&xfer.timer_id);
    return_sockopts();

  } else if (ladder.step > 0) {
    ladder.step = 0;
    ladder.heard = 0;
    replan_sockopts(0);
  }
  xfer.cmd = NULL;
}

/* The other protocols of ProFTPD have keepalives of their own. */
static int is_ftp(void) {
  const char *protocol = pr_session_get_protocol(0);

  return strcmp(protocol, "ftp") == 0 || strcmp(protocol, "ftps") == 0;
}

/* After login, once: the rule, and what it sets between commands as well. */
static void settle(void) {
  if (sess.have_rule || session.user == NULL) {
    return;
  }

  choose_rule();
  if (sess.rule.deadline > 0) {
    keepalive_control_listen(NULL, NULL);
    take_sockopts();
  }
}

void keepalive_session_command(const cmd_rec *cmd) {
  int transfers = FALSE;

  if (!sess.engine) {
    return;
  }

  keepalive_control_command(cmd, xfer.cmd != NULL);

  /* A command within a transfer does not end or replace its keepalive. */
  if (xfer.cmd == NULL && session.user != NULL &&
      is_silent_cmd(cmd, &transfers)) {
    settle();
    begin(cmd, transfers);
  }
}

void keepalive_session_command_end(const cmd_rec *cmd) {
  if (!sess.engine) {
    return;
  }

  if (xfer.cmd == cmd) {
    end();
  }

  settle();
}

void keepalive_session_start(void) {
  const int *engine;
  server_rec *s = (server_rec *) server_list->xas_list;

  engine = get_param_ptr(main_server->conf, "KeepaliveEngine", FALSE);
  sess.engine = engine != NULL && *engine && is_ftp();
  if (!sess.engine) {
    return;
  }

  keepalive_log_open(get_param_ptr(s->conf, "KeepaliveLog", FALSE));
  sess.table = keepalive_session_open_table();
  if (sess.table == NULL) {
    keepalive_log("no table of sessions: %s; 'ftpdctl keepalive status' will "
                  "not know this one",
      strerror(errno));
  }

  if (!sess.watching && session.c != NULL) {
    register_cleanup2(session.c->pool, NULL, control_closing_cb);
    sess.watching = TRUE;
  }
}

void keepalive_session_undo(void) {
  int watching = sess.watching;

  end();
  stop_timer(&xfer.timer_id);
  return_sockopts();
  keepalive_control_stop();
  keepalive_log_close();
  if (sess.table != NULL) {
    keepalive_table_close(sess.table);
  }

  memset(&ladder, 0, sizeof(ladder));
  memset(&sess, 0, sizeof(sess));
  sess.watching = watching;
}
