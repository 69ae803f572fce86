/*
 * natpasv-session.h - sessions of mod_natpasv within "proftpd -t", for
 * t/natpasv-session.t. Each is a process of its own with the daemon's table.
 * The clock, the log and ProFTPD's timers belong to the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NATPASV_SESSION_TEST_H
#define NATPASV_SESSION_TEST_H

#include "../../mod_natpasv/mod_natpasv.h"
#include "../../mod_natpasv/common_forward.h"
#include "../../mod_natpasv/count.h"
#include "../../mod_natpasv/futex.h"
#include "../../mod_natpasv/log.h"
#include "../../mod_natpasv/options.h"
#include "../../mod_natpasv/pools.h"
#include "../../mod_natpasv/rules.h"
#include "../../mod_natpasv/shared.h"
#include "../../mod_natpasv/tlsread.h"
#include "within-proftpd.h"

#include <sys/wait.h>

/* What the test decides. */
static struct {
  uint64_t now_ms;
  unsigned int step_ms; /* what each look at the clock takes */
  const char *extip;    /* what mod_extip has found */
  bool to_all;          /* it is announced to all */
  struct forwards *forwards;
} world = { .now_ms = 1000000 };

/* What the module has done. */
static struct { char log[8192]; } done;

uint64_t __wrap_natpasv_now_ms(void);
uint64_t __wrap_natpasv_now_ms(void) {
  world.now_ms += world.step_ms;
  return world.now_ms;
}

/* In place of log.c: "NOTICE text", with '!' if it is for the system log. */

__attribute__((format(printf, 3, 0))) static void log_line(
  int priority, const char *loud, const char *fmt, va_list args) {
  size_t len = strlen(done.log);

  len += (size_t) snprintf(done.log + len, sizeof(done.log) - len, "%s%s ",
    priority == PR_LOG_ERR       ? "ERR"
    : priority == PR_LOG_WARNING ? "WARNING"
    : priority == PR_LOG_NOTICE  ? "NOTICE"
    : priority == PR_LOG_DEBUG   ? "DEBUG"
                                 : "?",
    loud);
  (void) vsnprintf(done.log + len, sizeof(done.log) - len, fmt, args);
}

void natpasv_log_start(void) {
}

void natpasv_log(int priority, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_line(priority, "", fmt, args);
  va_end(args);
}

void natpasv_log_aloud(int priority, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_line(priority, "!", fmt, args);
  va_end(args);
}

__attribute__((format(printf, 2, 3), unused)) static void is_said(
  const char *want, const char *fmt, ...) {
  char name[256];
  va_list args;

  va_start(args, fmt);
  (void) vsnprintf(name, sizeof(name), fmt, args);
  va_end(args);
  is_str(done.log, want, "%s", name);
  done.log[0] = '\0';
}

/* A line of which only the beginning matters, and then no line. */
static inline void is_begun(const char *want, const char *name) {
  done.log[strlen(want)] = '\0';
  is_said(want, "%s", name);
}

/* In place of tlsread.c: TLS with nothing in the way. */
size_t natpasv_tlsread(
  struct ssl_st *ssl, int fd, char *text, size_t size, off_t *raw) {
  ssize_t len = recv(fd, text, size, MSG_DONTWAIT);

  (void) ssl;
  *raw += len > 0 ? len : 0;
  return len > 0 ? (size_t) len : 0;
}

/* mod_extip */

static inline modret_t *extip_get_addr(cmd_rec *cmd) {
  return world.extip != NULL
           ? mod_create_data(cmd, (void *) address(cmd->pool, world.extip))
           : PR_DECLINED(cmd);
}

static inline modret_t *extip_announce_to_all(cmd_rec *cmd) {
  return world.to_all ? PR_HANDLED(cmd) : PR_DECLINED(cmd);
}

static inline modret_t *extip_forward(cmd_rec *cmd) {
  return world.forwards != NULL ? mod_create_data(cmd, world.forwards)
                                : PR_DECLINED(cmd);
}

