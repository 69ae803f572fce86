/*
 * mod_extip_helper_test - the daemon's side of the helper: what it is told,
 * what is heard of it, and when the next one starts. The helper is the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

/* In place of the system, with -Wl,--wrap. */

static time_t monotonic = 1000, wall = 1700000000;
static bool no_process, for_real = true; /* of fork() */
static unsigned int forks;
static int helper_end = -1, killed_by; /* of the last helper */
static pid_t killed;

int __real_clock_gettime(clockid_t, struct timespec *);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int __wrap_clock_gettime(clockid_t clock_id, struct timespec *at) {
  if (clock_id != CLOCK_MONOTONIC) {
    return __real_clock_gettime(clock_id, at);
  }
  at->tv_sec = monotonic;
  return 0;
}

time_t __wrap_time(time_t *);
time_t __wrap_time(time_t *at) {
  (void) at;
  return wall;
}

int __real_socketpair(int, int, int, int *);
int __wrap_socketpair(int, int, int, int *);
int __wrap_socketpair(int domain, int type, int protocol, int *fds) {
  int res = __real_socketpair(domain, type, protocol, fds);

  if ((type & SOCK_SEQPACKET) == SOCK_SEQPACKET) {
    helper_end = dup(fds[1]);
  }
  return res;
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void) {
  if (for_real) {
    return __real_fork();
  }
  if (no_process) {
    errno = EAGAIN;
    return -1;
  }
  return 4711 + (pid_t) forks++;
}

int __wrap_kill(pid_t, int);
int __wrap_kill(pid_t pid, int signo) {
  killed = pid;
  killed_by = signo;
  return 0;
}

/* The helper's side. */

static struct extip_message message;
static ssize_t message_len;

static bool told_next(void) {
  message_len = extip_message_receive(helper_end, &message);
  return message_len >= 0;
}

/* All of the task, which comes in pieces. */
static struct extip_task *told_task(void) {
  static char bytes[256 * 1024];
  size_t len = 0;
  char reason[256] = "nothing was sent";

  while (told_next() && message.type == EXTIP_MESSAGE_TASK) {
    memcpy(bytes + len, message.body.bytes, (size_t) message_len);
    len += (size_t) message_len;
  }

  struct extip_task *told =
    extip_task_parse(bytes, len, reason, sizeof(reason));

  ok(told != NULL, "the helper is told its task: %s",
    told != NULL ? told->table : reason);
  return told;
}

static void say(uint32_t type, uint32_t number, size_t len) {
  message.type = type;
  message.number = number;
  (void) extip_message_send(helper_end, &message, len);
}

static void say_line(uint32_t loudness, const char *line) {
  sstrncpy(message.body.bytes, line, sizeof(message.body.bytes));
  say(EXTIP_MESSAGE_LOG, loudness, strlen(line) + 1);
}

static void say_found(uint32_t number, const char *text) {
  message.body.record = (struct extip_record){ .answer = { .asked = 99 } };
  (void) inet_pton(AF_INET, text, &message.body.record.answer.addr);
  say(EXTIP_MESSAGE_RECORD, number, extip_record_size(&message.body.record));
}

static void end_helper(void) {
  (void) close(helper_end);
  extip_helper_news();
}

/* The daemon's side. */

static struct extip_task task;
static struct {
  unsigned int count;
  char addr[64];
} change;

static void changed(const char *addr) {
  change.count++;
  sstrncpy(change.addr, addr, sizeof(change.addr));
}

static void start_task(void) {
  static char reason[256];
  static struct extip_source *sources[1];
  static char *first[] = { (char *) "if:lo", NULL }, **list[] = { first };

  for_real = false;
  start_daemon();
  arrive("203.0.113.9", "192.168.1.1");
  know("198.51.100.1");
  sources[0] = extip_source_parse("if:lo", NULL, 0, reason, sizeof(reason));
  discovery.sources = sources;
  discovery.words = list;
  discovery.source_count = 1;
  discovery.refresh = 300;
  discovery.retry = 5;
  discovery.timeout = 5;
  discovery.ca_file = "";
  task = (struct extip_task){ .user = 33,
    .group = 34,
    .start = EXTIP_START_EARLY,
    .table = "/table",
    .discoveries = &discovery,
    .count = 1,
    .router.gateway = extip_gateway_default };
}

static void start_helper(void) {
  start_task();
  extip_helper_start(&task, changed);
}

