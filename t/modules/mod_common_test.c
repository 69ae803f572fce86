/*
 * mod_common_test - drives those headers of the modules that need ProFTPD's own
 * functions: prints TAP in "proftpd -t", and counts reloads in a daemon, for
 * t/common.t.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"
#include "privs.h"

#include "../../mod_extip/common_acls.h"
#include "../../mod_extip/common_compat.h"
#include "../../mod_extip/common_duration.h"
#include "../../mod_extip/common_log.h"
#include "../../mod_extip/common_memory.h"
#include "../../mod_extip/common_version.h"
#include "tap.h"

/* The same in a module that was built for another ProFTPD. */
#undef COMMON_VERSION_H
#undef PROFTPD_VERSION_NUMBER
#undef PROFTPD_VERSION_TEXT
#define PROFTPD_VERSION_NUMBER 0x0001040005
#define PROFTPD_VERSION_TEXT   "1.4.0"
#define version_check          other_version_check
#include "../../mod_extip/common_version.h"
#undef version_check

#include <sys/wait.h>

#define VERSION "mod_common_test/0"

module common_test_module;

/* What ProFTPD documents, the hard way. */
static bool is_documented(const char *text) {
  static const char *const units[] = { "", "s", "sec", "m", "min", "h", "hr" };
  size_t digits = strspn(text, "0123456789");

  for (size_t i = 0; digits > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
    if (strcasecmp(text + digits, units[i]) == 0) {
      return true;
    }
  }

  return strlen(text) == 8 && digits == 2 && text[2] == ':' &&
         strspn(text + 3, "0123456789") == 2 && text[5] == ':' &&
         strspn(text + 6, "0123456789") == 2 && text[3] < '6' && text[6] < '6';
}

/* Every number before every rest: 36 * 42 texts. */
static void test_durations(void) {
  static const char *const numbers[] = { "", "0", "00", "1", "7", "007", "45",
    "59", "60", "90", "99", "100", "3599", "3600", "86400", "25920", "-1",
    "-0", "+1", " 1", "1 ", "1.5", "0x1", "1e1", "a", "1:2", "00:00", "01:02",
    "00:59", "00:60", "59:59", "60:00", "99:59", "0:00", "000:00", "-1:00" };
  static const char *const rests[] = { "", "s", "S", "sec", "Sec", "SEC", "secs",
    "se", "m", "M", "min", "MIN", "mins", "mi", "h", "H", "hr", "HR", "hrs",
    "hours", "d", "w", " s", " sec", "s ", " ", "ms", "sm", "1", "m1", "h30m",
    ":00", ":01", ":59", ":60", ":99", ":5", ":005", ":00s", ":-1", ": 1",
    ":aa" };
  unsigned int count = 0, wrong = 0, more = 0, less = 0;

  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    for (size_t j = 0; j < sizeof(rests) / sizeof(rests[0]); j++, count++) {
      char text[32], reason[256];
      unsigned int ours = 0;
      int theirs = -1, taken;

      snprintf(text, sizeof(text), "%s%s", numbers[i], rests[j]);
      taken = duration_parse(
        text, 0, INT32_MAX, &ours, reason, sizeof(reason));
      if (taken == 0) {
        more += pr_str_get_duration(text, &theirs) < 0;
        wrong += (unsigned int) theirs != ours;
      }
      less += (taken == 0) != is_documented(text);
    }
  }

  ok(count > 1000, "%u texts are read as durations", count);
  is_int(more, 0, "none is taken that ProFTPD refuses");
  is_int(wrong, 0, "none is taken for another number of seconds");
  is_int(less, 0, "all that ProFTPD documents is taken, and nothing else");
}

static void test_version(void) {
  is_int(version_check(VERSION), 0, "the ProFTPD built for is accepted");
  errno = 0;
  is_int(other_version_check("mod_other/0"), -1, "another is not");
  is_int(errno, EPERM, "... and the module is not loaded");
}

static void write_log(int fd, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_write(fd, VERSION, PR_LOG_NOTICE, fmt, args);
  va_end(args);
}

/* The system log is what proftpd -t prints: t/common.t looks there for what the
 * logs that cannot be opened are said to suffer from. */
