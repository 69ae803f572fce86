/*
 * mod_extip - the process that asks, from the fork to its end
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

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "confine.h"
#include "helper.h"
#include "job.h"
#include "mod_extip.h"
#include "netlink.h"
#include "report.h"

/* The daemon's, though in no header: whether it stays in the foreground, where
 * its log is standard error. */
extern int nodaemon;

/* The same: signals that the daemon has received and not yet handled. */
extern volatile unsigned int recvd_signal_flags;

/* Changes of addresses and routes come in bursts. */
#define NETLINK_DELAY_MS 250

/* How often a helper looks whether another has given the table free, and after
 * how many times it says that it waits. */
#define LOCK_RETRY_MS  100
#define LOCK_SAY_AFTER 50

/* Seconds until the next helper begins when one has died: doubled each time,
 * unless it had completed a round. */
#define RESTART_MIN 1
#define RESTART_MAX 64

/* Seconds to the next try when there can be no process. */
#define FORK_RETRY 10

/* The daemon's side. */
static const struct extip_plan *helper_plan = NULL;
static const struct extip_table *helper_table = NULL;
static pid_t helper_pid = 0;
static unsigned restart_delay = RESTART_MIN;

/* A stream between daemon and helper: each notices the other's end. The helper
 * sends each address that it adopts. */
static int link_fd = -1;

/* Datagrams of one byte, an enum extip_wake, from the daemon and its sessions.
 * The daemon keeps both ends: a helper that died leaves them for the next. So
 * does one that a SIGHUP ends, for the sessions from before it; because that
 * unloads this module, a variable of ProFTPD remembers which they are. */
static int wake_fds[2] = { -1, -1 };
#define WAKE_VARIABLE "%{mod_extip.wake}"

static void close_fd(int *fd) {
  if (*fd >= 0) {
    (void) close(*fd);
  }
  *fd = -1;
}

/* A pair of sockets none of which is in the place of stdin, stdout or stderr.
 */
static int make_pair(int type, int fds[2]) {
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
    fds[0] = fds[1] = -1;
    return -1;
  }

  if (pr_fs_get_usable_fd2(&fds[0]) < 0 || pr_fs_get_usable_fd2(&fds[1]) < 0) {
    int xerrno = errno;

    close_fd(&fds[0]);
    close_fd(&fds[1]);
    errno = xerrno;
    return -1;
  }

  return 0;
}

/* The helper's side */

static int daemon_fd = -1; /* its end of the link; -1 with inetd */

static void log_from_engine(enum extip_loudness loudness, const char *text) {
  extip_log(loudness, "%s", text);
}