static void test_told(void) {
  struct extip_task *told;
  unsigned int seconds = 99;

  start_helper();
  told = told_task();
  is_int(told->start, EXTIP_START_EARLY, "... how it starts");
  is_int(told->delay, 0, "... at once");
  is_int(told->daemon, getpid(), "... of which daemon");
  is_int(told->user, 33, "... as whom");
  is_int((long long) told->count, 1, "... what to ask");
  is_int(message.type, EXTIP_MESSAGE_RECORD, "... then what is known");
  is_int(message.body.record.answer.addr, inet_addr("198.51.100.1"),
    "... of each address");
  ok(told_next() && message.type == EXTIP_MESSAGE_BEGIN, "... and to begin");
  ok(!told_next() && errno == EAGAIN, "... and no more");
  is_int(extip_helper_pid(&seconds), 4711, "there is a helper");
  is_int(seconds, 0, "... already");
  is_int(extip_helper_since(), wall, "... since now");
  monotonic += 60;
  is_int(extip_helper_since(), wall - 60, "... and a minute later");
  is_said("", "which is nothing to speak of");
}

/* More than a socket holds by itself. */
static void test_told_much(void) {
  static struct extip_discovery many[EXTIP_TABLE_ANSWERS];
  struct extip_record whole = {
    .answer = { .asked = ASKED },
    .status = { .source_count = EXTIP_TABLE_SOURCES },
  };
  unsigned int records = 0;

  start_task();
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    many[i] = discovery;
    many[i].record = i;
    extip_table_write(extip_shared_table(), i, &whole);
  }
  task.discoveries = many;
  task.count = EXTIP_TABLE_ANSWERS;
  extip_helper_start(&task, changed);
  is_said("", "a helper with 64 addresses of 16 sources is started");
  is_int(
    (long long) told_task()->count, EXTIP_TABLE_ANSWERS, "... all of them");
  for (; message.type == EXTIP_MESSAGE_RECORD; records++) {
    (void) told_next();
  }
  is_int(records, EXTIP_TABLE_ANSWERS, "... with what is known of each");
}

static void test_lines(void) {
  start_helper();
  say_line(EXTIP_LOG_INFO, "a");
  say_line(EXTIP_LOG_WARNING, "b");
  say_line(EXTIP_LOG_WARNING + 1, "c");
  say(EXTIP_MESSAGE_LOG, EXTIP_LOG_INFO, 0);
  extip_helper_news();
  is_said("INFO aWARNING b", "lines of the helper are logged as it says");
  memset(message.body.bytes, 'x', sizeof(message.body.bytes));
  say(EXTIP_MESSAGE_LOG, EXTIP_LOG_NOTICE, EXTIP_LINE_SIZE + 1);
  extip_helper_news();
  is_said("", "a line that is too long is not");
  say(EXTIP_MESSAGE_LOG, EXTIP_LOG_NOTICE, EXTIP_LINE_SIZE);
  extip_helper_news();
  is_int((long long) strlen(done.log), 7 + EXTIP_LINE_SIZE - 1,
    "one that does not end ends all the same");
}

static void test_found(void) {
  struct extip_table_answer answer;

  start_helper();
  say_found(0, "198.51.100.1");
  extip_helper_news();
  is_int(change.count, 0, "the known address is no change");
  say_found(0, "198.51.100.2");
  extip_helper_news();
  is_int(change.count, 1, "another one is");
  is_str(change.addr, "198.51.100.2", "... as is told");
  (void) extip_table_read(extip_shared_view(), 0, &answer);
  is_int(answer.addr, inet_addr("198.51.100.2"), "... and in the table");
  is_int((long long) answer.asked, ASKED, "... of the same owner");
  say_found(0, "0.0.0.0");
  extip_helper_news();
  is_int(change.count, 1, "no address is no change");
  (void) extip_table_read(extip_shared_view(), 0, &answer);
  is_int(answer.addr, 0, "... but in the table");

  say_found(EXTIP_TABLE_ANSWERS, "198.51.100.3");
  say_found(EXTIP_TABLE_ANSWERS - 1, "198.51.100.4");
  extip_helper_news();
  is_str(change.addr, "198.51.100.4", "the last record, and none behind it");
  message.body.record = (struct extip_record){ .answer = { .addr = 1 } };
  say(EXTIP_MESSAGE_RECORD, 1, extip_record_size(&message.body.record) - 1);
  say(EXTIP_MESSAGE_TASK, 1, extip_record_size(&message.body.record));
  (void) send(helper_end, "x", 1, 0);
  extip_helper_news();
  is_int(change.count, 2, "what is no record is none");
  say_found(1, "198.51.100.5");
  extip_helper_news();
  is_int(change.count, 3, "... and what comes after it is heard");
  is_said("", "... of all of which nothing is said");
  extip_helper_stop();
  extip_helper_start(&task, NULL);
  say_found(1, "198.51.100.6");
  extip_helper_news();
  is_int(change.count, 3, "nobody has to be told");
}

