/*
 * extip-helper - the helper: a program that asks, for the daemon or for a
 * person
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* When the daemon starts it, it has a socket to the daemon and another one on
 * which it is woken. It receives its task over the first and sends its results
 * back. It waits for nothing but the disk, and ends when the daemon closes the
 * socket. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "confine.h"
#include "driver.h"
#include "engine.h"
#include "forward_file.h"
#include "helper_fds.h"
#include "log.h"
#include "netlink.h"
#include "router.h"
#include "table_file.h"
#include "trial.h"

/* Changes of addresses and routes come in bursts, and so do the announcements
 * of a router. */
#define NETLINK_DELAY_MS 250
#define ROUTER_DELAY_MS  50

/* How often is looked whether the wall clock was set, where the kernel does not
 * tell. */
#define CLOCK_MS 10000

/* How often a failed operation is repeated, such as sending to a busy daemon or
 * locking a file of another helper; and after how many times this is logged. */
#define RETRY_MS       100
#define LOCK_SAY_AFTER 50

/* How long a helper that has to end may still wait for the disk. */
#define END_SECONDS 2

/* The daemon waits two seconds for the removal of the forwards. */
#define HURRY_MS 1500

#define TASK_MAX (8 << 20) /* bytes */

/* The state of the helper. */
struct helper {
  struct extip_task *task;
  struct extip_engine *engine;
  struct extip_router *router; /* NULL: it is not needed */
  bool closing;    /* the forwards are being removed, and then it ends */
  int64_t hurry;   /* extip_now() from which answers are not waited for */
  int forwards_fd; /* see forward_file.h */
  struct extip_file file;
  bool locked;
  unsigned int lock_tries;
  int clock_fd;   /* see extip_clock_watch() */
  bool file_said; /* it was logged that the file cannot be written */

  /* The answers as they have to be in the file. */
  struct extip_table_answer answers[EXTIP_TABLE_ANSWERS];
};

/* Records that the daemon has not received yet, because it was busy. */
static struct {
  bool owed;
  struct extip_record record;
} owed[EXTIP_TABLE_ANSWERS];
static struct {
  bool owed;
  struct extip_forward forward;
} owed_forwards[EXTIP_FORWARDS_MAX];
static size_t forwards = 0; /* that were ever owed, from the first one */
static unsigned long lines_lost = 0;

void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  struct extip_message message = { .type = EXTIP_MESSAGE_LOG,
    .number = loudness };
  va_list args;

  va_start(args, fmt);
  vsnprintf(message.body.bytes, EXTIP_LINE_SIZE, fmt, args);
  va_end(args);
  if (extip_message_send(
        EXTIP_LINK_FD, &message, strlen(message.body.bytes) + 1) < 0) {
    lines_lost++;
  }
}

static bool pay_forwards(void) {
  struct extip_message message = { .type = EXTIP_MESSAGE_FORWARD };

  for (uint32_t i = 0; i < forwards; i++) {
    if (!owed_forwards[i].owed) {
      continue;
    }

    message.number = i;
    message.body.forward = owed_forwards[i].forward;
    if (extip_message_send(
          EXTIP_LINK_FD, &message, sizeof(message.body.forward)) < 0) {
      return false;
    }
    owed_forwards[i].owed = false;
  }
  return true;
}

/* Sends these records as far as the daemon receives them; true when none are
 * left. */
static bool pay(void) {
  struct extip_message message = { .type = EXTIP_MESSAGE_RECORD };

  for (uint32_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (!owed[i].owed) {
      continue;
    }

    message.number = i;
    message.body.record = owed[i].record;
    if (extip_message_send(
          EXTIP_LINK_FD, &message, extip_record_size(&owed[i].record)) < 0) {
      return false;
    }
    owed[i].owed = false;
  }

  if (!pay_forwards()) {
    return false;
  }

  if (lines_lost > 0) {
    unsigned long lost = lines_lost;

    lines_lost = 0;
    extip_log(EXTIP_LOG_WARNING,
      "%lu lines of the helper were lost: the daemon was busy", lost);
  }
  return lines_lost == 0;
}

/* The file */

static void say_not_written(struct helper *helper, int error) {
  if (!helper->file_said) {
    extip_log(EXTIP_LOG_WARNING,
      "cannot write ExtIPTable '%s', so the address will not survive a restart: %s",
      helper->task->table, strerror(error));
  }
  helper->file_said = true;
}

