/*
 * mod_natpasv - the table that all sessions share
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "table.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "NATPASV" and the number of this layout. */
#define MAGIC UINT64_C(0x4e41545041535601)

/* Tables that are open in this process: a session's one, and one for
 * ftpdctl. */
#define MAX_OPEN 2

static struct {
  char *map;
  int fd;
} guarded[MAX_OPEN];

static struct sigaction unguarded;
static volatile sig_atomic_t regrown = 0;

static int regrow(int fd) {
  struct stat st;

  if (fstat(fd, &st) < 0) {
    return -1;
  }

  if ((size_t) st.st_size >= sizeof(struct natpasv_map)) {
    return 0;
  }
  return ftruncate(fd, sizeof(struct natpasv_map)) < 0 ? -1 : 1;
}

/* Somebody has cut off the file, and what is behind its end was accessed. The
 * access is made again when this returns. What else gives SIGBUS (no room for
 * the page, say) is left to the handler from before. */
static void on_sigbus(int signo, siginfo_t *info, void *context) {
  int saved = errno;
  unsigned i;

  (void) context;
  for (i = 0; i < MAX_OPEN; i++) {
    char *at = info->si_addr, *map = guarded[i].map;

    if (info->si_code > 0 && map != NULL && at >= map &&
        at < map + sizeof(struct natpasv_map) && regrow(guarded[i].fd) > 0) {
      regrown = 1;
      errno = saved;
      return;
    }
  }

  (void) sigaction(signo, &unguarded, NULL);
  if (info->si_code <= 0) {
    (void) raise(signo);
  }
  errno = saved;
}

static int is_any_guarded(void) {
  unsigned i;

  for (i = 0; i < MAX_OPEN; i++) {
    if (guarded[i].map != NULL) {
      return 1;
    }
  }
  return 0;
}

static void guard(const struct natpasv_table *table) {
  struct sigaction action = { .sa_sigaction = on_sigbus,
    .sa_flags = SA_SIGINFO };
  unsigned i;

  if (!is_any_guarded()) {
    (void) sigemptyset(&action.sa_mask);
    (void) sigaction(SIGBUS, &action, &unguarded);
  }

  for (i = 0; i < MAX_OPEN; i++) {
    if (guarded[i].map == NULL) {
      guarded[i].fd = table->fd;
      guarded[i].map = (char *) table->map;
      return;
    }
  }
}

static void unguard(const struct natpasv_table *table) {
  unsigned i;

  for (i = 0; i < MAX_OPEN; i++) {
    if (guarded[i].map == (char *) table->map) {
      guarded[i].map = NULL;
    }
  }

  if (!is_any_guarded()) {
    (void) sigaction(SIGBUS, &unguarded, NULL);
  }
}

/* All of it: what a file system that is full has no room for is told by SIGBUS
 * later on. */
static int make_room(int fd) {
#if defined(__linux__)
  if (fallocate(fd, 0, 0, sizeof(struct natpasv_map)) == 0) {
    return 0;
  }

  if (errno != EOPNOTSUPP) {
    return -1;
  }
#endif
  return regrow(fd) < 0 ? -1 : 0;
}

static int map_file(struct natpasv_table *table, int fd) {
  size_t size = sizeof(struct natpasv_map);
  struct stat st;
  void *map;

  if (fstat(fd, &st) < 0) {
    return -1;
  }

  if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) {
    errno = EBADF;
    return -1;
  }

  if (((size_t) st.st_size < size || (size_t) st.st_blocks * 512 < size) &&
      make_room(fd) < 0) {
    return -1;
  }

  map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    return -1;
  }

  table->map = map;
  table->fd = fd;
  guard(table);
  return 0;
}

int natpasv_table_open(struct natpasv_table *table, const char *path) {
  uint64_t magic = 0;
  int fd, failure;

  memset(table, 0, sizeof(*table));
  table->fd = -1;

  fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  if (fd < 0) {
    return -1;
  }

  if (map_file(table, fd) < 0) {
    failure = errno;
    (void) close(fd);
    errno = failure;
    return -1;
  }

  if (!atomic_compare_exchange_strong(&table->map->magic, &magic, MAGIC) &&
      magic != MAGIC) {
    natpasv_table_close(table);
    errno = EBADF;
    return -1;
  }

  return 0;
}

const char *natpasv_table_error(int failure) {
  return failure == EBADF ? "it is not a table of this version, or not a plain "
                            "file of root alone; remove it"
                          : strerror(failure);
}

void natpasv_table_close(struct natpasv_table *table) {
  if (table->map != NULL) {
    unguard(table);
    (void) munmap(table->map, sizeof(struct natpasv_map));
    table->map = NULL;
  }

  if (table->fd >= 0) {
    (void) close(table->fd);
    table->fd = -1;
  }
  table->self = 0;
}

static struct flock byte_of(uint64_t identity) {
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };

  lock.l_start = (off_t) (identity & INT64_MAX);
  return lock;
}

int natpasv_table_enrol(struct natpasv_table *table) {
  struct flock lock;
  uint32_t number;

  /* The process id is for the eye of whoever reads a dump; the random part
   * makes the identity one that was never there before. */
  if (natpasv_random(INT32_MAX, &number) < 0) {
    return -1;
  }
  table->self = (uint64_t) (number + 1) << 32 | (uint32_t) getpid();

  lock = byte_of(table->self);
  return fcntl(table->fd, F_SETLK, &lock);
}

pid_t natpasv_table_alive(
  const struct natpasv_table *table, uint64_t identity) {
  struct flock lock = byte_of(identity);

  if (identity == table->self) {
    return getpid();
  }

  if (fcntl(table->fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) {
    return 0;
  }

  /* A process of another pid namespace has no number here but its own. */
  return lock.l_pid > 0 ? lock.l_pid : (pid_t) (identity & INT32_MAX);
}

int natpasv_table_busy(const struct natpasv_table *table) {
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

  return table->self != 0 || fcntl(table->fd, F_GETLK, &lock) < 0 ||
         lock.l_type != F_UNLCK;
}

void natpasv_table_clear(struct natpasv_table *table) {
  memset(table->map, 0, sizeof(struct natpasv_map));
  table->map->magic = MAGIC;
}

int natpasv_table_mend(struct natpasv_table *table) {
  int mended = regrow(table->fd);

  if (mended < 0) {
    return -1;
  }

  if (regrown) {
    regrown = 0;
    mended = 1;
  }

  if (table->map->magic != MAGIC) {
    table->map->magic = MAGIC;
    mended = 1;
  }

  return mended;
}

uint64_t natpasv_now_ms(void) {
  struct timespec now;

  (void) clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

uint64_t natpasv_hash(uint64_t hash, const void *data, size_t size) {
  const unsigned char *byte = data;

  while (size-- > 0) {
    hash = (hash ^ *byte++) * UINT64_C(0x100000001b3);
  }
  return hash;
}
