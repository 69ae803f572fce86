/*
 * mod_extip - the table: what is known, on disk and for all processes
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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table.h"

/* "ExtiPtb1", little-endian */
#define TABLE_MAGIC   UINT64_C(0x3162745069747845)
#define TABLE_VERSION 1
#define PAGE          4096 /* records start on a page, as disks like it */

/* A reader that meets the writer in both copies tries again; more often than
 * this in a row means that they are damaged. */
#define READ_TRIES 5

#define TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */

struct header {
  uint64_t magic;
  uint32_t version;
  uint32_t answers, answer_size, status_size;
  uint64_t check; /* of all before it */
};

/* One copy of a record; the one with the higher number counts. */
struct copy_head {
  uint64_t number; /* from 1, counts up and around; 0: never written */
  uint64_t check;  /* of number and payload, at this place in the file */
};

struct kind {
  off_t start;
  size_t size; /* of the payload */
};

#define COPIES_SIZE(payload) (2 * (sizeof(struct copy_head) + (payload)))
#define ANSWERS_SIZE \
  (EXTIP_TABLE_ANSWERS * COPIES_SIZE(sizeof(struct extip_table_answer)))
#define STATUS_START (PAGE + (ANSWERS_SIZE + PAGE - 1) / PAGE * PAGE)
#define TABLE_SIZE \
  (STATUS_START +  \
    EXTIP_TABLE_ANSWERS * COPIES_SIZE(sizeof(struct extip_table_status)))

static const struct kind answers = { PAGE, sizeof(struct extip_table_answer) };
static const struct kind statuses = { STATUS_START,
  sizeof(struct extip_table_status) };

_Static_assert(sizeof(struct extip_table_answer) == 128, "no padding on disk");
_Static_assert(sizeof(struct extip_table_source) == 312, "no padding on disk");
_Static_assert(sizeof(struct extip_table_status) ==
                 184 + EXTIP_TABLE_SOURCES * sizeof(struct extip_table_source),
  "no padding on disk");

/* FNV-1a: any single changed byte changes it. It guards against accidents; what
 * guards against malice is that nobody else may write the file. */
static uint64_t checksum(uint64_t sum, const void *data, size_t len) {
  const unsigned char *byte = data;

  for (size_t i = 0; i < len; i++) {
    sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
  }

  return sum;
}

static uint64_t copy_checksum(
  const struct copy_head *head, off_t place, const void *payload, size_t size) {
  uint64_t where = (uint64_t) place;
  uint64_t sum = checksum(UINT64_C(0xcbf29ce484222325), &where, sizeof(where));

  sum = checksum(sum, &head->number, sizeof(head->number));
  return checksum(sum, payload, size);
}

