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
    return ftruncate(fd, (off_t) sizeof(struct keepalive_table));
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

  if (atomic_compare_exchange_strong(&table->magic, &fresh, TABLE_MAGIC)) {
    table->since = (int64_t) time(NULL);

  } else if (fresh != TABLE_MAGIC) {
    (void) munmap(table, sizeof(*table));
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
