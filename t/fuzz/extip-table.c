/*
 * extip-table.c - fuzzes the reader of the table and what is printed of it. The
 * first byte of the input says whether the checksums are made right, so that what
 * lies behind them is read, too, and whether the whole table is examined; the
 * rest lies over the head (if it is), both copies of an answer and one of a
 * status. The file is in memory, and the checksum is not traced byte by byte:
 * together a thousand times as many executions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned char file[1 << 20];
static off_t file_size;

static ssize_t file_read(int fd, void *buf, size_t len, off_t place) {
  (void) fd;
  memcpy(buf, file + place, len);
  return (ssize_t) len;
}

static ssize_t file_write(int fd, const void *buf, size_t len, off_t place) {
  (void) fd;
  memcpy(file + place, buf, len);
  return (ssize_t) len;
}

static int file_stat(int fd, struct stat *st) {
  (void) fd;
  memset(st, 0, sizeof(*st));
  st->st_size = file_size;
  return 0;
}

/* Loops over bytes that lead to nothing new: tracing them takes most time. */
#define UNTRACED __attribute__((noinline, no_sanitize("coverage")))

#define pread        file_read
#define pwrite       file_write
#define fdatasync(f) 0
#define fstat        file_stat
#include "../../mod_extip/printable.c"
#include "../../mod_extip/status.c"
UNTRACED static uint64_t checksum(uint64_t sum, const void *data, size_t len);
#include "../../mod_extip/table.c"

_Static_assert(TABLE_SIZE <= sizeof(file), "the table fits");

#define RIGHT_CHECKSUMS 1
#define EXAMINE         2
#define WRONG_SIZE      4

/* Puts the next part of the input in its place; what is missing is zero. */
static void put_part(int fd, off_t place, size_t len, const uint8_t **data,
  size_t *size, bool right) {
  static union copy copy;
  size_t have = *size < len ? *size : len;

  memset(copy.bytes, 0, len);
  memcpy(copy.bytes, *data, have);
  *data += have;
  *size -= have;
  if (right) {
    copy.head.check = copy_checksum(&copy.head, place,
      copy.bytes + sizeof(copy.head), len - sizeof(copy.head));
  }
  (void) write_whole(fd, copy.bytes, len, place);
}

UNTRACED static void check_line(void *user, const char *line) {
  size_t len = strlen(line);

  (void) user;
  if (len == 0 || len >= sizeof(((struct out *) NULL)->packed)) {
    abort();
  }
  for (size_t i = 0; i < len; i++) {
    if (line[i] < 0x20 || line[i] > 0x7e) {
      abort();
    }
  }
}

static void check_writing(int fd) {
  struct extip_table_answer answer = { .key = "x", .addr = 1, .since = 2 };
  struct extip_table_answer read;

  if (extip_table_write(fd, 0, &answer) < 0 ||
      extip_table_read(fd, 0, &read) < 0 ||
      memcmp(&answer, &read, sizeof(answer)) != 0) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct extip_table_status status;
  struct extip_table_answer answer;
  uint8_t how = size > 0 ? data[0] : 0;
  size_t answer_len = sizeof(struct copy_head) + answers.size;

  int fd = 0;

  file_size = how & WRONG_SIZE ? PAGE : TABLE_SIZE;
  data += size > 0;
  size -= size > 0;
  if (how & EXAMINE) {
    put_part(fd, 0, sizeof(struct header), &data, &size, false);
  }
  for (int i = 0; i < 2; i++) {
    put_part(fd, copy_place(&answers, 0, i), answer_len, &data, &size,
      how & RIGHT_CHECKSUMS);
  }
  put_part(fd, copy_place(&statuses, 0, 0),
    sizeof(struct copy_head) + statuses.size, &data, &size,
    how & RIGHT_CHECKSUMS);

  if (how & EXAMINE) {
    (void) examine_table(fd);
    (void) extip_table_find(fd, "main");
    salvage(fd, fd);
  }

  if (extip_table_read(fd, 0, &answer) == 0 && answer.key[0] != '\0') {
    bool known = extip_table_read_status(fd, 0, &status) == 0;

    extip_status_text(&answer, known ? &status : NULL, 1, check_line, NULL);
    extip_status_json(&answer, known ? &status : NULL, 1, check_line, NULL);
  }

  check_writing(fd);
  return 0;
}
