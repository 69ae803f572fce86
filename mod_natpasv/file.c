/*
 * mod_natpasv - the table in a file
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE ((off_t) sizeof(struct natpasv_map))

/* SIGBUS
 */

static struct {
  char *map;
  int fd;
  struct sigaction former;
} guarded = { .fd = -1 };

/* Whether the file was too short. */
static bool regrow(int fd) {
  struct stat st;

  return fstat(fd, &st) == 0 && st.st_size < SIZE && ftruncate(fd, SIZE) == 0;
}

/* The file was truncated, and a page behind its end was accessed. When this
 * returns, the access is repeated on zeros, and the next PASV initialises the
 * table. Any other SIGBUS is passed to the former handler. */
static void on_sigbus(int signo, siginfo_t *info, void *context) {
  int xerrno = errno;
  char *at = info->si_addr;

  if (info->si_code > 0 && guarded.map != NULL && at >= guarded.map &&
      at < guarded.map + SIZE && regrow(guarded.fd)) {
    atomic_store(&((struct natpasv_map *) guarded.map)->ready, 0);

  } else if (guarded.former.sa_flags & SA_SIGINFO) {
    guarded.former.sa_sigaction(signo, info, context);

  } else if (guarded.former.sa_handler != SIG_DFL &&
             guarded.former.sa_handler != SIG_IGN) {
    guarded.former.sa_handler(signo);

  } else {
    (void) sigaction(signo, &guarded.former, NULL);
    if (info->si_code <= 0) {
      (void) raise(signo);
    }
  }
  errno = xerrno;
}

static bool is_our_handler(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) != 0 &&
         action->sa_sigaction == on_sigbus;
}

void natpasv_file_guard(const struct natpasv_table *table) {
  struct sigaction action = { .sa_sigaction = on_sigbus,
    .sa_flags = SA_SIGINFO },
                   former;

  guarded.fd = table->fd;
  guarded.map = (char *) table->map;
  (void) sigemptyset(&action.sa_mask);
  if (sigaction(SIGBUS, &action, &former) == 0 && !is_our_handler(&former)) {
    guarded.former = former;
  }
}

/* If another handler has replaced ours, it may still call ours, which then
 * stays. */
static void unguard(void) {
  struct sigaction action;

  guarded.map = NULL;
  if (sigaction(SIGBUS, NULL, &action) == 0 && is_our_handler(&action)) {
    (void) sigaction(SIGBUS, &guarded.former, NULL);
  }
}

/* Files
 */

__attribute__((format(printf, 3, 4))) static int refuse(
  char *reason, size_t reason_size, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  (void) vsnprintf(reason, reason_size, fmt, args);
  va_end(args);
  return -1;
}

/* Allocates the file in full. On a full file system, a later access would
 * otherwise raise SIGBUS. */
static int make_room(int fd) {
  return fallocate(fd, 0, 0, SIZE) == 0 ? 0
         : errno == EOPNOTSUPP          ? ftruncate(fd, SIZE)
                                        : -1;
}

static int map_file(struct natpasv_table *table, int fd) {
  void *map =
    mmap(NULL, (size_t) SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  if (map == MAP_FAILED) {
    return -1;
  }
  table->map = map;
  table->fd = fd;
  return 0;
}

/* Creates a table that is complete before it has its name. It replaces another
 * one, or does not if another process has created one meanwhile. */
static int make_file(const char *path, bool replace) {
  struct natpasv_table table = { .fd = -1 };
  char name[PATH_MAX];
  int fd, res = -1, xerrno;

  (void) snprintf(name, sizeof(name), "%s.XXXXXX", path);
  fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }

  if (make_room(fd) == 0 && map_file(&table, fd) == 0) {
    natpasv_table_begin(&table);
    (void) munmap(table.map, (size_t) SIZE);
    res = replace ? rename(name, path) : link(name, path);
    if (res < 0 && errno == EEXIST) {
      res = 0;
    }
  }

  xerrno = errno;
  (void) unlink(name);
  (void) close(fd);
  errno = xerrno;
  return res;
}

