/*
 * mod_extip - the file of the table: what survives a restart
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table_file.h"

/* "ExtiPtb1", little-endian */
#define TABLE_MAGIC   UINT64_C(0x3162745069747845)
#define TABLE_VERSION 2
#define PAGE          4096 /* records start on a page, as disks like it */

struct header {
  uint64_t magic;
  uint32_t version;
  uint32_t answers, answer_size, reserved;
  uint64_t check; /* of all before it */
};

/* One copy of an answer; the one with the higher number counts. */
struct copy {
  uint64_t number; /* from 1, counts up and around; 0: never written */
  uint64_t check;  /* of number and answer, at this place in the file */
  struct extip_table_answer answer;
};

_Static_assert(sizeof(struct extip_table_answer) == 288, "no padding on disk");
_Static_assert(sizeof(struct copy) == 304, "no padding on disk");

#define TABLE_SIZE \
  ((off_t) (PAGE + EXTIP_TABLE_ANSWERS * 2 * sizeof(struct copy)))

/* FNV-1a: any single changed byte changes it. It protects against accidents;
 * against attacks the file is protected by its permissions. */
static uint64_t checksum(uint64_t sum, const void *data, size_t len) {
  const unsigned char *byte = data;

  for (size_t i = 0; i < len; i++) {
    sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
  }

  return sum;
}

static off_t copy_place(size_t record, int which) {
  return (off_t) (PAGE + (2 * record + (size_t) which) * sizeof(struct copy));
}

static uint64_t copy_checksum(const struct copy *copy, off_t place) {
  uint64_t where = (uint64_t) place;
  uint64_t sum = checksum(UINT64_C(0xcbf29ce484222325), &where, sizeof(where));

  sum = checksum(sum, &copy->number, sizeof(copy->number));
  return checksum(sum, &copy->answer, sizeof(copy->answer));
}

static int read_whole(int fd, void *buf, size_t len, off_t place) {
  ssize_t got;

  do {
    got = pread(fd, buf, len, place);
  } while (got < 0 && errno == EINTR);

  if (got >= 0 && (size_t) got != len) {
    errno = EIO;
    return -1;
  }

  return got < 0 ? -1 : 0;
}

static int write_whole(int fd, const void *buf, size_t len, off_t place) {
  ssize_t put;

  do {
    put = pwrite(fd, buf, len, place);
  } while (put < 0 && errno == EINTR);

  if (put >= 0 && (size_t) put != len) {
    errno = ENOSPC;
    return -1;
  }

  return put < 0 ? -1 : 0;
}

/* No writer counts this far, but a damaged file may have such a number. */
static bool is_newer(uint64_t number, uint64_t than) {
  return than == 0 || (int64_t) (number - than) > 0;
}

static uint64_t next_number(uint64_t number) {
  return number == UINT64_MAX ? 1 : number + 1;
}

/* Reads the newer complete copy, with its number in *WHICH; -1 there and zeros
 * if the record was never written. Returns -1 with errno; EBADMSG: both copies
 * are damaged. */
static int read_newest(int fd, size_t record, struct copy *newest, int *which) {
  static const struct copy empty;
  bool damaged = false;

  *which = -1;
  *newest = empty;
  for (int i = 0; i < 2; i++) {
    off_t place = copy_place(record, i);
    struct copy copy;

    if (read_whole(fd, &copy, sizeof(copy), place) < 0) {
      return -1;
    }

    if (copy.number != 0 && copy.check == copy_checksum(&copy, place)) {
      if (is_newer(copy.number, newest->number)) {
        *newest = copy;
        *which = i;
      }

    } else {
      damaged |= memcmp(&copy, &empty, sizeof(copy)) != 0;
    }
  }

  if (*which < 0 && damaged) {
    errno = EBADMSG;
    return -1;
  }

  return 0;
}

/* Replaces the older copy, or the damaged one. */
static int write_copy(
  int fd, size_t record, const struct extip_table_answer *answer) {
  struct copy copy;
  int newest;

  if (read_newest(fd, record, &copy, &newest) < 0 && errno != EBADMSG) {
    return -1;
  }

  off_t place = copy_place(record, newest == 0);

  copy.number = next_number(copy.number);
  copy.answer = *answer;
  copy.check = copy_checksum(&copy, place);
  return write_whole(fd, &copy, sizeof(copy), place);
}

