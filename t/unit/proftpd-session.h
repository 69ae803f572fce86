/*
 * proftpd-session.h - a session of ProFTPD within "proftpd -t", each a process
 * of its own with all that the daemon has; its configuration; and what the
 * module says in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PROFTPD_SESSION_TEST_H
#define PROFTPD_SESSION_TEST_H

#include "within-proftpd.h"

#include <sys/wait.h>

/* What the module has done. */
static struct { char log[8192]; } done;

/* A line of the log: "NOTICE text", with a mark if it is for another one. */

__attribute__((format(printf, 3, 0))) static void log_line(
  int priority, const char *loud, const char *fmt, va_list args) {
  size_t len = strlen(done.log);

  len += (size_t) snprintf(done.log + len, sizeof(done.log) - len, "%s%s ",
    priority == PR_LOG_ERR       ? "ERR"
    : priority == PR_LOG_WARNING ? "WARNING"
    : priority == PR_LOG_NOTICE  ? "NOTICE"
    : priority == PR_LOG_INFO    ? "INFO"
    : priority == PR_LOG_DEBUG   ? "DEBUG"
                                 : "?",
    loud);
  (void) vsnprintf(done.log + len, sizeof(done.log) - len, fmt, args);
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

static inline void add_address(const char *directive, const char *text) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  c->argv[0] = (void *) address(permanent_pool, text);
}

static inline void add_passiveports_to(server_rec *s, int first, int last) {
  config_rec *c = add_config_param_set(&s->conf, "PassivePorts", 2, NULL, NULL);

  c->argv[0] = pcalloc(c->pool, sizeof(int));
  c->argv[1] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = first;
  *((int *) c->argv[1]) = last;
}

static inline void add_passiveports(int first, int last) {
  add_passiveports_to(main_server, first, last);
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

#endif