static void tell_daemon(struct in_addr addr) {
  /* A daemon that is behind by thousands of changes reads the table instead. */
  (void) send(daemon_fd, &addr, sizeof(addr), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* From a copy of the daemon to a process that can only ask and write down. What
 * cannot be given up ends it: it must not go on with more than it needs. */
static void become_helper(int table_fd, int wake_fd) {
  int keep[] = { table_fd, daemon_fd, wake_fd, extip_log_fd() };
  bool foreground = nodaemon;

  /* Nearly every function of ProFTPD handles these first: they are the daemon's
   * to handle, with its timers and its control socket. */
  recvd_signal_flags = 0;
  session.pid = getpid();

  /* Other modules' listeners have lost their descriptors in this process. */
  (void) pr_event_unregister(NULL, NULL, NULL);
  pr_proctitle_set("%s", "(mod_extip: asking for the external address)");

  log_closesyslog();
  extip_detach(keep, sizeof(keep) / sizeof(keep[0]), foreground);
  if (foreground && isatty(STDERR_FILENO)) {
    log_stderr(FALSE);
  }

  PRIVS_ROOT(void)
  log_opensyslog(NULL);
  if (extip_drop_privileges(daemon_uid, daemon_gid) < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "helper process cannot give up its privileges: %s", strerror(errno));
    _exit(1);
  }
}

/* Back-off, cut short when the daemon goes. */
static void wait_in_helper(unsigned seconds) {
  struct pollfd daemon_end = { .fd = daemon_fd, .events = POLLIN };

  if (seconds > 0 && poll(&daemon_end, 1, (int) seconds * 1000) > 0) {
    _exit(0);
  }
}

/* Waits until the process that wrote the table before is gone. */
static void lock_table(int table_fd) {
  struct pollfd daemon_end = { .fd = daemon_fd, .events = POLLIN };

  for (int i = 0; extip_table_lock(table_fd) < 0; i++) {
    if (errno != EWOULDBLOCK) {
      extip_log(
        EXTIP_LOG_WARNING, "cannot lock the table: %s", strerror(errno));
      return;
    }

    if (i == LOCK_SAY_AFTER) {
      extip_log(EXTIP_LOG_WARNING,
        "another process writes the table: waiting "
        "for it to end (does another ProFTPD have the same ExtIPTable?)");
    }

    if (poll(&daemon_end, 1, LOCK_RETRY_MS) > 0) {
      _exit(0);
    }
  }
}

static void read_wakes(struct extip_engine *engine, int fd) {
  char why;

  while (recv(fd, &why, sizeof(why), MSG_DONTWAIT) == sizeof(why)) {
    extip_engine_wake(engine, 0);
  }
}

static void run_helper(struct extip_engine *engine, int wake_fd) {
  struct pollfd fds[] = {
    { .fd = daemon_fd, .events = POLLIN },
    { .fd = wake_fd, .events = POLLIN },
    { .fd = extip_netlink_open(), .events = POLLIN },
  };

  if (fds[2].fd < 0) {
    extip_log(EXTIP_LOG_WARNING,
      "changes of this host's addresses will not be "
      "noticed: netlink: %s",
      strerror(errno));
  }

  while (true) {
    int64_t wait = extip_engine_wait(engine);

    if (poll(fds, 3, wait > INT_MAX ? INT_MAX : (int) wait) < 0 &&
        errno != EINTR) {
      extip_log(
        EXTIP_LOG_WARNING, "helper process ends: poll: %s", strerror(errno));
      return;
    }

    if (fds[0].revents != 0) {
      return;
    }

    if (fds[1].revents != 0) {
      read_wakes(engine, wake_fd);
    }

    if (fds[2].revents != 0 && extip_netlink_read(fds[2].fd)) {
      extip_engine_wake(engine, NETLINK_DELAY_MS);
    }

    if (extip_engine_wait(engine) == 0) {
      extip_engine_run(engine, daemon_fd);
    }
  }
}

static void helper_main(const struct extip_plan *plan, int table_fd,
  int wake_fd, enum extip_start start) {
  static const struct extip_engine_calls calls = { .log = log_from_engine,
    .changed = tell_daemon };
  struct extip_engine *engine;

  lock_table(table_fd);
  engine = extip_engine_start(
    plan->quests, plan->quest_count, table_fd, &calls, start);
  if (engine == NULL) {
    extip_log(
      EXTIP_LOG_WARNING, "helper process cannot start: %s", strerror(errno));
    _exit(1);
  }

  run_helper(engine, wake_fd);
  _exit(0);
}

/* The daemon's side */

/* Forks with all signals blocked: the child must not run the daemon's handlers
 * before it has its own. */
static pid_t fork_quietly(void) {
  sigset_t all, before;

  sigfillset(&all);
  (void) sigprocmask(SIG_BLOCK, &all, &before);

  pid_t pid = fork();

  if (pid != 0) {
    int xerrno = errno;

    (void) sigprocmask(SIG_SETMASK, &before, NULL);
    errno = xerrno;
  }

  return pid;
}

/* SIGUSR2 is what ProFTPD gives to modules (event "core.signal.USR2"), and the
 * only way into its main loop that costs nothing while nothing happens. */
static int signal_on_news(int fd) {
  return fcntl(fd, F_SETOWN, getpid()) < 0 ||
             fcntl(fd, F_SETSIG, SIGUSR2) < 0 ||
             fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) < 0
           ? -1
           : 0;
}

/* The helper begins after DELAY seconds: it waits itself, because a timer in
 * the daemon costs clients time, and one that is set while others run corrupts
 * ProFTPD's list of timers. */
static int fork_helper(enum extip_start start, unsigned delay) {
  pid_t parent = getpid();
  int fds[2];

  if (make_pair(SOCK_STREAM, fds) < 0) {
    return -1;
  }

  if (signal_on_news(fds[0]) < 0) {
    close_fd(&fds[0]);
    close_fd(&fds[1]);
    return -1;
  }

  pid_t pid = fork_quietly();

  if (pid == 0) {
    daemon_fd = fds[1];
    become_helper(helper_table->write_fd, wake_fds[0]);
    extip_die_with(parent);
    wait_in_helper(delay);
    helper_main(helper_plan, helper_table->write_fd, wake_fds[0], start);
  }

  int xerrno = errno;

  close_fd(&fds[1]);
  if (pid < 0) {
    close_fd(&fds[0]);
    errno = xerrno;
    return -1;
  }

  link_fd = fds[0];
  helper_pid = pid;
  return 0;
}

static int on_fork_timer(CALLBACK_FRAME) {
  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;
  return fork_helper(EXTIP_START_NOW, 0) < 0;
}

static void start_helper(enum extip_start start, unsigned delay) {
  if (fork_helper(start, delay) == 0) {
    return;
  }

  extip_log(
    EXTIP_LOG_WARNING, "cannot start the helper process: %s", strerror(errno));
  (void) pr_timer_add(FORK_RETRY, -1, &extip_module, on_fork_timer,
    "mod_extip: new helper process");
}

static bool find_wake_fds(void) {
  const char *text = pr_var_get(WAKE_VARIABLE);
  char *end;

  if (text == NULL) {
    return false;
  }

  wake_fds[0] = (int) strtol(text, &end, 10);
  wake_fds[1] = (int) strtol(end, NULL, 10);
  return true;
}

/* The pair for the life of this daemon. */
static int make_wake_fds(void) {
  char *text = palloc(permanent_pool, 32);

  if (make_pair(SOCK_DGRAM, wake_fds) < 0) {
    return -1;
  }

  snprintf(text, 32, "%d %d", wake_fds[0], wake_fds[1]);
  return pr_var_set(permanent_pool, WAKE_VARIABLE,
    "descriptors that wake the helper", PR_VAR_TYPE_STR, text, NULL, 0);
}