static off_t copy_place(const struct kind *kind, size_t record, int which) {
  return kind->start + (off_t) ((2 * record + (size_t) which) *
                                (sizeof(struct copy_head) + kind->size));
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

/* Largest record with its head, for a buffer on the stack. */
union copy {
  struct copy_head head;
  unsigned char
    bytes[sizeof(struct copy_head) + sizeof(struct extip_table_status)];
};

enum copy_state { COPY_EMPTY, COPY_DAMAGED, COPY_WHOLE };

static int read_copy(int fd, const struct kind *kind, size_t record, int which,
  union copy *copy, enum copy_state *state) {
  off_t place = copy_place(kind, record, which);
  unsigned char *payload = copy->bytes + sizeof(copy->head);
  size_t len = sizeof(copy->head) + kind->size;

  if (read_whole(fd, copy->bytes, len, place) < 0) {
    return -1;
  }

  if (copy->head.number != 0 &&
      copy->head.check ==
        copy_checksum(&copy->head, place, payload, kind->size)) {
    *state = COPY_WHOLE;
    return 0;
  }

  bool zero =
    copy->bytes[0] == 0 && memcmp(copy->bytes, copy->bytes + 1, len - 1) == 0;

  *state = zero ? COPY_EMPTY : COPY_DAMAGED;
  return 0;
}

/* No writer counts that far, but the file can say so. */
static bool is_newer(uint64_t number, uint64_t than) {
  return than == 0 || (int64_t) (number - than) > 0;
}

static uint64_t next_number(uint64_t number) {
  return number == UINT64_MAX ? 1 : number + 1;
}

/* The newer of the copies that are whole: its number in *WHICH; or -1 in it
 * when the record was never written. One attempt: -1 with errno EBADMSG when
 * there is only damage. */
static int read_newest(int fd, const struct kind *kind, size_t record,
  void *payload, int *which, uint64_t *number) {
  union copy copy;
  bool damaged = false;

  *which = -1;
  *number = 0;
  memset(payload, 0, kind->size);

  for (int i = 0; i < 2; i++) {
    enum copy_state state;

    if (read_copy(fd, kind, record, i, &copy, &state) < 0) {
      return -1;
    }

    damaged |= state == COPY_DAMAGED;
    if (state == COPY_WHOLE && is_newer(copy.head.number, *number)) {
      *number = copy.head.number;
      *which = i;
      memcpy(payload, copy.bytes + sizeof(copy.head), kind->size);
    }
  }

  if (*which < 0 && damaged) {
    errno = EBADMSG;
    return -1;
  }

  return 0;
}

static int read_record(
  int fd, const struct kind *kind, size_t record, void *payload) {
  int which, res = -1;
  uint64_t number;

  if (record >= EXTIP_TABLE_ANSWERS) {
    errno = EINVAL;
    return -1;
  }

  errno = EBADMSG;
  for (int i = 0; i < READ_TRIES && res < 0 && errno == EBADMSG; i++) {
    res = read_newest(fd, kind, record, payload, &which, &number);
  }

  return res;
}

/* Replaces the older copy, or the damaged one. */
static int write_record(
  int fd, const struct kind *kind, size_t record, const void *payload) {
  union copy copy;
  int newest;
  uint64_t number;

  if (record >= EXTIP_TABLE_ANSWERS) {
    errno = EINVAL;
    return -1;
  }

  if (read_newest(fd, kind, record, copy.bytes, &newest, &number) < 0 &&
      errno != EBADMSG) {
    return -1;
  }

  int older = newest == 0;
  off_t place = copy_place(kind, record, older);

  copy.head.number = next_number(number);
  copy.head.check = copy_checksum(&copy.head, place, payload, kind->size);
  memcpy(copy.bytes + sizeof(copy.head), payload, kind->size);
  return write_whole(fd, copy.bytes, sizeof(copy.head) + kind->size, place);
}

/* Whatever has the right checksum: nobody who reads it need be careful. */

static void end_with_nul(char *text, size_t size) {
  text[size - 1] = '\0';
}

static void keep_in_range(int64_t *when) {
  if (*when < 0 || *when > TIME_MAX) {
    *when = 0;
  }
}

int extip_table_read(int fd, size_t record, struct extip_table_answer *answer) {
  if (read_record(fd, &answers, record, answer) < 0) {
    return -1;
  }

  end_with_nul(answer->key, sizeof(answer->key));
  keep_in_range(&answer->since);
  keep_in_range(&answer->confirmed);
  return 0;
}

int extip_table_read_status(
  int fd, size_t record, struct extip_table_status *status) {
  if (read_record(fd, &statuses, record, status) < 0) {
    return -1;
  }

  end_with_nul(status->verdict, sizeof(status->verdict));
  keep_in_range(&status->next);
  keep_in_range(&status->began);
  keep_in_range(&status->ended);
  keep_in_range(&status->early);
  if (status->source_count > EXTIP_TABLE_SOURCES) {
    status->source_count = EXTIP_TABLE_SOURCES;
  }

  for (size_t i = 0; i < EXTIP_TABLE_SOURCES; i++) {
    struct extip_table_source *source = &status->sources[i];

    end_with_nul(source->text, sizeof(source->text));
    end_with_nul(source->reason, sizeof(source->reason));
    end_with_nul(source->status, sizeof(source->status));
    keep_in_range(&source->asked);
    keep_in_range(&source->answered);
  }

  return 0;
}

/* Both copies are made equal, so that damage to one never brings back the
 * address before. */
int extip_table_write(
  int write_fd, size_t record, const struct extip_table_answer *answer) {
  if (write_record(write_fd, &answers, record, answer) < 0 ||
      fdatasync(write_fd) < 0) {
    return -1;
  }

  return write_record(write_fd, &answers, record, answer);
}

int extip_table_write_status(
  int write_fd, size_t record, const struct extip_table_status *status) {
  return write_record(write_fd, &statuses, record, status);
}

int extip_table_lock(int write_fd) {
  return flock(write_fd, LOCK_EX | LOCK_NB);
}

int extip_table_find(int fd, const char *key) {
  struct extip_table_answer answer;

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (extip_table_read(fd, i, &answer) == 0 && answer.key[0] != '\0' &&
        strcmp(answer.key, key) == 0) {
      return (int) i;
    }
  }

  errno = ENOENT;
  return -1;
}

