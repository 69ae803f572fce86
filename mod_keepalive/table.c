/*
 * mod_keepalive - what all sessions tell the daemon, in shared memory
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Slots of sessions in transfer, counters, and the last deaths.  Claimed and
 * released without a lock and without a system call.  Needs no ProFTPD.
 */

#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TABLE_MAGIC 0x6b616c31 /* "kal1": changes with the layout */

/* The one that is open: a session has one, and ftpdctl for as long as it takes.
 */
static struct keepalive_table *guarded = NULL;
static struct sigaction unguarded;

/* Somebody has cut off the file, and what was behind its end was accessed: the
 * process goes on with a table of its own.
 */
static void on_sigbus(int signo, siginfo_t *info, void *context) {
  char *at = info->si_addr, *start = (char *) guarded;
  int saved = errno;

  (void) context;
  if (info->si_code <= 0 || start == NULL || at < start ||
      at >= start + sizeof(*guarded) ||
      mmap(start, sizeof(*guarded), PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
    (void) sigaction(signo, &unguarded, NULL);
    if (info->si_code <= 0) {
      (void) raise(signo);
    }
  }

  errno = saved;
}

static void guard(struct keepalive_table *table) {
  struct sigaction action = { .sa_sigaction = on_sigbus,
    .sa_flags = SA_SIGINFO };

  if (guarded == NULL) {
    (void) sigemptyset(&action.sa_mask);
    (void) sigaction(SIGBUS, &action, &unguarded);
  }
  guarded = table;
}

static void unguard(const struct keepalive_table *table) {
  if (guarded == table) {
    (void) sigaction(SIGBUS, &unguarded, NULL);
    guarded = NULL;
  }
}

/* All of it: what a file system that is full has no room for is told by SIGBUS
 * later on.
 */
static int make_room(int fd) {
  off_t size = (off_t) sizeof(struct keepalive_table);

#if defined(__linux__)
  if (fallocate(fd, 0, 0, size) == 0) {
    return 0;
  }

  if (errno != EOPNOTSUPP) {
    return -1;
  }
#endif
  return ftruncate(fd, size);
}

/* The file must be nobody else's, and have the size of this layout or be new.
 */
static int check_file(int fd) {
  struct stat st;

  if (fstat(fd, &st) < 0) {
    return -1;
  }

  if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) {
    errno = EPERM;
    return -1;
  }

  if (st.st_size == 0) {
    return make_room(fd);
  }

  if (st.st_size != (off_t) sizeof(struct keepalive_table)) {
    errno = EILSEQ;
    return -1;
  }

  return 0;
}

static struct keepalive_table *map_file(int fd) {
  struct keepalive_table *table;
  uint32_t fresh = 0;

  table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (table == MAP_FAILED) {
    return NULL;
  }

  guard(table);
  if (atomic_compare_exchange_strong(&table->magic, &fresh, TABLE_MAGIC)) {
    table->since = (int64_t) time(NULL);

  } else if (fresh != TABLE_MAGIC) {
    keepalive_table_close(table);
    errno = EILSEQ;
    return NULL;
  }

  return table;
}

struct keepalive_table *keepalive_table_open(const char *path) {
  struct keepalive_table *table = NULL;
  int attempt, fd, xerrno = 0;

  /* A table of another version is replaced. */
  for (attempt = 0; attempt < 2 && table == NULL; attempt++) {
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
      return NULL;
    }

    if (check_file(fd) == 0) {
      table = map_file(fd);
    }

    xerrno = errno;
    (void) close(fd);
    if (table == NULL && (xerrno != EILSEQ || unlink(path) < 0)) {
      break;
    }
  }

  errno = xerrno;
  return table;
}

void keepalive_table_close(struct keepalive_table *table) {
  unguard(table);
  (void) munmap(table, sizeof(*table));
}

static int is_alive(int32_t pid) {
  return pid != 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

static int take(struct keepalive_slot *slot, int32_t from, pid_t pid) {
  if (!atomic_compare_exchange_strong(&slot->pid, &from, (int32_t) pid)) {
    return 0;
  }

  memset(
    (char *) slot + sizeof(slot->pid), 0, sizeof(*slot) - sizeof(slot->pid));
  return 1;
}

struct keepalive_slot *keepalive_table_claim(
  struct keepalive_table *table, pid_t pid) {
  unsigned int i, pass, home = (unsigned int) pid % KEEPALIVE_SLOTS;

  /* A session that was killed leaves its slot taken: they are looked for only
   * when nothing is free, or when the dead one had our own number.
   */
  for (pass = 0; pass < 2; pass++) {
    for (i = 0; i < KEEPALIVE_SLOTS; i++) {
      struct keepalive_slot *slot = &table->slot[(home + i) % KEEPALIVE_SLOTS];
      int32_t owner = atomic_load(&slot->pid);

      if ((owner == 0 || owner == (int32_t) pid ||
            (pass == 1 && !is_alive(owner))) &&
          take(slot, owner, pid)) {
        return slot;
      }
    }
  }

  return NULL;
}

void keepalive_table_release(struct keepalive_slot *slot) {
  atomic_store(&slot->pid, 0);
}

int keepalive_table_in_use(struct keepalive_slot *slot) {
  int32_t owner = atomic_load(&slot->pid);

  if (owner == 0) {
    return 0;
  }

  if (!is_alive(owner)) {
    atomic_compare_exchange_strong(&slot->pid, &owner, 0);
    return 0;
  }

  return 1;
}

void keepalive_table_bury(
  struct keepalive_table *table, const struct keepalive_death *death) {
  uint64_t number = atomic_fetch_add(&table->deaths, 1);

  table->death[number % KEEPALIVE_DEATHS] = *death;
}
