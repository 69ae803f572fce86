/*
 * keepalive-session.h - sessions of mod_keepalive within "proftpd -t", for
 * t/keepalive-session.t: ProFTPD's pools, tables, events and schedule are the
 * real ones, and so are the sockets. The clock, what TCP tells of the client,
 * TLS and the alarm belong to the test, so nothing has to be waited for. The
 * rest of mod_keepalive is linked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef KEEPALIVE_SESSION_TEST_H
#define KEEPALIVE_SESSION_TEST_H

#include "../../mod_keepalive/control.h"
#include "../../mod_keepalive/log.h"
#include "../../mod_keepalive/session.h"
#include "../../mod_keepalive/shared.h"
#include "../../mod_keepalive/table.h"
#include "../../mod_keepalive/tcpinfo.h"
#include "../../mod_keepalive/ticket.h"
#include "keepalive-probed.h"
#include "within-proftpd.h"

/* What the test decides. */
static struct {
  double now;
  struct keepalive_tcpinfo control, data;
  bool blind; /* TCP does not tell */
  const char *tls;
  enum keepalive_result ticket_result;
  size_t ticket_size;
  bool owed, answer;
} world;

/* What the module has done. */
static struct {
  unsigned int looks; /* at the clock */
  unsigned int tickets, answers_taken;
  int disconnect; /* the reason */
  const char *details;
  char log[4096];
} done;

static int data_fd = -1; /* ProFTPD's end */
static int data_client = -1;

/* In place of tcpinfo.c */

double keepalive_now(void) {
  done.looks++;
  return world.now;
}

int keepalive_tcpinfo_get(int fd, struct keepalive_tcpinfo *info) {
  if (world.blind || fd < 0 || (fd != control_fd && fd != data_fd)) {
    errno = ENOTCONN;
    return -1;
  }

  *info = fd == control_fd ? world.control : world.data;
  return 0;
}

/* In place of ticket.c */

void keepalive_ticket_start(void) {
}

void keepalive_ticket_stop(void) {
}

bool keepalive_ticket_possible(struct ssl_st *ssl) {
  return ssl != NULL && world.tls != NULL && strcmp(world.tls, "TLSv1.3") == 0;
}

const char *keepalive_ticket_protocol(struct ssl_st *ssl) {
  return ssl != NULL ? world.tls : "no TLS";
}

enum keepalive_result keepalive_ticket_send(
  struct ssl_st *ssl, size_t *written) {
  (void) ssl;
  done.tickets++;
  *written += world.ticket_size;
  return world.ticket_result;
}

bool keepalive_ticket_is_answer_owed(void) {
  return world.owed;
}

void keepalive_ticket_take_answer(struct ssl_st *ssl) {
  (void) ssl;
  done.answers_taken++;
  world.owed = !world.answer;
}

void keepalive_ticket_forget_answer(void) {
  world.owed = false;
}

/* In place of log.c */

void keepalive_log_start(void) {
}

void keepalive_log_stop(void) {
}

void keepalive_log(const char *fmt, ...) {
  size_t len = strlen(done.log);
  va_list args;

  va_start(args, fmt);
  (void) vsnprintf(done.log + len, sizeof(done.log) - len, fmt, args);
  va_end(args);
  sstrcat(done.log, "\n", sizeof(done.log));
}

/* In place of ProFTPD's own, with -Wl,--wrap */

void __wrap_pr_session_disconnect(module *, int, const char *);
void __wrap_pr_session_disconnect(
  module *owner, int reason, const char *details) {
  (void) owner;
  done.disconnect = reason;
  done.details = details;
}

/* A session */

/* The words of KeepaliveRule. */
static inline void add_rule(const char *words) {
  struct keepalive_rule rule;
  char reason[256], *word[8], *text = pstrdup(place, words);
  unsigned int count = 0;
  config_rec *c;

  while ((word[count] = strsep(&text, " ")) != NULL) {
    count++;
  }
  if (keepalive_rule_parse(&rule, count, word, reason, sizeof(reason)) < 0) {
    ok(0, "KeepaliveRule %s: %s", words, reason);
    return;
  }
  rule.scope = KEEPALIVE_SCOPE_SERVER;
  c = add_config_param_set(&main_server->conf, "KeepaliveRule", 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(rule));
  memcpy(c->argv[0], &rule, sizeof(rule));
  c->flags |= CF_MULTI;
}