/* The record that KEY may take: a free one, or else the one that was confirmed
 * longest ago among those not TAKEN. */
static int choose_record(int fd, const bool *taken) {
  struct extip_table_answer answer;
  int64_t oldest = INT64_MAX;
  int choice = -1;

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (taken[i]) {
      continue;
    }

    if (extip_table_read(fd, i, &answer) < 0 || answer.key[0] == '\0') {
      return (int) i;
    }

    if (answer.confirmed < oldest) {
      oldest = answer.confirmed;
      choice = (int) i;
    }
  }

  return choice;
}

int extip_table_claim(
  int write_fd, const char *const *keys, size_t count, size_t *records) {
  bool taken[EXTIP_TABLE_ANSWERS] = { false };

  if (count > EXTIP_TABLE_ANSWERS) {
    errno = E2BIG;
    return -1;
  }

  for (size_t i = 0; i < count; i++) {
    int found = extip_table_find(write_fd, keys[i]);

    records[i] = found < 0 ? EXTIP_TABLE_ANSWERS : (size_t) found;
    if (found >= 0) {
      taken[found] = true;
    }
  }

  for (size_t i = 0; i < count; i++) {
    struct extip_table_answer answer = { .addr = INADDR_ANY };
    struct extip_table_status status = { .next = 0 };

    if (records[i] < EXTIP_TABLE_ANSWERS) {
      continue;
    }

    records[i] = (size_t) choose_record(write_fd, taken);
    taken[records[i]] = true;
    snprintf(answer.key, sizeof(answer.key), "%s", keys[i]);
    if (extip_table_write(write_fd, records[i], &answer) < 0 ||
        extip_table_write_status(write_fd, records[i], &status) < 0) {
      return -1;
    }
  }

  return 0;
}

static void make_header(struct header *header) {
  memset(header, 0, sizeof(*header));
  header->magic = TABLE_MAGIC;
  header->version = TABLE_VERSION;
  header->answers = EXTIP_TABLE_ANSWERS;
  header->answer_size = sizeof(struct extip_table_answer);
  header->status_size = sizeof(struct extip_table_status);
  header->check = checksum(0, header, offsetof(struct header, check));
}

/* Makes an empty table of the file at FD. */
static int format_table(int fd) {
  struct header header;

  make_header(&header);
  return ftruncate(fd, TABLE_SIZE) < 0
           ? -1
           : write_whole(fd, &header, sizeof(header), 0);
}

/* What is wrong with the file at FD, or NULL. */
static const char *examine_table(int fd) {
  struct header found, want;
  struct extip_table_answer answer;
  struct stat st;

  make_header(&want);
  if (fstat(fd, &st) < 0 || read_whole(fd, &found, sizeof(found), 0) < 0) {
    return "too short";
  }

  if (found.magic != want.magic) {
    return "not a table of mod_extip";
  }

  if (found.version != want.version) {
    return "of another version";
  }

  if (memcmp(&found, &want, sizeof(found)) != 0) {
    return "damaged at its head";
  }

  if (st.st_size != TABLE_SIZE) {
    return "of the wrong size";
  }

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (extip_table_read(fd, i, &answer) < 0) {
      return "damaged";
    }
  }

  return NULL;
}

/* Takes over the answers that can be trusted though something else cannot. */
static void salvage(int from, int to) {
  struct header found, want;
  struct extip_table_answer answer;

  make_header(&want);
  if (read_whole(from, &found, sizeof(found), 0) < 0 ||
      memcmp(&found, &want, sizeof(found)) != 0) {
    return;
  }

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    if (extip_table_read(from, i, &answer) == 0 && answer.key[0] != '\0') {
      (void) extip_table_write(to, i, &answer);
    }
  }
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

/* A new table appears under its name only when it is whole and on the disk.
 * OLD is the file it takes over from, or -1. */
