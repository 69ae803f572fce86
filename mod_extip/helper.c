/*
 * mod_extip - the daemon's side of the helper: starting, listening, ending
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"
#include "privs.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "helper.h"
#include "helper_fds.h"
#include "log.h"
#include "mod_extip.h"
#include "shared.h"

/* The directory of the helper if it is not in that of this module. */
#if !defined(EXTIP_HELPER_DIR)
#define EXTIP_HELPER_DIR "/usr/lib/proftpd"
#endif

/* A variable of the daemon without a header: signals that it has received and
 * not handled yet. */
extern volatile unsigned int recvd_signal_flags;

/* Seconds until the next helper starts after one has died. They double each
 * time, unless that helper had lived as long. */
#define RESTART_MIN  1
#define RESTART_MAX  64
#define RESTART_LIFE 10

/* Seconds until the next try if no process can be created. */
#define FORK_RETRY 10

/* How long the daemon's end waits for the router. */
#define CLOSE_MS 2000

static const struct extip_task *helper_task = NULL;
static void (*address_changed)(const char *addr) = NULL;
static int link_fd = -1; /* messages, see task.h */
static pid_t helper_pid = 0, daemon_pid = 0;
static time_t helper_begins = 0; /* of the monotonic clock */
static unsigned int restart_delay = RESTART_MIN;
static bool helper_works = true; /* it has said so */

static time_t now(void) {
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return ts.tv_sec;
}

static void close_fd(int *fd) {
  if (*fd >= 0) {
    (void) close(*fd);
  }
  *fd = -1;
}

/* Starting */

const char *extip_helper_find(char path[PATH_MAX]) {
  Dl_info info;
  char *slash = NULL;

  if (dladdr(&extip_module, &info) != 0 && info.dli_fname != NULL &&
      realpath(info.dli_fname, path) != NULL) {
    slash = strrchr(path, '/');
  }

  if (slash != NULL &&
      (size_t) (slash - path) + sizeof("/" EXTIP_HELPER_NAME) < PATH_MAX) {
    sstrncpy(slash, "/" EXTIP_HELPER_NAME, sizeof("/" EXTIP_HELPER_NAME));
    if (access(path, X_OK) == 0) {
      return path;
    }
  }

  sstrncpy(path, EXTIP_HELPER_DIR "/" EXTIP_HELPER_NAME, PATH_MAX);
  return path;
}

/* Runs in the forked child, which becomes the helper after so many seconds, or
 * ends with the daemon. A failure is reported over LINK. */
static void exec_helper(int link, int wake, unsigned int seconds) {
  struct extip_message message = { .type = EXTIP_MESSAGE_LOG,
    .number = EXTIP_LOG_WARNING };
  struct pollfd hangup = { .fd = link };
  char path[PATH_MAX];
  const char *program;

  session.pid = getpid();
  if (seconds > 0 && poll(&hangup, 1, (int) seconds * 1000) > 0) {
    _exit(0);
  }
  PRIVS_ROOT

  program = extip_helper_find(path);

  /* Nobody wakes the helper of a session: it has a descriptor that is never
   * readable, as poll(2) would always say of /dev/null. */
  wake = wake >= 0 ? wake : eventfd(0, EFD_CLOEXEC);
  link = fcntl(link, F_DUPFD, EXTIP_LAST_FD + 1);
  wake = fcntl(wake, F_DUPFD, EXTIP_LAST_FD + 1);

  /* Nothing is left of the daemon's User: a program that begins with two users
   * or groups is a set-user-ID one to its loader. */
  if (dup2(link, EXTIP_LINK_FD) >= 0 && dup2(wake, EXTIP_WAKE_FD) >= 0 &&
      setregid(getegid(), getegid()) == 0 &&
      setreuid(geteuid(), geteuid()) == 0) {
    (void) execl(program, EXTIP_HELPER_NAME, EXTIP_HELPER_SERVE, (char *) NULL);
  }

  snprintf(message.body.bytes, EXTIP_LINE_SIZE,
    "cannot run '%.700s': %s; it has to be there and executable, and SELinux or AppArmor, if in use, to allow it",
    program, strerror(errno));
  (void) extip_message_send(link, &message, strlen(message.body.bytes) + 1);
  _exit(1);
}

