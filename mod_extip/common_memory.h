/*
 * common_memory.h - memory that the daemon owns and its sessions share
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Include it after "conf.h". Needs Linux.
 *
 * The memory is a memfd, whose size is sealed so that no process gets SIGBUS;
 * or an anonymous mapping if the system has no memfd. Sessions inherit it by
 * fork. On SIGHUP, ProFTPD unloads the module and loads it again. The address
 * and descriptor of the memory are kept meanwhile in a variable of ProFTPD,
 * which exists in this process only, so no other daemon can take the memory
 * over. */

#ifndef COMMON_MEMORY_H
#define COMMON_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "privs.h"

/* Two processes cannot share the lock that an atomic may hide. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE != 0, "atomics of 64 bits use a lock");

struct memory {
  void *at;    /* writable; all bytes are 0 when it is created */
  size_t size; /* in bytes */
  int fd;      /* for another program that maps it; -1: none can */
};

/* The text in the variable. */
#define MEMORY_TEXT_SIZE 128

static inline void memory_print(const struct memory *memory,
  unsigned int layout, ino_t inode, char text[MEMORY_TEXT_SIZE]) {
  snprintf(text, MEMORY_TEXT_SIZE, "%llx %d %zu %u %llu",
    (unsigned long long) (uintptr_t) memory->at, memory->fd, memory->size,
    layout, (unsigned long long) inode);
}

static inline void memory_variable(const char *name, char text[64]) {
  snprintf(text, 64, "%%{%s}", name);
}

/* Whether all pages are still mapped at this address. */
static inline bool memory_is_mapped(const struct memory *memory) {
  unsigned char resident[256];
  size_t page = (size_t) sysconf(_SC_PAGESIZE), step = page * sizeof(resident);

  for (size_t i = 0; i < memory->size; i += step) {
    size_t rest = memory->size - i;

    if (mincore((char *) memory->at + i, rest < step ? rest : step, resident) <
        0) {
      return false;
    }
  }

  return memory->at != NULL && (uintptr_t) memory->at % page == 0;
}

#define MEMORY_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static inline bool memory_is_sealed(int fd, size_t size, ino_t *inode) {
  struct stat st;

  if (fstat(fd, &st) < 0 || st.st_size != (off_t) size) {
    return false;
  }

  *inode = st.st_ino;
  return (fcntl(fd, F_GET_SEALS) & MEMORY_SEALS) == MEMORY_SEALS;
}

/* Moves the descriptor above the first three, which ProFTPD closes. */
static inline int memory_lift_fd(int fd) {
  int lifted =
    fd > STDERR_FILENO ? fd : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

  if (lifted != fd) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
  }
  return lifted;
}

/* Creates a memfd of SIZE bytes, allocated in full; -1 with errno. */
static inline int memory_make_fd(const char *name, size_t size) {
  unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  struct rlimit limit;
  int fd, xerrno;

  /* A larger memfd would end the process with SIGXFSZ. */
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size) {
    errno = EFBIG;
    return -1;
  }

#if defined(MFD_NOEXEC_SEAL)
  fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
#endif
    fd = memfd_create(name, flags);

  if (fd >= 0) {
    fd = memory_lift_fd(fd);
  }
  if (fd < 0) {
    return -1;
  }

  if (fchmod(fd, 0600) == 0 && fallocate(fd, 0, 0, (off_t) size) == 0 &&
      fcntl(fd, F_ADD_SEALS, MEMORY_SEALS) == 0) {
    return fd;
  }

  xerrno = errno;
  (void) close(fd);
  errno = xerrno;
  return -1;
}

/* Finds the memory that the module had before it was unloaded; false if there
 * is none, or the variable cannot be trusted. */