static void test_forward(void) {
  static const struct forward_port ports[] = { { 21, 21 } };
  struct extip_forward forward;

  start_helper();
  extip_forward_table_claim(extip_shared_forwards(), ports, 1, false);
  message.body.forward = (struct extip_forward){
    .given = 2121, .state = EXTIP_FORWARD_OPEN, .until = world.now + 1000
  };
  say(EXTIP_MESSAGE_FORWARD, 0, sizeof(message.body.forward) - 1);
  extip_helper_news();
  (void) extip_forward_table_read(
    extip_shared_forwards_view(), 0, world.now, &forward);
  is_int(forward.given, 0, "half a forward is none");
  say(EXTIP_MESSAGE_FORWARD, 0, sizeof(message.body.forward));
  extip_helper_news();
  (void) extip_forward_table_read(
    extip_shared_forwards_view(), 0, world.now, &forward);
  is_int(forward.given, 2121, "a forward of the helper is taken over");
}

static void is_restarted(unsigned int delay, const char *name) {
  char line[128];
  unsigned int seconds;

  (void) snprintf(line, sizeof(line),
    "WARNING helper process %u has ended: restarting in %u s, keeping the known addresses",
    4710 + forks, delay);
  end_helper();
  is_said(line, "%s", name);
  is_int(extip_helper_pid(&seconds), 0, "... until then there is none");
  is_int(seconds, delay, "... as one is told");
  is_int(extip_helper_since(), 0, "... nor since when");
}

static void test_restart(void) {
  struct extip_task *told;
  unsigned int seconds;

  start_helper();
  say(EXTIP_MESSAGE_BEGIN, 0, 0);
  is_restarted(1, "a helper ends");
  told = told_task();
  is_int(told->start, EXTIP_START_NOW, "... the next one asks at once");
  is_int(told->delay, 1, "... in a second: it waits itself");
  monotonic += 1;
  is_int(extip_helper_pid(&seconds), 4712, "... then it is there");
  is_restarted(2, "it ends before it has begun");
  is_int(told_task()->delay, 0, "... and its process waits for the next one");
  is_restarted(4, "again");
  is_restarted(8, "again");
  is_restarted(16, "again");
  is_restarted(32, "again");
  is_restarted(64, "again");
  is_restarted(64, "... but not less often");
  monotonic += 64 + 9;
  is_restarted(64, "it has lived for 9 s");
  monotonic += 64 + 10;
  is_restarted(1, "it has lived for 10 s");
}

static void test_no_process(void) {
  static const char line[] =
    "WARNING cannot start the helper process, trying again in 10 s: Resource temporarily unavailable";
  unsigned int seconds;

  start_task();
  no_process = true;
  extip_helper_start(&task, changed);
  is_said(line, "no process for the helper");
  is_int(timer.seconds, 10, "... another try in 10 s");
  is_int(extip_helper_pid(&seconds), 0, "... until then there is none");
  is_int(seconds, 10, "... as one is told");
  is_int(extip_helper_since(), 0, "... nor since when");
  while (told_next()) {
  }
  is_int(errno, EPIPE, "its connection ends");
  is_int(timer.callback(0, 0, 0, NULL), 1, "... which fails: and again");
  no_process = false;
  is_int(timer.callback(0, 0, 0, NULL), 0, "... and succeeds");
  is_int(extip_helper_pid(&seconds), 4711, "then there is one");
  is_int(told_task()->start, EXTIP_START_NOW, "... that asks at once");
}

/* What another process finds out: ProFTPD may wait for it before the test. */
static int outcome[2];

static void tell_outcome(int value) {
  (void) !write(outcome[1], &value, sizeof(value));
  _exit(0);
}

static int read_outcome(void) {
  int value = -1;

  (void) close(outcome[1]);
  (void) !read(outcome[0], &value, sizeof(value));
  return value;
}

static void test_session(void) {
  pid_t pid;

  start_helper();
  say_line(EXTIP_LOG_INFO, "a");
  for_real = true;
  (void) !pipe(outcome);
  pid = fork();
  if (pid == 0) {
    extip_helper_news();
    tell_outcome(done.log[0] != '\0');
  }
  is_int(read_outcome(), 0, "another process does not hear the helper");
  extip_helper_leave();
  extip_helper_news();
  is_said("", "nor does a session");
}