static void test_log(void) {
  char dir[] = "/tmp/mod_common_test.XXXXXX", path[64], link[64], text[128];
  ssize_t len;
  int fd;

  if (!ok(mkdtemp(dir) != NULL, "there is a directory for logs")) {
    return;
  }
  snprintf(path, sizeof(path), "%s/log", dir);
  snprintf(link, sizeof(link), "%s/link", dir);

  is_int(log_open(VERSION, "TestLog", NULL), -1, "no log is no log");
  is_int(log_open(VERSION, "TestLog", "None"), -1, "'none' is no log");
  is_int(log_open(VERSION, "TestLog", "/tmp/log"), -1,
    "a log is not opened where everybody may write");
  ok(symlink(path, link) == 0 && log_open(VERSION, "TestLog", link) == -1,
    "a log is not opened through a symbolic link");
  snprintf(text, sizeof(text), "%s/none/log", dir);
  is_int(log_open(VERSION, "TestLog", text), -1,
    "a log is not opened in a directory that is missing");

  fd = log_open(VERSION, "TestLog", path);
  ok(fd > STDERR_FILENO && fcntl(fd, F_GETFD) == FD_CLOEXEC,
    "a log is opened, and closed on exec");
  write_log(fd, "%s", "a line for the file");
  log_close(&fd);
  is_int(fd, -1, "it is closed");
  write_log(fd, "a line for the %s log", "system");

  fd = open(path, O_RDONLY);
  len = read(fd, text, sizeof(text) - 1);
  text[len > 0 ? len : 0] = '\0';
  ok(strstr(text, VERSION) != NULL && strstr(text, "a line for the file\n"),
    "a line is in the file");
  (void) close(fd);
  (void) unlink(link);
  (void) unlink(path);
  (void) rmdir(dir);
}

static int handle(pr_ctrls_t *ctrl, int argc, char **argv) {
  (void) ctrl;
  (void) argc;
  (void) argv;
  return PR_CTRLS_STATUS_OK;
}