static void leave(void) {
  if (place != NULL) {
    keepalive_session_stop();
    for (int i = 0; i < 20; i++) {
      run_schedule(); /* what is left there finds nothing to do */
    }
    (void) close(client);
    (void) close(control_fd);
    destroy_pool(place);
  }
  place = NULL;
  memset(&session, 0, sizeof(session));
  forget("KeepaliveEngine");
  forget("KeepaliveRule");
  forget("ProxyProtocolEngine");
}

/* A client from PEER has connected; RULE: words of KeepaliveRule, or NULL. */
static inline void arrive(const char *peer, const char *rule) {
  double now = world.now + 1000; /* a clock that cannot be set */

  leave();
  place = make_sub_pool(permanent_pool);
  memset(&done, 0, sizeof(done));
  memset(&timer, 0, sizeof(timer));
  memset(&world, 0, sizeof(world));
  world.now = now;
  world.control.room = 65536;
  world.control.heard = world.data.heard = now;
  pair(&control_fd, &client);
  session.pool = place;
  session.pid = getpid();
  session.notes = pr_table_alloc(place, 0);
  session.c = connection(control_fd, PR_NETIO_STRM_CTRL, peer);
  configure_number("KeepaliveEngine", TRUE);
  if (rule != NULL) {
    add_rule(rule);
  }
}

static inline const cmd_rec *begins(const char *name) {
  cmd_rec *cmd = pr_cmd_alloc(place, 1, name);

  session.curr_cmd_rec = cmd;
  keepalive_session_command(cmd);
  return cmd;
}

static inline void ends(const cmd_rec *cmd, bool well) {
  keepalive_session_command_end(cmd, well);
  session.curr_cmd_rec = NULL;
}

static inline void run(const char *name, bool well) {
  ends(begins(name), well);
}

static inline void log_in(const char *peer, const char *rule) {
  arrive(peer, rule);
  run("PASS", true);
}

static inline void open_data(const char *peer) {
  pair(&data_fd, &data_client);
  session.d = connection(data_fd, PR_NETIO_STRM_DATA, peer);
  session.sf_flags |= SF_XFER;
}

static inline void close_data(void) {
  (void) close(data_fd);
  (void) close(data_client);
  session.d = NULL;
  session.sf_flags &= ~(SF_XFER | SF_ABORT);
  session.xfer.total_bytes = 0;
  data_fd = -1;
}

/* Time goes on, and ProFTPD reads or writes data. */
static inline void turn(double seconds) {
  world.now += seconds;
  run_schedule();
}

static inline void is_said(const char *want, const char *name) {
  is_str(done.log, want, "%s", name);
  done.log[0] = '\0';
}

/* mod_tls has an SSL for the control connection. */
static inline void use_tls(const char *version) {
  static int ssl;

  world.tls = version;
  (void) pr_table_add(
    session.c->outstrm->notes, "mod_tls.SSL", &ssl, sizeof(ssl));
}

/* Time goes on within sendfile(2), until the alarm. */
static inline void alarm_rings(double seconds) {
  world.now += seconds;
  (void) timer.callback(0, 0, 0, NULL);
}

static inline struct keepalive_slot *slot(void) {
  struct keepalive_table *table = keepalive_shared_table();
  uint64_t owner = keepalive_table_owner(getpid());

  for (unsigned int i = 0; i < table->used; i++) {
    if (table->slot[i].owner == owner) {
      return &table->slot[i];
    }
  }
  return NULL;
}

/* What goes out when ProFTPD writes TEXT within this command. */
static inline const char *say(const cmd_rec *cmd, const char *text) {
  pr_buffer_t *out = pcalloc(place, sizeof(*out));

  out->buf = out->current = pstrdup(place, text);
  out->buflen = strlen(text);
  session.curr_cmd_rec = (cmd_rec *) cmd;
  pr_event_generate("core.ctrl-write", out);
  session.total_raw_out += (off_t) (out->buflen - out->remaining);
  return pstrndup(place, out->buf, out->buflen - out->remaining);
}

/* A transfer whose reply is open. */
static inline const cmd_rec *start_reply(void) {
  const cmd_rec *retr = begins("RETR");

  open_data("127.0.0.1");
  turn(1);
  turn(25);
  is_str(wire(), "226-Transferring", "a reply is started");
  return retr;
}

#endif