pid_t extip_helper_fork(void) {
  sigset_t all, before;

  sigfillset(&all);
  (void) sigprocmask(SIG_BLOCK, &all, &before);

  pid_t pid = fork();
  int xerrno = errno;

  if (pid == 0) {
    recvd_signal_flags = 0;
    for (int signo = 1; signo < NSIG; signo++) {
      (void) signal(signo, signo == SIGPIPE ? SIG_IGN : SIG_DFL);
    }

  } else {
    (void) sigprocmask(SIG_SETMASK, &before, NULL);
  }

  errno = xerrno;
  return pid;
}

/* Sends the helper all it needs. It has not read anything by then, so the
 * socket must have room for it. */
static int tell(int fd, const struct extip_task *task) {
  struct extip_message message = { .type = EXTIP_MESSAGE_TASK };
  size_t len = 0;
  char *bytes = extip_task_print(task, &len);
  int room = (int) (2 * len + (task->count + 8) * 2 * sizeof(message));
  int res = bytes != NULL ? 0 : -1;

  PRIVS_ROOT(void)
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
  PRIVS_RELINQUISH(void)
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));

  for (size_t at = 0; res == 0 && at < len;) {
    size_t part =
      len - at < sizeof(message.body) ? len - at : sizeof(message.body);

    memcpy(message.body.bytes, bytes + at, part);
    res = extip_message_send(fd, &message, part);
    at += part;
  }
  free(bytes);

  for (size_t i = 0; res == 0 && i < task->count; i++) {
    message.type = EXTIP_MESSAGE_RECORD;
    (void) extip_table_read_all(
      extip_shared_view(), task->discoveries[i].record, &message.body.record);
    res =
      extip_message_send(fd, &message, extip_record_size(&message.body.record));
  }

  message.type = EXTIP_MESSAGE_BEGIN;
  return res == 0 ? extip_message_send(fd, &message, 0) : -1;
}

/* ProFTPD leaves SIGUSR2 to modules (event "core.signal.USR2"). It is the only
 * way into its main loop that costs nothing while nothing happens. */
static int signal_on_news(int fd) {
  return fcntl(fd, F_SETOWN, getpid()) < 0 ||
             fcntl(fd, F_SETSIG, SIGUSR2) < 0 ||
             fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0
           ? -1
           : 0;
}