static void make_header(struct header *header) {
  memset(header, 0, sizeof(*header));
  header->magic = TABLE_MAGIC;
  header->version = TABLE_VERSION;
  header->answers = EXTIP_TABLE_ANSWERS;
  header->answer_size = sizeof(struct extip_table_answer);
  header->check = checksum(0, header, offsetof(struct header, check));
}

/* Why the header of the file is refused, or NULL. */
static const char *examine_head(int fd) {
  struct header found, want;

  make_header(&want);
  if (read_whole(fd, &found, sizeof(found), 0) < 0) {
    return "too short";
  }

  if (found.magic != want.magic) {
    return "not a table of mod_extip";
  }

  if (found.version != want.version) {
    return "of another version";
  }

  return memcmp(&found, &want, sizeof(found)) != 0 ? "damaged in its header"
                                                   : NULL;
}

bool extip_file_read(int fd, struct extip_table_answer *answers) {
  bool all = examine_head(fd) == NULL;
  bool readable = all;

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    struct copy copy = { .number = 0 };
    int which;

    if (readable && read_newest(fd, i, &copy, &which) < 0) {
      all = false;
      memset(&copy, 0, sizeof(copy));
    }

    answers[i] = copy.answer;
    extip_answer_make_safe(&answers[i]);
    extip_moment_adopt(&answers[i].confirmed);
  }

  return all;
}

/* Why the file is refused, or NULL; reads what can be read of it. */
static const char *examine(int fd, struct extip_table_answer *answers) {
  const char *reason = examine_head(fd);
  struct stat st;
  bool all = extip_file_read(fd, answers);

  if (reason != NULL) {
    return reason;
  }

  if (fstat(fd, &st) < 0 || st.st_size != TABLE_SIZE) {
    return "of the wrong size";
  }

  return all ? NULL : "damaged";
}

/* Makes a table of the file at FD. */
static int write_all(int fd, const struct extip_table_answer *answers) {
  struct header header;

  make_header(&header);
  if (ftruncate(fd, TABLE_SIZE) < 0 ||
      write_whole(fd, &header, sizeof(header), 0) < 0) {
    return -1;
  }

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (answers[i].asked != 0 && (write_copy(fd, i, &answers[i]) < 0 ||
                                   write_copy(fd, i, &answers[i]) < 0)) {
      return -1;
    }
  }

  return 0;
}

static int sync_directory(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0) {
    return -1;
  }

  int res = fsync(fd);

  (void) close(fd);
  return res;
}

/* NFS and some others do not know the flag. There the file has both names for a
 * moment, for which a program that opens it then would refuse it. */
static int rename_new(const char *from, const char *to) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
    return 0;
  }
  return (errno == EINVAL || errno == ENOSYS) && link(from, to) == 0
           ? unlink(from)
           : -1;
}

/* A new file gets its name only when it is complete and on the disk, and never
 * replaces one that another process has created meanwhile: then -1 with errno
 * EEXIST. */
static int create_file(
  const char *path, const char *dir, const struct extip_table_answer *answers) {
  char temp[PATH_MAX];

  if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int) sizeof(temp)) {
    errno = ENAMETOOLONG;
    return -1;
  }

  int fd = mkostemp(temp, O_CLOEXEC);

  if (fd < 0) {
    return -1;
  }

  if (write_all(fd, answers) == 0 && fsync(fd) == 0 &&
      rename_new(temp, path) == 0) {
    (void) sync_directory(dir);
    return fd;
  }

  int xerrno = errno;

  (void) unlink(temp);
  (void) close(fd);
  errno = xerrno;
  return -1;
}