static ctrls_acttab_t actions[] = {
  { "status", NULL, NULL, NULL },
  { "refresh", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};
static struct acls acls = { .owner = &common_test_module,
  .name = "house",
  .about = "about",
  .directive = "HouseControlsACLs",
  .handle = handle,
  .actions = actions };

/* Whether the user and the group may have the action; the answer goes to
 * ANSWER. */
static bool may(uid_t uid, gid_t gid, const char *name, const char **answer) {
  pool *p = make_sub_pool(permanent_pool);
  pr_ctrls_cl_t client = { .cl_uid = uid, .cl_gid = gid };
  pr_ctrls_t ctrl = { .ctrls_cl = &client, .ctrls_tmp_pool = p };
  int status = 4711;
  const ctrls_acttab_t *a = acls_permit(&acls, &ctrl, name, &status);
  static char text[64];

  *text = '\0';
  if (a == NULL && ctrl.ctrls_cb_resps != NULL && status < 0) {
    sstrncpy(text, *((char **) ctrl.ctrls_cb_resps->elts), sizeof(text));
  }
  *answer = text;
  destroy_pool(p);
  return a != NULL && strcmp(a->act_action, name) == 0;
}

static const char *configure(const char *names, const char *access,
  const char *type, const char *list) {
  pool *p = make_sub_pool(permanent_pool);
  cmd_rec *cmd = pr_cmd_alloc(p, list != NULL ? 5 : 4, "HouseControlsACLs",
    pstrdup(p, names), access, type, list != NULL ? pstrdup(p, list) : NULL);
  static char reason[128];
  int res;

  cmd->tmp_pool = p;
  *reason = '\0';
  res = acls_configure(&acls, cmd, reason, sizeof(reason));
  destroy_pool(p);
  return res < 0 ? reason : NULL;
}

static void test_acls_configure(void) {
  static const struct {
    const char *words[4], *reason;
  } cases[] = {
    { { "all", "allow", "user", NULL },
      "expected <actions>|all allow|deny user|group <names>" },
    { { "all", "Allow", "user", "x" }, "'Allow': expected allow or deny" },
    { { "all", "deny", "host", "x" }, "'host': expected user or group" },
    { { "status,halt", "deny", "user", "x" },
      "action 'halt': expected all, status, refresh" },
    { { "status", "allow", "group", "root" }, NULL },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const char *const *w = cases[i].words;

    is_str(configure(w[0], w[1], w[2], w[3]), cases[i].reason,
      "'%s %s %s' %s", w[0], w[1], w[2],
      cases[i].reason != NULL ? "is refused" : "is taken");
  }
}

/* The form that the words after an action ask for. */
static void test_format(void) {
  static const struct {
    const char *words[2];
    enum acls_format last;
    int format;
    const char *answer;
  } cases[] = {
    { { NULL }, ACLS_TEXT, ACLS_TEXT, NULL },
    { { "json" }, ACLS_JSON, ACLS_JSON, NULL },
    { { "json" }, ACLS_PROMETHEUS, ACLS_JSON, NULL },
    { { "prometheus" }, ACLS_PROMETHEUS, ACLS_PROMETHEUS, NULL },
    { { "json" }, ACLS_TEXT, -1, "'json': allowed are no words" },
    { { "prometheus" }, ACLS_JSON, -1,
      "'prometheus': allowed are json or nothing" },
    { { "xml" }, ACLS_PROMETHEUS, -1,
      "'xml': allowed are json, prometheus or nothing" },
    { { "json", "json" }, ACLS_JSON, -1,
      "'json': allowed are json or nothing" },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    pool *p = make_sub_pool(permanent_pool);
    pr_ctrls_t ctrl = { .ctrls_tmp_pool = p };
    int argc = (cases[i].words[0] != NULL) + (cases[i].words[1] != NULL);
    int format =
      acls_format(&ctrl, argc, (char **) cases[i].words, cases[i].last);

    ok(format == cases[i].format, "%d words: form %d", argc, cases[i].format);
    if (cases[i].answer != NULL && ctrl.ctrls_cb_resps != NULL) {
      is_str(*((char **) ctrl.ctrls_cb_resps->elts), cases[i].answer,
        "... with an answer");
    }
    destroy_pool(p);
  }
}

static void test_acls(void) {
  const char *answer;

  is_str(configure("all", "allow", "user", "x"),
    "'ftpdctl house' is not available", "there are no lists before the start");
  is_int(acls_start(&acls), 0, "an action of ftpdctl is registered");
  is_int(acls_start(&acls), 0, "... and again, as after a reload");

  ok(may(0, 99, "refresh", &answer), "root may ask");
  ok(!may(65534, 0, "refresh", &answer), "nobody else may");
  is_str(answer, "access to 'house refresh' denied: see HouseControlsACLs",
    "... and is told by which directive");
  ok(!may(0, 0, "halt", &answer), "an unknown action is refused");
  is_str(
    answer, "'halt': allowed are status, refresh", "... with those there are");
  ok(!may(0, 0, "h\xe4lt\n", &answer), "... also one that is not ASCII");
  is_str(answer, "'h?lt?': allowed are status, refresh", "... which is shown so");
  ok(!may(0, 0, NULL, &answer), "no action is refused");
  is_str(answer, "a word is missing: expected status, refresh",
    "... in the same way");
  test_format();
  ok(!may(0, 0, NULL, &answer), "and so is none");

  test_acls_configure();
  ok(may(65534, 0, "status", &answer), "an allowed group may ask");
  ok(!may(65534, 0, "refresh", &answer), "... for that action only");
  is_str(configure("all", "allow", "user", "nobody"), NULL, "allow a user");
  ok(may(65534, 99, "refresh", &answer), "an allowed user may ask");
  ok(may(0, 99, "refresh", &answer), "... and root still may");
  is_str(configure("all", "deny", "user", "root"), NULL, "deny root");
  ok(may(0, 99, "refresh", &answer), "... who may still ask");

  is_int(acls_start(&acls), 0, "a reload");
  ok(!may(65534, 0, "status", &answer), "... forgets who was allowed");
  acls_stop(&acls);
  acls_stop(&acls);
  is_int(pr_ctrls_unregister(&common_test_module, "house"), -1,
    "nothing stays registered");
}

#define MEMORY   "mod_common_test.memory"
#define VARIABLE "%{" MEMORY "}"
#define SIZE     100000 /* not a multiple of a page */

static bool is_zero(const struct memory *memory) {
  const char *bytes = memory->at;

  for (size_t i = 0; i < memory->size; i++) {
    if (bytes[i] != 0) {
      return false;
    }
  }
  return true;
}

/* In a child, as nobody, whatever is done with MEMORY; its exit status. */
static int in_child(const struct memory *memory, const void *view,
  int (*act)(struct memory *, const void *)) {
  int status = -1;
  pid_t pid;

  /* ProFTPD 1.3.9 waits for every child in its handler of SIGCHLD. */
  pr_signals_block();
  pid = fork();
  if (pid == 0) {
    struct memory own = *memory;

    _exit(setuid(65534) < 0 ? 99 : act(&own, view));
  }
  (void) waitpid(pid, &status, 0);
  pr_signals_unblock();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int write_memory(struct memory *memory, const void *view) {
  (void) view;
  ((char *) memory->at)[memory->size - 1] = 42;
  return 0;
}

static int open_memory(struct memory *memory, const void *view) {
  char path[64];

  (void) view;
  snprintf(path, sizeof(path), "/proc/self/fd/%d", memory->fd);
  return open(path, O_RDONLY) < 0 ? errno : 0;
}

static int overpower_view(struct memory *memory, const void *view) {
  size_t size = memory->size;

  memory_leave(memory);
  return mprotect((void *) view, size, PROT_READ | PROT_WRITE) < 0 ? errno : 0;
}

static void test_memory_made(void) {
  struct memory memory, again;
  const char *view;

  (void) close(STDIN_FILENO);
  is_int(memory_make(&memory, MEMORY, SIZE, 1), 0, "memory is made");
  ok(memory.size == SIZE && is_zero(&memory), "... of zeros");
  ok(memory.fd > STDERR_FILENO && fcntl(memory.fd, F_GETFD) == FD_CLOEXEC,
    "... with a descriptor that is closed on exec, and none of the first three");
  ok(ftruncate(memory.fd, 10) < 0 && ftruncate(memory.fd, 2 * SIZE) < 0,
    "... of a size that nobody can change");
  is_int(in_child(&memory, NULL, open_memory), EACCES,
    "... and nobody but root can open it");

  view = memory_view(&memory);
  is_int(in_child(&memory, NULL, write_memory), 0, "a session writes into it");
  is_int(((char *) memory.at)[SIZE - 1], 42, "... for all to see");
  ok(view != NULL && view[SIZE - 1] == 42, "... also who only reads");
  is_int(in_child(&memory, view, overpower_view), EACCES,
    "a session that has left it cannot write any more");
  (void) munmap((void *) view, SIZE);

  is_int(memory_make(&again, MEMORY, SIZE, 1), 1, "it is asked for again");
  ok(again.at == memory.at && again.fd == memory.fd, "... and is the same");
  is_int(memory_make(&again, MEMORY, SIZE, 2), 0, "another layout");
  ok(is_zero(&again), "... is another memory");
  ok(memory_make(&memory, MEMORY, SIZE / 2, 2) == 0 && is_zero(&memory) &&
       memory.size == SIZE / 2,
    "and so is another size");
  memory_forget(&memory, MEMORY);
}

/* What is remembered is not what it should be. */
static void test_memory_recalled(void) {
  struct memory memory, other, again;
  char good[MEMORY_TEXT_SIZE], text[MEMORY_TEXT_SIZE + 8];
  const char *bad[8];
  unsigned int count = 0;

  (void) memory_make(&other, MEMORY, SIZE, 1);
  (void) pr_var_delete(VARIABLE);
  (void) memory_make(&memory, MEMORY, SIZE, 1);
  memset(memory.at, 1, SIZE);
  sstrncpy(good, pr_var_get(VARIABLE), sizeof(good));

  snprintf(text, sizeof(text), "%s ", good);
  bad[count++] = text;
  bad[count++] = pstrcat(permanent_pool, "0", good, NULL);
  bad[count++] = "x";
  bad[count++] = "0 -1 100000 1 0";
  bad[count++] = "1000 -1 100000 1 0";
  bad[count++] = pstrcat(permanent_pool, "-", good, NULL);
  bad[count++] = "fffffffffffff000 -1 100000 1 0";
  for (unsigned int i = 0; i < count; i++) {
    (void) pr_var_set(permanent_pool, VARIABLE, "", PR_VAR_TYPE_STR,
      (void *) bad[i], NULL, 0);
    ok(memory_make(&again, MEMORY, SIZE, 1) == 0 && is_zero(&again),
      "'%s' is not trusted", bad[i]);
    memory_forget(&again, MEMORY);
  }

  (void) pr_var_set(
    permanent_pool, VARIABLE, "", PR_VAR_TYPE_STR, good, NULL, 0);
  (void) dup2(other.fd, memory.fd);
  ok(memory_make(&again, MEMORY, SIZE, 1) == 0 && is_zero(&again),
    "another memory with the descriptor is not trusted");
  memory_forget(&again, MEMORY);
  memory_leave(&other);
  memory_leave(&memory);
}

static void test_memory_anonymous(void) {
  struct rlimit before, limit;
  struct memory memory, again;
  const char *view;

  (void) getrlimit(RLIMIT_FSIZE, &before);
  limit = before;
  limit.rlim_cur = SIZE - 1;
  (void) setrlimit(RLIMIT_FSIZE, &limit);
  is_int(memory_make(&memory, MEMORY, SIZE, 1), 0,
    "memory is made where there can be no file of that size");
  (void) setrlimit(RLIMIT_FSIZE, &before);

  ok(memory.fd == -1 && is_zero(&memory), "... without a descriptor");
  view = memory_view(&memory);
  is_int(in_child(&memory, NULL, write_memory), 0, "a session writes into it");
  is_int(((char *) memory.at)[SIZE - 1], 42, "... for all to see");
  ok(view != NULL && view[SIZE - 1] == 42, "... also who only reads");
  ok(memory_make(&again, MEMORY, SIZE, 1) == 1 && again.at == memory.at,
    "it is kept");
  memory_forget(&again, MEMORY);
}

/* More than a file or a mapping can have. */
static void test_memory_refused(void) {
  struct memory memory;
  struct rlimit before, limit;

  is_int(memory_make(&memory, MEMORY, (size_t) 1 << 63, 1), -1,
    "more memory than there is cannot be had");
  is_int(errno, ENOMEM, "... and the reason is told");
  ok(memory.at == NULL && memory.fd == -1, "... and nothing is kept");

  (void) getrlimit(RLIMIT_NOFILE, &before);
  limit = before;
  limit.rlim_cur = 0;
  (void) setrlimit(RLIMIT_NOFILE, &limit);
  is_int(memory_make(&memory, MEMORY, SIZE, 1), 0,
    "memory is made where there are no more descriptors");
  (void) setrlimit(RLIMIT_NOFILE, &before);
  ok(memory.fd == -1 && is_zero(&memory), "... without one");
  memory_forget(&memory, MEMORY);
}

/* In a daemon: how often this memory has seen the configuration read. */
static void count_lives(void) {
  struct memory memory;
  unsigned int *lives;

  if (memory_make(&memory, MEMORY, SIZE, 1) < 0) {
    pr_log_pri(PR_LOG_ERR, "no memory: %s", strerror(errno));
    return;
  }

  lives = memory.at;
  pr_log_pri(PR_LOG_NOTICE, "life %u, descriptor %d", ++*lives, memory.fd);
}

static void postparse_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;

  if (getenv("COUNT_LIVES") != NULL) {
    count_lives();
    return;
  }

  test_version();
  test_durations();
  test_log();
  test_acls();
  test_memory_made();
  test_memory_recalled();
  test_memory_anonymous();
  test_memory_refused();
  done_testing();
  fflush(stdout);
}

#if defined(PR_SHARED_MODULE)
static void mod_unload_ev(const void *event_data, void *user_data) {
  (void) user_data;

  if (strcmp(event_data, "mod_common_test.c") == 0) {
    pr_event_unregister(&common_test_module, NULL, NULL);
  }
}
#endif

static int common_test_init(void) {
#if defined(PR_SHARED_MODULE)
  pr_event_register(
    &common_test_module, "core.module-unload", mod_unload_ev, NULL);
#endif
  pr_event_register(&common_test_module, "core.postparse", postparse_ev, NULL);
  return 0;
}

__attribute__((visibility("default"))) module common_test_module = { NULL, NULL,
  0x20, "common_test", NULL, NULL, NULL, common_test_init, NULL, VERSION, NULL,
  0 };