static cmdtable hooks[] = {
  { HOOK, "extip_get_addr", G_NONE, extip_get_addr, FALSE, FALSE, 0, NULL },
  { HOOK, "extip_announce_to_all", G_NONE, extip_announce_to_all, FALSE, FALSE,
    0, NULL },
  { HOOK, "extip_forward", G_NONE, extip_forward, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

/* The configuration: a directive of the main server, with its words. */
static inline cmd_rec *words(const char *directive, const char *text) {
  cmd_rec *cmd = pr_cmd_alloc(permanent_pool, 1, directive);
  char *rest = pstrdup(permanent_pool, text), *word;
  array_header *list = make_array(permanent_pool, 8, sizeof(char *));

  *((char **) push_array(list)) = pstrdup(permanent_pool, directive);
  while ((word = strsep(&rest, " ")) != NULL) {
    *((char **) push_array(list)) = word;
  }
  cmd->argc = list->nelts;
  cmd->argv = list->elts;
  cmd->server = main_server;
  cmd->tmp_pool = cmd->pool;
  return cmd;
}

static inline void *configure(
  const char *directive, const char *text, void *parsed, const char *reason) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  if (parsed == NULL) {
    ok(0, "%s %s: %s", directive, text, reason);
  }
  c->argv[0] = parsed;
  c->flags |= CF_MULTI;
  return parsed;
}

static inline const struct natpasv_rule *add_rule(const char *text) {
  char reason[NATPASV_REASON_SIZE] = "";

  return configure("NATPasvRule", text,
    natpasv_rule_parse(
      main_server->pool, words("NATPasvRule", text), reason, sizeof(reason)),
    reason);
}

static inline const struct natpasv_pool *add_pool(const char *text) {
  char reason[NATPASV_REASON_SIZE] = "";

  return configure("NATPasvPool", text,
    natpasv_pool_parse(
      main_server->pool, words("NATPasvPool", text), reason, sizeof(reason)),
    reason);
}

static inline void add_address(const char *directive, const char *text) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  c->argv[0] = (void *) address(permanent_pool, text);
}

static inline void add_passiveports(int first, int last) {
  config_rec *c =
    add_config_param_set(&main_server->conf, "PassivePorts", 2, NULL, NULL);

  c->argv[0] = pcalloc(c->pool, sizeof(int));
  c->argv[1] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = first;
  *((int *) c->argv[1]) = last;
}

static inline void add_local(const char *word) {
  config_rec *c =
    add_config_param_set(&main_server->conf, "NATPasvLocal", 1, NULL);

  c->argv[0] = pstrdup(permanent_pool, word);
}

/* The lines of a <Class>, with blanks between them. */
static inline void add_class(const char *name, const char *lines) {
  char *rest = pstrdup(permanent_pool, lines), *line;

  (void) pr_class_open(permanent_pool, name);
  while ((line = strsep(&rest, " ")) != NULL) {
    (void) pr_class_add_acl(pr_netacl_create(permanent_pool, line));
  }
  (void) pr_class_close();
}

static inline void be_in_class(const char *name) {
  static struct class_struc class;

  class.cls_name = (char *) name;
  session.conn_class = name != NULL ? &class : NULL;
}

/* A session: a client at an address, and the address that it has reached. */
static inline void arrive(const char *client_addr, const char *server_addr) {
  pool *p;

  place = make_sub_pool(permanent_pool);
  pair(&control_fd, &client);
  session.pool = place;
  session.pid = getpid();
  session.notes = pr_table_alloc(place, 0);
  session.c = connection(control_fd, PR_NETIO_STRM_CTRL, client_addr);
  p = session.c->pool;
  session.c->rfd = session.c->wfd = control_fd;
  session.c->instrm =
    pr_netio_open(p, PR_NETIO_STRM_CTRL, control_fd, PR_NETIO_IO_RD);
  (void) pr_netio_buffer_alloc(session.c->instrm);
  session.c->local_addr = address(p, server_addr);
  sstrncpy(session.cwd, "/", sizeof(session.cwd));
  pr_response_set_pool(place);
}

static void leave(void) {
}

/* Runs a test in a process of its own, which has all that the daemon has. The
 * alarms of ProFTPD's timers are for later. */
static inline void in_session(void (*test)(void)) {
  struct {
    int count, failed;
  } told = { tap_count, tap_failed + 1 };
  sigset_t alarms, before;
  int ends[2];
  pid_t pid;

  (void) sigemptyset(&alarms);
  (void) sigaddset(&alarms, SIGALRM);
  (void) sigprocmask(SIG_BLOCK, &alarms, &before);
  fflush(stdout);
  (void) !pipe(ends);
  pid = fork();
  if (pid == 0) {
    (void) signal(SIGALRM, SIG_IGN);
    (void) sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    test();
    told.count = tap_count;
    told.failed = tap_failed;
    fflush(stdout);
    (void) !write(ends[1], &told, sizeof(told));
    _exit(0);
  }

  (void) close(ends[1]);
  if (read(ends[0], &told, sizeof(told)) != sizeof(told)) {
    ok(0, "a session ends early");
  } else {
    tap_count = told.count;
    tap_failed = told.failed;
  }
  (void) close(ends[0]);
  (void) waitpid(pid, NULL, 0);
  (void) sigprocmask(SIG_SETMASK, &before, NULL);
}

static inline unsigned long counted(
  const struct natpasv_row *row, enum natpasv_counter which) {
  return row->count[which];
}

#endif