static inline bool memory_recall(
  struct memory *memory, const char *name, unsigned int *layout) {
  char variable[64], text[MEMORY_TEXT_SIZE], *end = NULL;
  ino_t inode = 0;
  const char *found;

  memory_variable(name, variable);
  found = pr_var_get(variable);
  if (found == NULL) {
    return false;
  }

  memory->at = (void *) (uintptr_t) strtoull(found, &end, 16);
  memory->fd = (int) strtol(end, &end, 10);
  memory->size = (size_t) strtoull(end, &end, 10);
  *layout = (unsigned int) strtoul(end, &end, 10);

  if (memory->fd != -1 && !memory_is_sealed(memory->fd, memory->size, &inode)) {
    return false;
  }

  /* If a field was not a number, or the file is another one, the text differs.
   */
  memory_print(memory, *layout, inode, text);
  return strcmp(text, found) == 0 && memory_is_mapped(memory);
}

static inline int memory_remember(
  const struct memory *memory, const char *name, unsigned int layout) {
  char variable[64], text[MEMORY_TEXT_SIZE];
  ino_t inode = 0;

  if (memory->fd != -1 && !memory_is_sealed(memory->fd, memory->size, &inode)) {
    errno = EBADF;
    return -1;
  }

  memory_variable(name, variable);
  memory_print(memory, layout, inode, text);
  /* The table of variables keeps this pointer after the module is unloaded. */
  return pr_var_set(permanent_pool, pstrdup(permanent_pool, variable),
    "shared memory of a module", PR_VAR_TYPE_STR, text, NULL, 0);
}

/* Removes the memory from this process: for a session that only reads. */
static inline void memory_leave(struct memory *memory) {
  if (memory->at != NULL) {
    (void) munmap(memory->at, memory->size);
  }
  if (memory->fd != -1) {
    (void) close(memory->fd);
  }
  memory->at = NULL;
  memory->fd = -1;
}

static inline void memory_forget(struct memory *memory, const char *name) {
  char variable[64];

  memory_variable(name, variable);
  (void) pr_var_delete(variable);
  memory_leave(memory);
}

/*
 * Creates the memory of that NAME ("mod_x.memory", up to 60 letters) with all
 * bytes 0, or finds it again after a reload. If a module with another SIZE or
 * LAYOUT, which is another version, created it, a new one is created, and
 * former sessions keep the old one. To be called in the daemon. It is created
 * as root, so nobody else can open it. Returns 0 if it is new, 1 if it was
 * found again, or -1 with errno.
 */
static inline int memory_make(
  struct memory *memory, const char *name, size_t size, unsigned int layout) {
  unsigned int found = 0;

  if (memory_recall(memory, name, &found)) {
    if (memory->size == size && found == layout) {
      return 1;
    }
    memory_forget(memory, name);
  }

  pr_signals_block();
  PRIVS_ROOT
  memory->fd = memory_make_fd(name, size);
  PRIVS_RELINQUISH
  pr_signals_unblock();

  memory->size = size;
  memory->at = mmap(NULL, size, PROT_READ | PROT_WRITE,
    memory->fd == -1 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, memory->fd, 0);
  if (memory->at == MAP_FAILED) {
    memory->at = NULL;
  }

  if (memory->at == NULL || memory_remember(memory, name, layout) < 0) {
    int xerrno = errno;

    memory_leave(memory);
    errno = xerrno;
    return -1;
  }

  return 0;
}

/*
 * Creates a second, read-only mapping. A session that then calls memory_leave()
 * cannot write to the memory any more, if the system has /proc and memfd.
 * Returns NULL with errno. The caller releases the mapping with munmap().
 */
static inline const void *memory_view(const struct memory *memory) {
  char path[32];
  void *view;
  int fd;

  if (memory->fd == -1) {
    /* A size of 0 maps the same pages a second time. */
    view = mremap(memory->at, 0, memory->size, MREMAP_MAYMOVE);
    if (view == MAP_FAILED || mprotect(view, memory->size, PROT_READ) < 0) {
      return NULL;
    }
    return view;
  }

  snprintf(path, sizeof(path), "/proc/self/fd/%d", memory->fd);
  pr_signals_block();
  PRIVS_ROOT
  fd = open(path, O_RDONLY | O_CLOEXEC);
  PRIVS_RELINQUISH
  pr_signals_unblock();

  view = mmap(
    NULL, memory->size, PROT_READ, MAP_SHARED, fd == -1 ? memory->fd : fd, 0);
  if (fd != -1) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
  }
  return view == MAP_FAILED ? NULL : view;
}

#endif
