/*
 * The helper as the daemon starts it, without a daemon: what it makes of its
 * task, and what it says. The only source is an interface of a network
 * namespace of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include "../../mod_extip/helper_fds.h"
#include "../../mod_extip/log.h"
#include "../../mod_extip/table_file.h"
#include "../../mod_extip/task.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATIENCE_MS 20000

static char program[PATH_MAX]; /* beside the directory of this one */
static pid_t helper;
static int to_helper = -1, wake = -1;

/* extip_log() of what is linked. */
void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  (void) loudness;
  (void) fmt;
}

static void start(void) {
  int link[2], waking[2];

  (void) socketpair(
    AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link);
  (void) socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, waking);
  helper = fork();
  if (helper == 0) {
    int fds[2] = { fcntl(link[1], F_DUPFD, 20), fcntl(waking[1], F_DUPFD, 20) };

    (void) dup2(fds[0], EXTIP_LINK_FD);
    (void) dup2(fds[1], EXTIP_WAKE_FD);
    (void) execl(program, EXTIP_HELPER_NAME, EXTIP_HELPER_SERVE, (char *) NULL);
    _exit(127);
  }
  (void) close(link[1]);
  (void) close(waking[1]);
  to_helper = link[0];
  wake = waking[0];
}

/* The status with which it ends, -1 for a signal. */
static int ends(void) {
  int status = 0;

  (void) waitpid(helper, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void let_go(void) {
  (void) close(to_helper);
  (void) close(wake);
}

static void is_ended(int want, const char *name) {
  let_go();
  is_int(ends(), want, "%s", name);
}

/* What it says */

static struct extip_message heard;

/* The next message of this type. */
static bool hear(uint32_t type) {
  struct pollfd fd = { .fd = to_helper, .events = POLLIN };

  while (poll(&fd, 1, PATIENCE_MS) > 0 &&
         extip_message_receive(to_helper, &heard) >= 0) {
    if (heard.type == type) {
      return true;
    }
  }
  return false;
}

static bool hears_nothing(int milliseconds) {
  struct pollfd fd = { .fd = to_helper, .events = POLLIN };

  return poll(&fd, 1, milliseconds) == 0;
}

/* Records as they come, until one has this address. */
static bool finds(const char *want) {
  while (hear(EXTIP_MESSAGE_RECORD)) {
    if (heard.body.record.answer.addr == inet_addr(want)) {
      return true;
    }
  }
  return false;
}

/* What it is told */

static struct extip_discovery discovery;
static struct extip_task task;

static void make_task(void) {
  static char *first[] = { (char *) "if:lo", NULL }, **list[] = { first };

  discovery = (struct extip_discovery){ .label = "test",
    .words = list,
    .source_count = 1,
    .refresh = 3600,
    .retry = 5,
    .timeout = 5,
    .ca_file = "" };
  task = (struct extip_task){ .daemon = getpid(),
    .start = EXTIP_START_NOW,
    .table = "",
    .discoveries = &discovery,
    .count = 1,
    .router.gateway = { .router.s_addr = inet_addr("127.0.0.2"),
      .protocols = { EXTIP_PCP },
      .protocol_count = 1 } };
}

static void send_message(uint32_t type, const void *body, size_t len) {
  struct extip_message message = { .type = type };

  memcpy(message.body.bytes, body, len);
  (void) extip_message_send(to_helper, &message, len);
}

static void tell_task(size_t pieces) {
  size_t len, step;
  char *bytes = extip_task_print(&task, &len);

  step = len / pieces + 1;
  for (size_t i = 0; i < len; i += step) {
    send_message(
      EXTIP_MESSAGE_TASK, bytes + i, len - i < step ? len - i : step);
  }
  free(bytes);
}

static void tell_record(const char *text) {
  struct extip_record known = { .answer = { .label = "test", .asked = 5 } };

  (void) inet_pton(AF_INET, text, &known.answer.addr);
  send_message(EXTIP_MESSAGE_RECORD, &known, extip_record_size(&known));
}

static void tell(void) {
  start();
  tell_task(1);
  tell_record("0.0.0.0");
  send_message(EXTIP_MESSAGE_BEGIN, "", 0);
}

static void test_finds(void) {
  struct extip_wake all = { .addr = INADDR_ANY };
  uint64_t rounds;

  make_task();
  start();
  tell_task(3);
  tell_record("9.9.9.8");
  ok(hears_nothing(100), "before it is to begin, the helper does not");
  send_message(EXTIP_MESSAGE_BEGIN, "", 0);
  ok(hear(EXTIP_MESSAGE_BEGIN), "then it says so");
  ok(finds("9.9.9.9"), "... and finds the address");
  is_int(heard.number, 0, "... of the first record");
  is_int(heard.body.record.answer.previous, inet_addr("9.9.9.8"),
    "... it knows the one before");
  is_int((long long) heard.body.record.answer.asked, 5, "... and whose it is");
  is_str(
    heard.body.record.status.sources[0].text, "if:lo", "... from its source");
  while (!hears_nothing(300)) {
    (void) hear(EXTIP_MESSAGE_RECORD);
  }
  rounds = heard.body.record.status.rounds;
  (void) send(wake, &all, sizeof(all), 0);
  ok(finds("9.9.9.9"), "woken, it asks again");
  while (
    heard.body.record.status.rounds == rounds && hear(EXTIP_MESSAGE_RECORD)) {
  }
  is_int((long long) (heard.body.record.status.rounds - rounds), 1, "... once");
  is_ended(0, "the daemon ends, and so does the helper");
}

static void test_moves(void) {
  make_task();
  tell();
  ok(finds("9.9.9.9"), "an address is found");
  (void) !system(
    "ip addr add 9.9.9.10/32 dev lo && ip addr del 9.9.9.9/32 dev lo");
  ok(finds("9.9.9.10"), "another one is noticed");
  (void) !system(
    "ip addr add 9.9.9.9/32 dev lo && ip addr del 9.9.9.10/32 dev lo");
  send_message(EXTIP_MESSAGE_CLOSE, "", 0);
  is_int(ends(), 0, "told to close, the helper ends");
  let_go();
}

static void is_refused(const char *want, const char *name) {
  ok(hear(EXTIP_MESSAGE_LOG) && heard.number == EXTIP_LOG_WARNING &&
       strcmp(heard.body.bytes, want) == 0,
    "%s: %s", name, heard.body.bytes);
  is_int(ends(), 1, "... is an error");
  let_go();
}

static void test_bad_task(void) {
  make_task();
  start();
  send_message(EXTIP_MESSAGE_TASK, "extip-helper 1", 15);
  tell_record("0.0.0.0");
  is_refused(
    "helper process cannot start: the module and the helper have different versions",
    "another version's task");

  start();
  tell_task(1);
  send_message(EXTIP_MESSAGE_TASK, "x", 2);
  tell_record("0.0.0.0");
  is_refused("helper process cannot start: the task is malformed",
    "a task with more than a task");

  start();
  tell_task(1);
  send_message(EXTIP_MESSAGE_BEGIN, "", 0);
  is_int(ends(), 1, "a task without what is known is none");
  let_go();

  start();
  tell_task(1);
  tell_record("0.0.0.0");
  tell_record("0.0.0.0");
  send_message(EXTIP_MESSAGE_BEGIN, "", 0);
  is_int(ends(), 1, "nor one with more than that");
  let_go();

  start();
  tell_task(1);
  tell_record("0.0.0.0");
  is_ended(1, "nor one without its end");
}

static void test_once(void) {
  make_task();
  task.start = EXTIP_START_ONCE;
  tell();
  ok(finds("9.9.9.9"), "asked once, the helper finds the address");
  is_int(ends(), 0, "... and ends by itself");
  let_go();
}

static void test_delay(void) {
  make_task();
  task.delay = 1000;
  tell();
  ok(hear(EXTIP_MESSAGE_BEGIN), "a helper that is to wait says it works");
  ok(hears_nothing(200), "... and waits");
  is_ended(0, "... until the daemon ends");
}

/* What another process knows of it. */
static unsigned long number_of(const char *file, const char *key) {
  char path[64], line[256];
  unsigned long number = 0;
  FILE *in;

  snprintf(path, sizeof(path), "/proc/%d/%s", (int) helper, file);
  in = fopen(path, "r");
  while (in != NULL && fgets(line, sizeof(line), in) != NULL) {
    if (strncmp(line, key, strlen(key)) == 0) {
      number = strtoul(line + strlen(key), NULL, 10);
    }
  }
  if (in != NULL) {
    (void) fclose(in);
  }
  return number;
}

static void test_privileges(void) {
  make_task();
  task.user = 65533;
  task.group = 65532;
  tell();
  ok(finds("9.9.9.9"), "a helper of another user finds the address");
  is_int((long long) number_of("status", "Uid:\t"), 65533, "... as this user");
  is_int((long long) number_of("status", "Gid:\t"), 65532, "... and group");
  (void) kill(helper, SIGTERM);
  (void) !system(
    "ip addr add 9.9.9.11/32 dev lo && ip addr del 9.9.9.9/32 dev lo");
  ok(finds("9.9.9.11"), "SIGTERM does not end it at once");
  (void) !system(
    "ip addr add 9.9.9.9/32 dev lo && ip addr del 9.9.9.11/32 dev lo");
  is_int(ends(), -1, "... but if the daemon does not");
  let_go();
}

/* The file */

static char directory[] = "/tmp/extip-serve-XXXXXX", path[64];

static uint32_t in_file(void) {
  struct extip_table_answer answers[EXTIP_TABLE_ANSWERS];
  char reason[256];
  int fd = extip_file_open(path, reason, sizeof(reason));
  bool read = fd >= 0 && extip_file_read(fd, answers);

  (void) close(fd);
  return read ? answers[0].addr : 0;
}

static void test_file(void) {
  struct extip_file file = { .fd = -1 };
  char reason[256];

  make_task();
  task.table = path;
  tell();
  ok(finds("9.9.9.9"), "a helper with a file finds the address");
  is_ended(0, "... and ends");
  is_int(in_file(), inet_addr("9.9.9.9"), "the file has the address");

  /* Another process writes it. */
  (void) extip_file_start(&file, path, reason, sizeof(reason));
  is_int(extip_file_lock(&file), 0, "another process locks it");
  task.start = EXTIP_START_ONCE;
  tell();
  is_int(ends(), 0, "asked once, the helper leaves the asking to that one");
  ok(hear(EXTIP_MESSAGE_BEGIN) && !hear(EXTIP_MESSAGE_RECORD),
    "... and finds nothing");
  let_go();

  (void) !system(
    "ip addr add 9.9.9.12/32 dev lo && ip addr del 9.9.9.9/32 dev lo");
  task.start = EXTIP_START_NOW;
  tell();
  ok(finds("9.9.9.12"), "one that goes on asks meanwhile");
  is_int(in_file(), inet_addr("9.9.9.9"), "... but writes nothing");
  ok(hear(EXTIP_MESSAGE_LOG) &&
       strstr(heard.body.bytes, "another process writes ExtIPTable '") ==
         heard.body.bytes,
    "... which it says after a while");
  (void) close(file.fd);
  for (int i = 0; i < PATIENCE_MS / 10 && in_file() != inet_addr("9.9.9.12");
       i++) {
    (void) usleep(10000);
  }
  is_int(in_file(), inet_addr("9.9.9.12"), "then it writes what it has found");
  (void) !system(
    "ip addr add 9.9.9.9/32 dev lo && ip addr del 9.9.9.12/32 dev lo");
  is_ended(0, "... and ends");
}

static void test_no_file(void) {
  char want[256];

  (void) chmod(directory, 0777);
  make_task();
  task.table = path;
  tell();
  snprintf(want, sizeof(want),
    "ExtIPTable '%s' cannot be used, so the address will not survive a restart: ",
    path);
  ok(hear(EXTIP_MESSAGE_LOG) &&
       strstr(heard.body.bytes, want) == heard.body.bytes,
    "a directory where others may write: %s", heard.body.bytes);
  ok(finds("9.9.9.9"), "... the address is found all the same");
  is_ended(0, "... and the helper ends");
  (void) chmod(directory, 0700);
}

static void test_usage(void) {
  char command[PATH_MAX + 64];

  snprintf(command, sizeof(command), "%s --help | grep -q '^usage: '", program);
  is_int(system(command), 0, "--help tells how it is used");
  snprintf(command, sizeof(command), "%s --help >/dev/null", program);
  is_int(WEXITSTATUS(system(command)), 0, "... and is no error");
  snprintf(command, sizeof(command),
    "{ %s serve now 2>&1 >&3 | grep -q '^usage: '; } 3>&1", program);
  is_int(system(command), 0, "other words are answered by the usage");
  snprintf(command, sizeof(command), "%s 2>/dev/null", program);
  is_int(WEXITSTATUS(system(command)), 2, "... and are an error");
}

int main(void) {
  char self[PATH_MAX] = "";

  if (unshare(CLONE_NEWNET) < 0) {
    printf("1..0 # SKIP a network namespace of its own needs root\n");
    return 0;
  }

  (void) !readlink("/proc/self/exe", self, sizeof(self) - 1);
  snprintf(
    program, sizeof(program), "%.4000s/../" EXTIP_HELPER_NAME, dirname(self));
  (void) !system("ip link set lo up && ip addr add 9.9.9.9/32 dev lo");
  snprintf(path, sizeof(path), "%s/extip.tab",
    mkdtemp(directory) != NULL ? directory : "");
  test_finds();
  test_moves();
  test_bad_task();
  test_once();
  test_delay();
  test_privileges();
  test_file();
  test_no_file();
  test_usage();
  (void) unlink(path);
  (void) rmdir(directory);
  return done_testing();
}