static void write_file(struct helper *helper, size_t record, bool safe) {
  if (!helper->locked) {
    return;
  }

  if (extip_file_write(&helper->file, helper->answers, record, safe) < 0) {
    say_not_written(helper, errno);
  } else {
    helper->file_said = false;
  }
}

/* Writes the changed answers to the file. */
static void bring_up_to_date(struct helper *helper) {
  struct extip_table_answer *in_file =
    calloc(EXTIP_TABLE_ANSWERS, sizeof(*in_file));

  if (in_file == NULL) {
    return;
  }

  (void) extip_file_read(helper->file.fd, in_file);
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (helper->answers[i].asked == 0) {
      helper->answers[i] = in_file[i];

    } else if (memcmp(&helper->answers[i], &in_file[i], sizeof(*in_file)) !=
               0) {
      write_file(helper, i, true);
    }
  }
  free(in_file);
}

/* The former helper may be about to end; this one asks meanwhile. */
static void try_lock(struct helper *helper) {
  if (extip_file_lock(&helper->file) == 0) {
    helper->locked = true;
    bring_up_to_date(helper);

  } else if (++helper->lock_tries == LOCK_SAY_AFTER) {
    extip_log(EXTIP_LOG_WARNING,
      "another process writes ExtIPTable '%s': waiting for it to end (does another ProFTPD have the same ExtIPTable?)",
      helper->task->table);
  }
}

/* Opens the file as the user as which the daemon started this program. */
static void open_file(struct helper *helper) {
  char reason[512];

  if (*helper->task->table == '\0') {
    return;
  }

  if (extip_file_start(
        &helper->file, helper->task->table, reason, sizeof(reason)) < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "ExtIPTable '%s' cannot be used, so the address will not survive a restart: %s",
      helper->task->table, reason);
    helper->file.fd = -1;

  } else if (*reason != '\0') {
    extip_log(EXTIP_LOG_WARNING, "ExtIPTable %s", reason);
  }
}

/* That of the forwards, in the same directory. */
static void open_forwards_file(struct helper *helper) {
  char path[4096], reason[512];

  helper->forwards_fd = -1;
  if (*helper->task->table == '\0' || helper->task->start == EXTIP_START_ONCE) {
    return;
  }

  snprintf(path, sizeof(path), "%s.forwards", helper->task->table);
  if (helper->task->router.port_count == 0 && access(path, F_OK) < 0) {
    return;
  }

  helper->forwards_fd = extip_forward_file_open(path, reason, sizeof(reason));
  if (helper->forwards_fd < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "'%s' cannot be used, so old forwards cannot be removed from the router after a restart: %s",
      path, reason);
  }
}

/* Publishing: to the sessions first, then to the disk. */
static void publish(
  size_t record, const struct extip_record *whole, bool changed, void *user) {
  struct helper *helper = user;
  struct extip_table_answer *answer = &helper->answers[record];
  bool differs = memcmp(answer, &whole->answer, sizeof(*answer)) != 0;

  owed[record].owed = true;
  owed[record].record = *whole;
  (void) pay();
  *answer = whole->answer;
  if (differs) {
    write_file(helper, record, changed);
  }
}

static void publish_forward(
  size_t index, const struct extip_forward *forward, void *user) {
  (void) user;
  owed_forwards[index].owed = true;
  owed_forwards[index].forward = *forward;
  forwards = index < forwards ? forwards : index + 1;
  (void) pay();
}

/* Being told */

/* Waits for a message. Returns the number of bytes of its body, or -1. */
static ssize_t hear(struct extip_message *message) {
  struct pollfd link = { .fd = EXTIP_LINK_FD, .events = POLLIN };
  ssize_t len = -1;

  do {
    if (poll(&link, 1, -1) < 0 && errno != EINTR) {
      return -1;
    }
    len = extip_message_receive(EXTIP_LINK_FD, message);
  } while (len < 0 && errno == EAGAIN);

  return len;
}

static struct extip_task *read_task(const char *bytes, size_t len) {
  char reason[128];
  struct extip_task *task =
    extip_task_parse(bytes, len, reason, sizeof(reason));

  if (task == NULL) {
    extip_log(EXTIP_LOG_WARNING, "helper process cannot start: %s", reason);
  }
  return task;
}