static void test_stop(void) {
  unsigned int seconds;

  start_helper();
  say_line(EXTIP_LOG_INFO, "a");
  extip_helper_stop();
  is_said("INFO a", "at the end the helper is heard");
  is_int(killed, 4711, "... and ended");
  is_int(killed_by, SIGTERM, "... by SIGTERM");
  is_int(extip_helper_pid(&seconds), 0, "... there is none");
  while (told_next()) {
  }
  is_int(errno, EPIPE, "... and its connection ends, whoever has it");

  killed = 0;
  extip_helper_start(&task, changed);
  (void) close(helper_end);
  extip_helper_stop();
  is_int(killed, 0, "one that has ended is not killed: another may be it");
  extip_helper_stop();
  is_int(killed, 0, "none is not");
}

/* The daemon ends: the forwards are removed first. */
static void test_close(void) {
  start_helper();
  extip_helper_close();
  is_int(killed, 4711, "without forwards the helper is ended");
  while (told_next() && message.type != EXTIP_MESSAGE_CLOSE) {
  }
  ok(message.type != EXTIP_MESSAGE_CLOSE, "... and not asked to close");

  killed = 0;
  task.router.port_count = 1;
  task.router.ports = calloc(1, sizeof(*task.router.ports));
  extip_helper_start(&task, changed);
  (void) shutdown(helper_end, SHUT_WR);
  extip_helper_close();
  while (told_next() && message.type != EXTIP_MESSAGE_CLOSE) {
  }
  is_int(
    message.type, EXTIP_MESSAGE_CLOSE, "with forwards it is asked to close");
  is_int(killed, 0, "... and ends by itself");

  extip_helper_close();
  is_int(killed, 0, "there is no helper: nothing to do");
}

static void test_find(void) {
  char path[PATH_MAX];

  is_str(extip_helper_find(path), EXTIP_HELPER_DIR "/extip-helper",
    "the helper is not beside this module");
}

/* Without a daemon */

static bool asked(int64_t next) {
  struct extip_record whole = { .answer = { .asked = ASKED, .next = next } };

  extip_table_write(extip_shared_table(), 0, &whole);
  forks = 0;
  no_process = true;
  extip_helper_once(&task);
  if (done.log[0] != '\0') {
    is_said(
      "WARNING cannot ask for the external address: Resource temporarily unavailable",
      "a process is wanted");
    return true;
  }
  return false;
}

static void test_once(void) {
  start_task();
  ok(asked(0), "a session asks for what nobody has asked for");
  ok(asked(wall), "... and what is due");
  ok(!asked(wall + 1), "... but not before");
  ok(!asked(wall + discovery.refresh), "... the next round");
  ok(asked(wall + discovery.refresh + 1),
    "... unless that is further away than any");
}

/* A child handles no signal as the daemon does. */
static void test_fork(void) {
  sigset_t before, after;
  pid_t pid;

  start_task();
  for_real = true;
  (void) signal(SIGUSR1, SIG_IGN);
  (void) sigprocmask(SIG_SETMASK, NULL, &before);
  (void) !pipe(outcome);
  pid = extip_helper_fork();
  if (pid == 0) {
    (void) sigprocmask(SIG_SETMASK, NULL, &after);
    tell_outcome((signal(SIGUSR1, SIG_IGN) == SIG_DFL) |
                 (signal(SIGPIPE, SIG_DFL) == SIG_IGN) << 1 |
                 (sigismember(&after, SIGTERM) == 1) << 2);
  }
  is_int(read_outcome(), 7,
    "the child has no handler, ignores SIGPIPE, and blocks signals until then");
  (void) sigprocmask(SIG_SETMASK, NULL, &after);
  is_int(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM),
    "... the daemon does not");
  no_process = true;
  for_real = false;
  errno = 0;
  ok(extip_helper_fork() == -1 && errno == EAGAIN, "no process");
}

static void run_tests(void) {
  in_session(test_told);
  in_session(test_told_much);
  in_session(test_lines);
  in_session(test_found);
  in_session(test_forward);
  in_session(test_restart);
  in_session(test_no_process);
  in_session(test_session);
  in_session(test_stop);
  in_session(test_close);
  in_session(test_find);
  in_session(test_once);
  in_session(test_fork);
}

TEST_MODULE(extip_helper_test, NULL);
