/*
 * extip-table.c - fuzzes the reader of the table's file, what the daemon makes of
 * a record of the helper, and what is printed of both. The first byte of the input
 * says whether the checksums are made right, so that what lies behind them is
 * read, too, and whether the whole file is examined; the rest lies over the head
 * (if it is), both copies of an answer, and a record. The file is in memory, and
 * the checksum is not traced byte by byte: together a thousand times as many
 * executions.
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
#define ftruncate(f, length) 0
#define fstat        file_stat
#include "../../mod_extip/printable.c"
#include "../../mod_extip/status.c"
UNTRACED static uint64_t checksum(uint64_t sum, const void *data, size_t len);
#include "../../mod_extip/clock.c"
#include "../../mod_extip/table_file.c"
#include "../../mod_extip/table.c"

_Static_assert(TABLE_SIZE <= sizeof(file), "the table fits");

#define RIGHT_CHECKSUMS 1
#define EXAMINE         2
#define WRONG_SIZE      4

/* Takes the next part of the input; what is missing is zero. */
static void take(
  void *part, size_t len, const uint8_t **data, size_t *size) {
  size_t have = *size < len ? *size : len;

  memset(part, 0, len);
  if (have > 0) {
    memcpy(part, *data, have);
  }
  *data += have;
  *size -= have;
}

UNTRACED static void check_line(void *user, const char *line) {
  size_t len = strlen(line);

  (void) user;
  if (len == 0 || len >= JSON_LINE_SIZE) {
    abort();
  }
  for (size_t i = 0; i < len; i++) {
    if (line[i] < 0x20 || line[i] > 0x7e) {
      abort();
    }
  }
}

static void print(struct extip_record *whole) {
  struct json json = { .line = check_line };

  /* The plan gives each record a name. */
  if (whole->answer.label[0] == '\0') {
    whole->answer.label[0] = 'x';
  }
  extip_status_text(whole, 1, &(struct report) { .line = check_line });
  json_open(&json, NULL, '[');
  extip_status_json(whole, 1, &json);
  json_close(&json, ']');
  json_flush(&json);
}

static void check_writing(int fd) {
  static struct extip_table_answer answers[EXTIP_TABLE_ANSWERS];
  static struct extip_table_answer read[EXTIP_TABLE_ANSWERS];
  const struct extip_file out = { .fd = fd };

  answers[0].asked = answers[0].addr = 1;
  file_size = TABLE_SIZE;
  if (extip_file_write(&out, answers, 0, true) < 0 ||
      (extip_file_read(fd, read),
        memcmp(&answers[0], &read[0], sizeof(read[0])) != 0)) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct extip_table_answer answers[EXTIP_TABLE_ANSWERS];
  static struct extip_record record;
  uint8_t how = size > 0 ? data[0] : 0;
  struct header header;
  int fd = 0;

  data += size > 0;
  size -= size > 0;
  memset(file, 0, TABLE_SIZE);
  file_size = how & WRONG_SIZE ? PAGE : TABLE_SIZE;
  make_header(&header);
  if (how & EXAMINE) {
    take(&header, sizeof(header), &data, &size);
  }
  (void) write_whole(fd, &header, sizeof(header), 0);
  for (int i = 0; i < 2; i++) {
    struct copy copy;

    take(&copy, sizeof(copy), &data, &size);
    if (how & RIGHT_CHECKSUMS) {
      copy.check = copy_checksum(&copy, copy_place(0, i));
    }
    (void) write_whole(fd, &copy, sizeof(copy), copy_place(0, i));
  }

  if (how & EXAMINE) {
    (void) examine(fd, answers);
  } else {
    (void) extip_file_read(fd, answers);
  }

  take(&record, sizeof(record), &data, &size);
  extip_record_make_safe(&record, &answers[0]);
  print(&record);
  record.answer = answers[0];
  print(&record);
  check_writing(fd);
  return 0;
}