/* Receives the task and the known answers; false if they are incomplete. */
static bool be_told(struct helper *helper, struct extip_record *known) {
  static struct extip_message message;
  char *bytes = NULL;
  size_t used = 0, records = 0;
  ssize_t len;

  while ((len = hear(&message)) >= 0 && message.type != EXTIP_MESSAGE_BEGIN) {
    if (message.type == EXTIP_MESSAGE_TASK && helper->task == NULL) {
      char *more = used < TASK_MAX ? realloc(bytes, used + (size_t) len) : NULL;

      if (more == NULL) {
        break;
      }
      bytes = more;
      memcpy(bytes + used, message.body.bytes, (size_t) len);
      used += (size_t) len;

    } else if (message.type == EXTIP_MESSAGE_RECORD &&
               extip_record_complete(&message.body.record, (size_t) len)) {
      if (helper->task == NULL &&
          (helper->task = read_task(bytes, used)) == NULL) {
        break;
      }
      if (records == helper->task->count) {
        break;
      }
      known[records++] = message.body.record;
    }
  }

  free(bytes);
  return len >= 0 && message.type == EXTIP_MESSAGE_BEGIN &&
         helper->task != NULL && records == helper->task->count;
}

/* Running */

static void on_link(int fd, void *user) {
  struct helper *helper = user;
  struct extip_message message;

  if (extip_message_receive(fd, &message) < 0) {
    if (errno != EAGAIN) {
      _exit(0);
    }

  } else if (message.type == EXTIP_MESSAGE_CLOSE) {
    helper->closing = true;
    helper->hurry = extip_now() + HURRY_MS;
    if (helper->router != NULL) {
      extip_router_close(helper->router);
    }
  }
}

/* The router has announced something. */
static void on_router(void *user) {
  struct helper *helper = user;

  extip_engine_wake(helper->engine, ROUTER_DELAY_MS);
}

static void ask_router_again(struct helper *helper) {
  if (helper->router != NULL) {
    extip_router_again(helper->router);
  }
}

static void on_wake(int fd, void *user) {
  struct helper *helper = user;
  struct extip_wake wake;

  while (recv(fd, &wake, sizeof(wake), MSG_DONTWAIT) == sizeof(wake)) {
    ask_router_again(helper);
    if (wake.addr == INADDR_ANY) {
      extip_engine_wake(helper->engine, 0);

    } else {
      extip_engine_doubt(
        helper->engine, wake.record, (struct in_addr){ wake.addr });
    }
  }
}

static void on_netlink(int fd, void *user) {
  struct helper *helper = user;

  if (extip_netlink_read(fd)) {
    extip_engine_wake(helper->engine, NETLINK_DELAY_MS);
    if (helper->router != NULL) {
      extip_router_follow(helper->router);
    }
  }
}

static void look_at_clock(int fd, void *user) {
  struct helper *helper = user;
  int64_t step = extip_clock_step(fd);

  if (step != 0) {
    extip_log(EXTIP_LOG_NOTICE, "the clock was set by %+lld s: asking again",
      (long long) step);
    extip_engine_wake(helper->engine, 0);
  }
}

/* True when the forwards are removed, as far as is known. */
static bool close_router(struct helper *helper) {
  if (helper->router == NULL || extip_router_closed(helper->router)) {
    return true;
  }

  if (extip_now() >= helper->hurry) {
    helper->hurry = INT64_MAX;
    extip_router_hurry(helper->router);
  }
  return false;
}

static void run(struct helper *helper, struct extip_loop *loop) {
  bool once = helper->task->start == EXTIP_START_ONCE;

  while (true) {
    look_at_clock(helper->clock_fd, helper);

    int64_t wait = extip_engine_turn(helper->engine);

    wait = wait < CLOCK_MS ? wait : CLOCK_MS;
    if (helper->router != NULL) {
      int64_t router_wait = extip_router_turn(helper->router);

      wait = router_wait < wait ? router_wait : wait;
    }
    if (helper->closing) {
      if (close_router(helper)) {
        return;
      }
      wait = wait < HURRY_MS / 10 ? wait : HURRY_MS / 10;
    }
    if (once && wait > 0 && !extip_engine_asks(helper->engine)) {
      (void) pay();
      return;
    }

    if (helper->file.fd >= 0 && !helper->locked) {
      try_lock(helper);
    }

    if ((!pay() || (helper->file.fd >= 0 && !helper->locked)) &&
        wait > RETRY_MS) {
      wait = RETRY_MS;
    }

    if (extip_loop_turn(loop, wait) < 0) {
      extip_log(
        EXTIP_LOG_WARNING, "helper process ends: poll: %s", strerror(errno));
      return;
    }
  }
}

