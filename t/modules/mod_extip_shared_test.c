/*
 * mod_extip_shared_test - what the daemon shares with its sessions, keeps over
 * a reload, and reads from the file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

#include "../../mod_extip/table_file.h"

#include <libgen.h>

static uint32_t known_at(size_t record) {
  struct extip_table_answer answer;

  return extip_table_read(extip_shared_view(), record, &answer) ? answer.addr
                                                                : 0;
}

static void is_known(const char *want, const char *name) {
  struct in_addr addr = { known_at(0) };
  char text[INET_ADDRSTRLEN];

  is_str(inet_ntop(AF_INET, &addr, text, sizeof(text)), want, "%s", name);
}

static bool wake(void) {
  return extip_shared_wake(&(struct extip_wake){ 1, 2 }) == 0;
}

static void test_none(void) {
  ok(extip_shared_table() == NULL && extip_shared_view() == NULL,
    "before there is memory, there is no table");
  ok(extip_shared_forwards() == NULL && extip_shared_forwards_view() == NULL,
    "... no forwards");
  ok(extip_shared_run() == NULL, "... nothing to count in");
  is_int(extip_shared_wake_fd(), -1, "... and no helper to wake");
  ok(!wake(), "... which is an error");
}

/* Whether a session that does this lives: ProFTPD may wait for it before the
 * test. */
static bool may(void (*act)(void)) {
  bool lives = false;
  int ends[2];

  (void) !pipe(ends);
  if (fork() == 0) {
    (void) signal(SIGSEGV, SIG_DFL);
    act();
    lives = true;
    (void) !write(ends[1], &lives, sizeof(lives));
    _exit(0);
  }
  (void) close(ends[1]);
  (void) !read(ends[0], &lives, sizeof(lives));
  (void) close(ends[0]);
  return lives;
}

static void write_view(void) {
  ((struct extip_table *) extip_shared_view())->copies[0][0].answer.addr = 1;
}

static void count(void) {
  extip_shared_run()->last = 1;
}

static void test_shared(void) {
  bool empty = false;

  is_int(extip_shared_make(&empty), 0, "the daemon makes the memory");
  ok(empty, "... which is empty");
  know("198.51.100.1");
  is_known("198.51.100.1", "what the daemon writes is seen in the view");
  ok(!may(write_view), "... in which nobody can write");
  ok(may(count), "who counts can");
  ok(extip_shared_forwards() != NULL && extip_shared_forwards_view() != NULL,
    "there are forwards");
  ok((void *) extip_shared_forwards() != (void *) extip_shared_forwards_view(),
    "... with a view of their own");
}

/* What a session has. */
static void test_session(void) {
  int read_by;
  bool empty;

  (void) extip_shared_make(&empty);
  know("198.51.100.1");
  read_by = dup(extip_shared_wake_fd());
  extip_shared_leave();
  ok(extip_shared_table() == NULL && extip_shared_forwards() == NULL,
    "a session cannot write");
  is_known("198.51.100.1", "... but read");
  is_int(extip_shared_wake_fd(), -1, "... does not hear who is woken");
  ok(wake(), "... but wakes the helper");
  is_int(recv(read_by, &(struct extip_wake){ 0, 0 }, 64, MSG_DONTWAIT),
    sizeof(struct extip_wake), "... which hears it");
  for (int i = 0; i < 2000; i++) {
    if (!wake()) {
      ok(0, "number %d", i);
      break;
    }
  }
  ok(wake(), "... also if it has not listened for long");
  (void) close(read_by);
  ok(!wake(), "... but not when it is gone");
}