static int check_directory(const char *path, char *reason, size_t reason_size) {
  char dir[PATH_MAX];
  struct stat st;

  (void) snprintf(
    dir, sizeof(dir), "%.*s", (int) (strrchr(path, '/') - path), path);
  if (stat(dir[0] != '\0' ? dir : "/", &st) < 0) {
    return refuse(reason, reason_size, "%s: %s", dir, strerror(errno));
  }

  if ((st.st_uid != 0 && st.st_uid != geteuid()) ||
      (st.st_mode & S_IWOTH) != 0 ||
      ((st.st_mode & S_IWGRP) != 0 && st.st_gid != 0)) {
    return refuse(
      reason, reason_size, "its directory is writable by others '%s'", dir);
  }
  return 0;
}

/* Whether no session has it open, of this module or of an older version, which
 * used locks of the other kind. */
static bool is_unused(int fd) {
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

  return flock(fd, LOCK_EX | LOCK_NB) == 0 && fcntl(fd, F_GETLK, &lock) == 0 &&
         lock.l_type == F_UNLCK;
}

/* Returns 0 for a table of this version; 1 if it was one of another version and
 * has been replaced; -1 with a reason. */
static int check_file(
  int fd, const char *path, char *reason, size_t reason_size) {
  struct {
    uint64_t magic;
    uint32_t size;
    uint32_t ready;
  } head = { 0, 0, 0 };
  struct stat st;

  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
    return refuse(reason, reason_size, "it is not a plain file of this user");
  }

  if (pread(fd, &head, sizeof(head), 0) < (ssize_t) sizeof(head) ||
      !natpasv_table_is_older(head.magic)) {
    return refuse(reason, reason_size,
      "it is not a table of this module; it is left as it is");
  }

  if (natpasv_table_is_ours(head.magic, head.size)) {
    return 0;
  }

  if (!is_unused(fd)) {
    return refuse(
      reason, reason_size, "sessions of another version of this module use it");
  }

  if (make_file(path, true) < 0) {
    return refuse(reason, reason_size, "%s", strerror(errno));
  }
  return 1;
}

/* A table that no process uses is left from an earlier run, or from before the
 * last boot. */
static int use(
  struct natpasv_table *table, int fd, enum natpasv_file_user user) {
  bool alone = flock(fd, LOCK_EX | LOCK_NB) == 0;
  struct stat st;

  if (fstat(fd, &st) < 0 || (st.st_size < SIZE && make_room(fd) < 0) ||
      map_file(table, fd) < 0) {
    return -1;
  }

  if (alone && user == NATPASV_FILE_DAEMON) {
    natpasv_table_clear(table);
  } else if (alone) {
    natpasv_table_reset(table);
  }
  natpasv_file_guard(table);
  return flock(fd, LOCK_SH);
}

/* Not one of the first three, which ProFTPD takes for others. */
static int open_lifted(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK),
      lifted = fd;

  if (fd >= 0 && fd <= STDERR_FILENO) {
    lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    (void) close(fd);
  }
  return lifted;
}

int natpasv_file_open(struct natpasv_table *table, const char *path,
  enum natpasv_file_user user, char *reason, size_t reason_size) {
  *table = (struct natpasv_table){ .fd = -1 };
  if (check_directory(path, reason, reason_size) < 0) {
    return -1;
  }

  /* Repeated if there was no file, or one that was replaced. */
  for (int tries = 0; tries < 3; tries++) {
    int res, fd = open_lifted(path);

    if (fd < 0 && errno == ENOENT && make_file(path, false) == 0) {
      continue;
    }
    if (fd < 0) {
      return refuse(reason, reason_size, "%s", strerror(errno));
    }

    res = check_file(fd, path, reason, reason_size);
    if (res == 0 && use(table, fd, user) == 0) {
      return 0;
    }
    if (res == 0) {
      (void) refuse(reason, reason_size, "%s", strerror(errno));
    }
    table->fd = fd;
    natpasv_file_close(table);
    if (res <= 0) {
      return -1;
    }
  }
  return refuse(reason, reason_size, "it changes all the time");
}

void natpasv_file_close(struct natpasv_table *table) {
  if (table->map != NULL) {
    unguard();
    natpasv_table_leave(table);
    (void) munmap(table->map, (size_t) SIZE);
  }
  if (table->fd >= 0) {
    (void) close(table->fd);
  }
  *table = (struct natpasv_table){ .fd = -1 };
}