/* The messages of the router are heard even if it need not forward anything. */
static void start_router(struct helper *helper, struct extip_loop *loop) {
  struct extip_router_news news = {
    .woken = on_router, .forward = publish_forward, .user = helper
  };

  if (helper->task->start != EXTIP_START_ONCE) {
    helper->router = extip_router_start(
      &helper->task->router, loop, helper->forwards_fd, &news);
  }
}

static void watch(struct helper *helper, struct extip_loop *loop) {
  int netlink = extip_netlink_open();

  if (netlink < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "changes of this host's addresses will not be noticed: netlink: %s",
      strerror(errno));
  }

  extip_loop_watch(loop, EXTIP_LINK_FD, on_link, helper);
  extip_loop_watch(loop, EXTIP_WAKE_FD, on_wake, helper);
  extip_loop_watch(loop, netlink, on_netlink, helper);
  helper->clock_fd = extip_clock_watch();
  extip_loop_watch(loop, helper->clock_fd, look_at_clock, helper);
}

/* An ordinary stop under systemd signals every process of the service. The
 * helper ends when the daemon closes the link, or a while later. */
static void on_sigterm(int signo) {
  (void) signo;
  (void) alarm(END_SECONDS);
}

/* The daemon is told that this program works, so that it can be left to wait by
 * itself. */
static void say_begin(void) {
  struct extip_message message = { .type = EXTIP_MESSAGE_BEGIN };

  (void) extip_message_send(EXTIP_LINK_FD, &message, 0);
}

/* Waits before the start, or until the daemon ends. */
static void wait_for_begin(unsigned int seconds) {
  struct pollfd link = { .fd = EXTIP_LINK_FD, .events = POLLIN };

  if (seconds > 0 && poll(&link, 1, (int) seconds * 1000) > 0) {
    _exit(0);
  }
}

static int serve(void) {
  static struct helper helper = { .file = { -1 } };
  static struct extip_record known[EXTIP_TABLE_ANSWERS];
  struct extip_loop *loop;

  extip_detach();
  (void) signal(SIGTERM, on_sigterm);
  if (!be_told(&helper, known)) {
    return 1;
  }

  open_file(&helper);
  open_forwards_file(&helper);
  if (extip_drop_privileges(helper.task->user, helper.task->group) < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "helper process cannot give up its privileges: %s", strerror(errno));
    return 1;
  }

  extip_die_with(helper.task->daemon);
  say_begin();
  wait_for_begin(helper.task->delay);
  if (helper.task->start == EXTIP_START_ONCE && helper.file.fd >= 0) {
    /* The process with the lock is asking already. */
    if (extip_file_lock(&helper.file) < 0) {
      return 0;
    }
    helper.locked = true;
  }

  loop = extip_loop_make();
  if (loop != NULL) {
    watch(&helper, loop);
    start_router(&helper, loop);
    helper.engine =
      extip_engine_start(helper.task, loop, known, publish, &helper);
  }
  if (helper.engine == NULL) {
    extip_log(
      EXTIP_LOG_WARNING, "helper process cannot start: %s", strerror(errno));
    return 1;
  }

  run(&helper, loop);
  return 0;
}

static const char usage[] =
  "usage: extip-helper ask <uri> [extract <how>] [header \"Name: value\"]...\n"
  "Asks one source of mod_extip, as in ExtIPSource, and prints its answer.\n"
  "Exit status: 0 with a usable answer, 1 without, 2 when it cannot be asked.\n";

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "ask") == 0) {
    return extip_ask(argc - 2, argv + 2);
  }

  if (argc > 1 && strcmp(argv[1], EXTIP_HELPER_PROBE) == 0) {
    return extip_trial_main(argc - 2, argv + 2);
  }

  if (argc == 2 && strcmp(argv[1], EXTIP_HELPER_SERVE) == 0) {
    return serve();
  }

  fputs(usage, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
  return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