/* SIGHUP: this module is unloaded, and loaded again. */
static void test_reload(void) {
  bool empty;
  int fd, other[2];

  (void) extip_shared_make(&empty);
  know("198.51.100.1");
  fd = extip_shared_wake_fd();
  extip_shared_free();
  ok(extip_shared_view() == NULL && extip_shared_table() == NULL &&
       extip_shared_run() == NULL && extip_shared_wake_fd() == -1,
    "unloaded, the module has nothing");
  (void) extip_shared_make(&empty);
  ok(!empty, "after a reload the memory is found again");
  is_known("198.51.100.1", "... with the address");
  is_int(extip_shared_wake_fd(), fd, "... and who is woken");
  ok(wake() && woken(), "... is");

  /* Somebody has closed it, and the number is another socket's. */
  extip_shared_free();
  (void) socketpair(AF_UNIX, SOCK_DGRAM, 0, other);
  (void) dup2(other[0], fd);
  (void) extip_shared_make(&empty);
  ok(empty, "a socket that is another one is not used");
  ok(extip_shared_wake_fd() != fd, "... but one of its own");
  ok(wake() && woken(), "... by which the helper is woken");
}

/* ProFTPD closes the first three descriptors. */
static void test_descriptors(void) {
  int before[3];
  bool empty;

  fflush(stdout);
  for (int fd = 0; fd < 3; fd++) {
    before[fd] = fcntl(fd, F_DUPFD, 10);
    (void) close(fd);
  }
  (void) extip_shared_make(&empty);
  for (int fd = 0; fd < 3; fd++) {
    (void) dup2(before[fd], fd);
  }
  ok(extip_shared_wake_fd() > 2, "no descriptor is one of the first three");
  ok(wake() && woken(), "... of those that wake the helper");
}

/* The file */

static char path[64];

static void keep(const char *text) {
  struct extip_table_answer answers[EXTIP_TABLE_ANSWERS] = { { .asked = ASKED,
    .servers = { SERVER } } };
  struct extip_file file = { .fd = -1 };
  char reason[512];

  (void) inet_pton(AF_INET, text, &answers[0].addr);
  answers[1].addr = answers[0].addr; /* of nobody */
  is_int(extip_file_start(&file, path, reason, sizeof(reason)), 0,
    "a file knows %s%s", text, reason);
  (void) extip_file_write(&file, answers, 0, false);
  (void) extip_file_write(&file, answers, 1, false);
  (void) close(file.fd);
}

static int next_fd(void) {
  int fd = dup(STDOUT_FILENO);

  (void) close(fd);
  return fd;
}

static void test_file(void) {
  bool empty;
  int fd;

  (void) extip_shared_make(&empty);
  fd = next_fd();
  extip_shared_load(path);
  is_int(known_at(0), 0, "without a file nothing is known");
  ok(access(path, F_OK) < 0, "... and the daemon makes none");
  keep("198.51.100.3");
  extip_shared_load(path);
  is_known("198.51.100.3", "the daemon knows what was in the file");
  is_int(known_at(1), 0, "... but nothing that nobody asks for");
  is_int(next_fd(), fd, "... and does not keep it open");
  keep("198.51.100.4");
  is_known("198.51.100.3", "... nor looks again");
}

static void test_inetd(void) {
  bool empty = false;

  ServerType = SERVER_INETD;
  is_int(extip_shared_make(&empty), 0, "with inetd there is memory");
  ok(empty, "... always empty");
  is_int(extip_shared_wake_fd(), -1, "... and no helper to wake");
  ok(extip_shared_run() == NULL, "... nor anything to count in");
  extip_shared_load(path);
  ok(access(path, F_OK) == 0, "the session makes the file");
  is_int(known_at(0), 0, "... in which nothing is known");
  extip_shared_leave();
  keep("198.51.100.5");
  is_known("198.51.100.5", "what another session finds is seen");
  ok(
    extip_shared_table() != NULL, "... because this one has memory of its own");
}

static void run_tests(void) {
  char directory[] = "/tmp/extip-shared-XXXXXX";

  (void) snprintf(path, sizeof(path), "%s/state/tab",
    mkdtemp(directory) != NULL ? directory : "");
  in_session(test_none);
  in_session(test_shared);
  in_session(test_session);
  in_session(test_reload);
  in_session(test_descriptors);
  in_session(test_file);
  (void) unlink(path);
  in_session(test_inetd);
  (void) unlink(path);
  (void) rmdir(dirname(path));
  (void) rmdir(directory);
}

TEST_MODULE(extip_shared_test, NULL);