static int create_table(const char *path, const char *dir, int old) {
  char temp[PATH_MAX];
  int fd;

  if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int) sizeof(temp)) {
    errno = ENAMETOOLONG;
    return -1;
  }

  fd = mkostemp(temp, O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }

  if (format_table(fd) == 0) {
    if (old >= 0) {
      salvage(old, fd);
    }

    if (fsync(fd) == 0 && rename(temp, path) == 0) {
      (void) sync_directory(dir);
      return fd;
    }
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

/* Nobody but root and the daemon may be able to put another file in the place
 * of the table: not in its directory, nor in one above it. */
static int check_directory(const char *dir, char *why, size_t whysz) {
  char path[PATH_MAX];
  struct stat st;
  bool above = false;

  if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
    snprintf(
      why, whysz, "cannot make directory '%s': %s", dir, strerror(errno));
    return -1;
  }

  if (realpath(dir, path) == NULL) {
    snprintf(why, whysz, "directory '%s': %s", dir, strerror(errno));
    return -1;
  }

  while (true) {
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
      snprintf(why, whysz, "'%s' is not a directory", path);
      return -1;
    }

    /* With the sticky bit, as in /tmp, others cannot rename what is not theirs,
     * but they can be there first. */
    if (others_may_write(&st) &&
        !(above && st.st_uid == 0 && (st.st_mode & S_ISVTX) != 0)) {
      snprintf(why, whysz,
        "others than root and the daemon may write in directory '%s' "
        "(owner %u, mode %04o)",
        path, (unsigned) st.st_uid, (unsigned) (st.st_mode & 07777));
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

/* Opens what is there, if it is ours; -1 with errno ENOENT when nothing is. */
static int open_existing(const char *path, char *why, size_t whysz) {
  struct stat st;
  int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

  if (fd < 0) {
    int xerrno = errno;

    snprintf(why, whysz, "cannot open '%s': %s", path, strerror(xerrno));
    errno = xerrno;
    return -1;
  }

  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
      others_may_write(&st)) {
    snprintf(why, whysz,
      "'%s' is not a plain file that only root and the "
      "daemon may write",
      path);
    (void) close(fd);
    errno = EPERM;
    return -1;
  }

  return fd;
}

/* The name under which a table that is not used any more is kept. */
static int put_aside(
  const char *path, const char *fault, char *why, size_t whysz) {
  char aside[PATH_MAX];

  if (snprintf(aside, sizeof(aside), "%s.aside", path) >= (int) sizeof(aside)) {
    snprintf(why, whysz, "'%s': %s", path, strerror(ENAMETOOLONG));
    return -1;
  }

  if (rename(path, aside) < 0) {
    snprintf(why, whysz, "'%s' is %s and cannot be put aside: %s", path, fault,
      strerror(errno));
    return -1;
  }

  snprintf(why, whysz, "'%s' is %s: put aside as '%s', starting a new one",
    path, fault, aside);
  return 0;
}

/* A descriptor that can only read the file that FD can write. */
static int reopen_for_reading(int fd) {
  char path[64];

  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  return open(path, O_RDONLY | O_CLOEXEC);
}

static int finish_open(struct extip_table *table, int fd) {
  int read_fd = reopen_for_reading(fd);

  if (read_fd < 0) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
    return -1;
  }

  table->read_fd = read_fd;
  table->write_fd = fd;
  return 0;
}

int extip_table_open(
  const char *path, struct extip_table *table, char *why, size_t whysz) {
  char copy[PATH_MAX];
  const char *dir, *fault;
  int old, fd;

  table->read_fd = table->write_fd = -1;
  *why = '\0';
  snprintf(copy, sizeof(copy), "%s", path);
  dir = dirname(copy);

  if (check_directory(dir, why, whysz) < 0) {
    return -1;
  }

  fd = old = open_existing(path, why, whysz);
  if (old < 0 && errno != ENOENT) {
    return -1;
  }
  *why = '\0';

  fault = old < 0 ? NULL : examine_table(old);
  if (fault != NULL && put_aside(path, fault, why, whysz) < 0) {
    (void) close(old);
    return -1;
  }

  if (old < 0 || fault != NULL) {
    fd = create_table(path, dir, old);
    if (fd < 0) {
      snprintf(why, whysz, "cannot create '%s': %s", path, strerror(errno));
    }

    if (old >= 0) {
      (void) close(old);
    }
  }

  if (fd < 0) {
    return -1;
  }

  if (finish_open(table, fd) < 0) {
    snprintf(
      why, whysz, "cannot open '%s' for reading: %s", path, strerror(errno));
    return -1;
  }

  return 0;
}

int extip_table_anonymous(struct extip_table *table) {
  int fd = memfd_create("extip.tab", MFD_CLOEXEC);

  table->read_fd = table->write_fd = -1;
  if (fd < 0) {
    return -1;
  }

  if (format_table(fd) < 0) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
    return -1;
  }

  return finish_open(table, fd);
}

void extip_table_close(struct extip_table *table) {
  if (table->read_fd >= 0) {
    (void) close(table->read_fd);
  }

  if (table->write_fd >= 0) {
    (void) close(table->write_fd);
  }

  table->read_fd = table->write_fd = -1;
}