static bool others_may_write(const struct stat *st) {
  return (st->st_uid != 0 && st->st_uid != geteuid()) ||
         (st->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

/* Only root and the daemon may be able to replace the file, in its directory or
 * in one above it. */
static int check_directory(const char *dir, char *reason, size_t reason_size) {
  char path[PATH_MAX];
  struct stat st;
  bool above = false;

  if (realpath(dir, path) == NULL) {
    snprintf(reason, reason_size, "directory '%s': %s", dir, strerror(errno));
    return -1;
  }

  while (true) {
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
      snprintf(reason, reason_size, "'%s' is not a directory", path);
      return -1;
    }

    /* In a directory with the sticky bit, such as /tmp, others cannot rename
     * the file, but can create one first. */
    if (others_may_write(&st) &&
        !(above && st.st_uid == 0 && (st.st_mode & S_ISVTX) != 0)) {
      snprintf(reason, reason_size,
        "directory '%s' (owner %u, mode %04o) is writable by others than root",
        path, (unsigned int) st.st_uid, (unsigned int) (st.st_mode & 07777));
      return -1;
    }

    if (strcmp(path, "/") == 0) {
      return 0;
    }

    above = true;
    char *slash = strrchr(path, '/');
    slash[slash == path] = '\0';
  }
}

/* Opens the file if it is a safe one; -1 with errno ENOENT if there is none. */
static int open_existing(
  const char *path, int mode, char *reason, size_t reason_size) {
  struct stat st;
  int fd = open(path, mode | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

  if (fd < 0) {
    int xerrno = errno;

    snprintf(
      reason, reason_size, "cannot open '%s': %s", path, strerror(xerrno));
    errno = xerrno;
    return -1;
  }

  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
      others_may_write(&st)) {
    snprintf(reason, reason_size,
      "'%s' is not a plain file that only root may write", path);
    (void) close(fd);
    errno = EPERM;
    return -1;
  }

  return fd;
}

/* The name under which a replaced table is kept. */
static int put_aside(
  const char *path, const char *state, char *reason, size_t reason_size) {
  char aside[PATH_MAX];

  if (snprintf(aside, sizeof(aside), "%s.aside", path) >= (int) sizeof(aside)) {
    snprintf(reason, reason_size, "'%s': %s", path, strerror(ENAMETOOLONG));
    return -1;
  }

  if (rename(path, aside) < 0) {
    snprintf(reason, reason_size, "'%s' is %s and cannot be renamed: %s", path,
      state, strerror(errno));
    return -1;
  }

  snprintf(reason, reason_size, "'%s' is %s: renamed to '%s' and replaced",
    path, state, aside);
  return 0;
}

int extip_file_open(const char *path, char *reason, size_t reason_size) {
  char copy[PATH_MAX];

  snprintf(copy, sizeof(copy), "%s", path);
  return check_directory(dirname(copy), reason, reason_size) < 0
           ? -1
           : open_existing(path, O_RDONLY, reason, reason_size);
}

/* Another process may have created it meanwhile. */
static int create_or_open(const char *path, const char *dir,
  const struct extip_table_answer *answers, char *reason, size_t reason_size) {
  int fd = create_file(path, dir, answers);

  if (fd < 0 && errno == EEXIST) {
    return open_existing(path, O_RDWR, reason, reason_size);
  }

  if (fd < 0) {
    snprintf(
      reason, reason_size, "cannot create '%s': %s", path, strerror(errno));
  }
  return fd;
}

int extip_file_start(
  struct extip_file *file, const char *path, char *reason, size_t reason_size) {
  struct extip_table_answer answers[EXTIP_TABLE_ANSWERS];
  char copy[PATH_MAX];

  snprintf(copy, sizeof(copy), "%s", path);
  char *dir = dirname(copy);

  if (mkdir(dir, 0755) < 0 && errno != EEXIST && errno != EROFS) {
    snprintf(reason, reason_size, "cannot make directory '%s': %s", dir,
      strerror(errno));
    return -1;
  }

  if (check_directory(dir, reason, reason_size) < 0) {
    return -1;
  }

  int old = open_existing(path, O_RDWR, reason, reason_size);

  if (old < 0 && errno != ENOENT) {
    return -1;
  }

  memset(answers, 0, sizeof(answers));
  *reason = '\0';
  const char *state = old < 0 ? NULL : examine(old, answers);

  if (state == NULL && old >= 0) {
    file->fd = old;
    return 0;
  }

  if (old >= 0) {
    (void) close(old);
    if (put_aside(path, state, reason, reason_size) < 0) {
      return -1;
    }
  }

  file->fd = create_or_open(path, dir, answers, reason, reason_size);
  return file->fd < 0 ? -1 : 0;
}

int extip_file_lock(const struct extip_file *file) {
  return flock(file->fd, LOCK_EX | LOCK_NB);
}

int extip_file_write(const struct extip_file *file,
  const struct extip_table_answer *answers, size_t record, bool safe) {
  struct stat st;

  if (fstat(file->fd, &st) < 0) {
    return -1;
  }

  if (st.st_size != TABLE_SIZE || examine_head(file->fd) != NULL) {
    return write_all(file->fd, answers);
  }

  if (write_copy(file->fd, record, &answers[record]) < 0) {
    return -1;
  }

  /* Both copies are made equal, so that damage to one never brings back the
   * former address. */
  return safe && (fdatasync(file->fd) < 0 ||
                   write_copy(file->fd, record, &answers[record]) < 0)
           ? -1
           : 0;
}