/* A connection for the helper, at whose other end it finds TASK. */
static int open_link(const struct extip_task *task, int fds[2]) {
  if (socketpair(
        AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
    return -1;
  }

  if (pr_fs_get_usable_fd2(&fds[0]) < 0 || pr_fs_get_usable_fd2(&fds[1]) < 0 ||
      tell(fds[0], task) < 0) {
    int xerrno = errno;

    close_fd(&fds[0]);
    close_fd(&fds[1]);
    errno = xerrno;
    return -1;
  }
  return 0;
}

/* Starts a helper at the second end of the connection, and closes that here;
 * both if there is none. The program is run after so many seconds. Returns its
 * process id, or -1. */
static pid_t fork_helper(int fds[2], unsigned int seconds) {
  pid_t pid = extip_helper_fork();

  if (pid == 0) {
    (void) close(fds[0]);
    exec_helper(fds[1], extip_shared_wake_fd(), seconds);
  }

  int xerrno = errno;

  close_fd(&fds[1]);
  if (pid < 0) {
    close_fd(&fds[0]);
  }
  errno = xerrno;
  return pid;
}

/* The helper itself waits until it has to begin, because a timer in the daemon
 * delays clients, and setting one while others run corrupts ProFTPD's list of
 * timers. If the last one could not, as its program cannot be run, or ends
 * before it does anything, its process waits before it becomes the program. */
static int start_helper(enum extip_start start, unsigned int delay) {
  struct extip_task task = *helper_task;
  unsigned int before = helper_works ? 0 : delay;
  int fds[2];
  pid_t pid;

  task.start = start;
  task.delay = delay - before;
  task.daemon = daemon_pid = getpid();
  if (open_link(&task, fds) < 0) {
    return -1;
  }

  /* Before there is a helper: one that ends at once is heard, too. */
  if (signal_on_news(fds[0]) < 0) {
    extip_log(EXTIP_LOG_WARNING, "cannot listen to the helper process: %s",
      strerror(errno));
  }

  pid = fork_helper(fds, before);
  if (pid < 0) {
    return -1;
  }
  helper_works = false;
  link_fd = fds[0];
  helper_pid = pid;
  helper_begins = now() + delay;
  return 0;
}

static int on_fork_timer(CALLBACK_FRAME) {
  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;
  return start_helper(EXTIP_START_NOW, 0) < 0;
}

static void start_or_retry(enum extip_start start, unsigned int delay) {
  if (start_helper(start, delay) == 0) {
    return;
  }

  extip_log(EXTIP_LOG_WARNING,
    "cannot start the helper process, trying again in %d s: %s", FORK_RETRY,
    strerror(errno));
  (void) pr_timer_add(FORK_RETRY, -1, &extip_module, on_fork_timer,
    "mod_extip: new helper process");
}

void extip_helper_start(
  const struct extip_task *task, void (*changed)(const char *addr)) {
  helper_task = task;
  address_changed = changed;
  restart_delay = RESTART_MIN;
  helper_works = true;
  start_or_retry(task->start, 0);
}

/* Hearing */

/* The helper is not trusted to name its own record, nor to terminate its
 * strings. */
static void take_record(uint32_t number, struct extip_record *record) {
  struct extip_table_answer before;
  char text[INET_ADDRSTRLEN];

  if (number >= EXTIP_TABLE_ANSWERS ||
      !extip_table_read(extip_shared_view(), number, &before)) {
    return;
  }

  extip_record_make_safe(record, &before);
  extip_table_write(extip_shared_table(), number, record);
  if (record->answer.addr != before.addr && record->answer.addr != INADDR_ANY &&
      address_changed != NULL) {
    address_changed(
      inet_ntop(AF_INET, &record->answer.addr, text, sizeof(text)));
  }
}

static void take_line(struct extip_message *message, size_t len) {
  if (len > 0 && len <= EXTIP_LINE_SIZE &&
      message->number <= EXTIP_LOG_WARNING) {
    message->body.bytes[len - 1] = '\0';
    extip_log(message->number, "%s", message->body.bytes);
  }
}

static void take_forward(uint32_t number, const struct extip_forward *forward) {
  if (extip_shared_forwards() != NULL) {
    (void) extip_forward_table_take(extip_shared_forwards(), number, forward);
  }
}

/* Reads all messages. False at the end of the connection. The kernel tells that
 * it was reset, because a helper ended without reading its task, before what
 * that helper has said. */
static bool hear(int fd) {
  struct extip_message message;
  ssize_t len;

  while ((len = extip_message_receive(fd, &message)) >= 0 || errno == EBADMSG ||
         errno == ECONNRESET) {
    if (len >= 0 && message.type == EXTIP_MESSAGE_LOG) {
      take_line(&message, (size_t) len);

    } else if (len >= 0 && message.type == EXTIP_MESSAGE_BEGIN) {
      helper_works = true;

    } else if (len >= 0 && message.type == EXTIP_MESSAGE_RECORD &&
               extip_record_complete(&message.body.record, (size_t) len)) {
      take_record(message.number, &message.body.record);

    } else if (len == sizeof(message.body.forward) &&
               message.type == EXTIP_MESSAGE_FORWARD) {
      take_forward(message.number, &message.body.forward);
    }
  }

  return errno == EAGAIN;
}

static void helper_died(void) {
  close_fd(&link_fd);
  if (now() - helper_begins >= RESTART_LIFE) {
    restart_delay = RESTART_MIN;
  }

  extip_log(EXTIP_LOG_WARNING,
    "helper process %lu has ended: restarting in %u s, keeping the known addresses",
    (unsigned long) helper_pid, restart_delay);
  start_or_retry(EXTIP_START_NOW, restart_delay);
  restart_delay =
    restart_delay * 2 < RESTART_MAX ? restart_delay * 2 : RESTART_MAX;
}

/* A session that has just been forked can have the daemon's signal. */
void extip_helper_news(void) {
  if (link_fd >= 0 && getpid() == daemon_pid && !hear(link_fd)) {
    helper_died();
  }
}

pid_t extip_helper_pid(unsigned int *seconds) {
  time_t wait = helper_begins - now();

  *seconds = link_fd < 0 ? FORK_RETRY : wait > 0 ? (unsigned int) wait : 0;
  return link_fd < 0 || wait > 0 ? 0 : helper_pid;
}

int64_t extip_helper_since(void) {
  time_t age = now() - helper_begins;

  return link_fd < 0 || age < 0 ? 0 : (int64_t) (time(NULL) - age);
}

void extip_helper_stop(void) {
  int fd = link_fd;

  (void) pr_timer_remove(-1, &extip_module);
  if (fd >= 0) {
    bool alive = hear(fd);

    /* What follows brings SIGUSR2, which is no news any more. */
    link_fd = -1;

    /* Sessions that are still starting have this descriptor as well, so closing
     * it would not end the helper. */
    (void) shutdown(fd, SHUT_RDWR);
    if (alive) {
      PRIVS_ROOT(void)
      kill(helper_pid, SIGTERM);
      PRIVS_RELINQUISH
    }
  }

  close_fd(&fd);
  helper_pid = 0;
  helper_task = NULL;
}

/* The helper ends by itself when that is done. */
void extip_helper_close(void) {
  struct extip_message message = { .type = EXTIP_MESSAGE_CLOSE };
  struct pollfd link = { .fd = link_fd, .events = POLLIN };
  int64_t end = extip_now() + CLOSE_MS, left = CLOSE_MS;

  if (link_fd >= 0 && helper_task->router.port_count > 0 &&
      extip_message_send(link_fd, &message, 0) == 0) {
    while (hear(link_fd) && (left = end - extip_now()) > 0) {
      (void) poll(&link, 1, (int) left);
    }
  }
  extip_helper_stop();
}

void extip_helper_leave(void) {
  close_fd(&link_fd);
}

/* Without a daemon */

/* Takes the place of the daemon while the helper asks, and logs its lines. */
static void once_main(const struct extip_task *without_daemon) {
  struct extip_task task = *without_daemon;
  struct pollfd link = { .events = POLLIN };
  int fds[2];

  task.start = EXTIP_START_ONCE;
  task.daemon = getpid();
  if (open_link(&task, fds) < 0 || fork_helper(fds, 0) < 0) {
    extip_log(EXTIP_LOG_WARNING, "cannot ask for the external address: %s",
      strerror(errno));
    _exit(1);
  }

  link.fd = fds[0];
  while (hear(link.fd)) {
    (void) poll(&link, 1, -1);
  }
  _exit(0);
}

/* Saves most sessions the fork; the helper checks again. */
static bool nothing_is_due(const struct extip_task *task) {
  time_t wall = time(NULL);

  for (size_t i = 0; i < task->count; i++) {
    const struct extip_discovery *discovery = &task->discoveries[i];
    struct extip_table_answer answer;

    if (!extip_table_read(extip_shared_view(), discovery->record, &answer) ||
        answer.next <= wall || answer.next > wall + discovery->refresh) {
      return false;
    }
  }

  return true;
}

void extip_helper_once(const struct extip_task *task) {
  pid_t pid;

  if (nothing_is_due(task)) {
    return;
  }

  pid = extip_helper_fork();
  if (pid < 0) {
    extip_log(EXTIP_LOG_WARNING, "cannot ask for the external address: %s",
      strerror(errno));
    return;
  }

  if (pid == 0) {
    /* The asking process is detached, so no process has to wait for it. */
    if (fork() == 0) {
      once_main(task);
    }
    _exit(0);
  }

  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    pr_signals_handle();
  }
}