void extip_helper_start(const struct extip_plan *plan,
  const struct extip_table *table, enum extip_start start) {
  helper_plan = plan;
  helper_table = table;
  restart_delay = RESTART_MIN;

  if (!find_wake_fds() && make_wake_fds() < 0) {
    extip_log(EXTIP_LOG_WARNING, "nobody can wake the helper process: %s",
      strerror(errno));
  }
  start_helper(start, 0);
}

void extip_helper_stop(void) {
  (void) pr_timer_remove(-1, &extip_module);

  /* This is what ends it; the daemon reaps all its children. */
  close_fd(&link_fd);
  wake_fds[0] = wake_fds[1] = -1; /* still open, see there */
  helper_pid = 0;
}

static int read_status(const struct extip_table *table,
  const struct extip_quest *quest, struct extip_table_status *status) {
  int record = extip_table_find(table->read_fd, quest->key);

  return record < 0
           ? -1
           : extip_table_read_status(table->read_fd, (size_t) record, status);
}

static bool completed_a_round(pid_t pid) {
  struct extip_table_status status;

  for (size_t i = 0; i < helper_plan->quest_count; i++) {
    if (read_status(helper_table, &helper_plan->quests[i], &status) == 0 &&
        status.helper == (uint32_t) pid && status.rounds > 0) {
      return true;
    }
  }

  return false;
}

static void helper_died(void) {
  close_fd(&link_fd);
  if (completed_a_round(helper_pid)) {
    restart_delay = RESTART_MIN;
  }

  extip_log(EXTIP_LOG_WARNING,
    "helper process %lu is dead: another begins in "
    "%u s, what is known stays",
    (unsigned long) helper_pid, restart_delay);
  helper_pid = 0;
  start_helper(EXTIP_START_NOW, restart_delay);
  restart_delay =
    restart_delay * 2 < RESTART_MAX ? restart_delay * 2 : RESTART_MAX;
}

void extip_helper_news(void (*changed)(const char *addr)) {
  struct in_addr addr;
  char text[INET_ADDRSTRLEN];
  ssize_t got = -1;

  while (link_fd >= 0 &&
         ((got = recv(link_fd, &addr, sizeof(addr), 0)) == sizeof(addr) ||
           (got < 0 && errno == EINTR))) {
    if (got > 0) {
      changed(inet_ntop(AF_INET, &addr, text, sizeof(text)));
    }
  }

  if (link_fd >= 0 && got >= 0) {
    helper_died();
  }
}

int extip_helper_wake(enum extip_wake why) {
  char byte = (char) why;

  /* When the queue is full the helper has been woken often enough. */
  return wake_fds[1] >= 0 && (send(wake_fds[1], &byte, sizeof(byte),
                                MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(byte) ||
                               errno == EAGAIN)
           ? 0
           : -1;
}

void extip_helper_leave(void) {
  close_fd(&link_fd);
  close_fd(&wake_fds[0]);
}

/* Without a daemon */

static void once_main(const struct extip_plan *plan, int table_fd) {
  static const struct extip_engine_calls calls = { .log = log_from_engine };
  struct extip_engine *engine;

  /* Whoever has the lock is at it already. */
  become_helper(table_fd, -1);
  if (extip_table_lock(table_fd) < 0) {
    _exit(0);
  }

  engine = extip_engine_start(
    plan->quests, plan->quest_count, table_fd, &calls, EXTIP_START_WHEN_DUE);
  if (engine == NULL) {
    extip_log(EXTIP_LOG_WARNING, "cannot ask for the external address: %s",
      strerror(errno));
    _exit(1);
  }

  /* A change that one source vouches for is due again at once. */
  for (int i = 0; i < 2 && extip_engine_wait(engine) == 0; i++) {
    extip_engine_run(engine, -1);
  }

  _exit(0);
}

/* Spares most sessions the fork; the process that asks looks closer. */
static bool nothing_is_due(
  const struct extip_plan *plan, const struct extip_table *table) {
  struct extip_table_status status;
  int64_t now = time(NULL);

  for (size_t i = 0; i < plan->quest_count; i++) {
    if (read_status(table, &plan->quests[i], &status) < 0 ||
        status.next <= now || status.next > now + plan->quests[i].refresh) {
      return false;
    }
  }

  return true;
}

void extip_helper_once(
  const struct extip_plan *plan, const struct extip_table *table) {
  pid_t pid;

  if (nothing_is_due(plan, table)) {
    return;
  }

  pid = fork_quietly();
  if (pid < 0) {
    extip_log(EXTIP_LOG_WARNING, "cannot ask for the external address: %s",
      strerror(errno));
    return;
  }

  if (pid == 0) {
    /* The process that asks is nobody's child, so nobody need wait for it. */
    if (fork() == 0) {
      once_main(plan, table->write_fd);
    }
    _exit(0);
  }

  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    pr_signals_handle();
  }
}
