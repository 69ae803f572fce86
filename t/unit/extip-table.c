/* The table of mod_extip: what it remembers, what it recognises as damage, and
 * where it refuses to live. */

#include "../../mod_extip/table.c"
#include "tap.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static char dir[] = "/tmp/extip-table-XXXXXX";
static char path[PATH_MAX];
static char why[512];

static struct extip_table_answer answer_of(const char *key, unsigned number) {
  struct extip_table_answer answer = {
    .addr = number, .since = number, .confirmed = number, .previous = number
  };

  snprintf(answer.key, sizeof(answer.key), "%s", key);
  return answer;
}

static struct extip_table open_it(void) {
  struct extip_table table;

  if (extip_table_open(path, &table, why, sizeof(why)) < 0) {
    printf("# %s\n", why);
  }

  return table;
}

/* A table with one answer; everything that was there is removed. */
static struct extip_table fresh(unsigned number) {
  const char *key = "main";
  struct extip_table_answer answer = answer_of(key, number);
  size_t record;

  (void) unlink(path);

  struct extip_table table = open_it();

  extip_table_claim(table.write_fd, &key, 1, &record);
  extip_table_write(table.write_fd, record, &answer);
  return table;
}

/* The address under "main", 0 when there is none. */
static unsigned address_in(const struct extip_table *table) {
  struct extip_table_answer answer;
  int record = extip_table_find(table->read_fd, "main");

  return record < 0 ||
      extip_table_read(table->read_fd, (size_t) record, &answer) < 0 ?
    0 :
    answer.addr;
}

static void flip(off_t place) {
  int fd = open(path, O_RDWR);
  unsigned char byte = 0;

  if (pread(fd, &byte, 1, place) == 1) {
    byte ^= 0x10;
    (void) !pwrite(fd, &byte, 1, place);
  }
  close(fd);
}

static void test_memory(void) {
  struct extip_table table = fresh(7);
  struct extip_table_status status = { .rounds = 3, .source_count = 99 }, read;
  struct stat st;

  is_str(why, "", "a new table is made without a remark");
  is_int(address_in(&table), 7, "what is written can be read");
  extip_table_write_status(table.write_fd, 0, &status);
  extip_table_close(&table);
  table = open_it();
  is_str(why, "", "it is opened again without a remark");
  is_int(address_in(&table), 7, "the answer is remembered");
  is_int(extip_table_read_status(table.read_fd, 0, &read), 0,
    "the status is there");
  is_int(read.rounds, 3, "... as it was written");
  is_int(read.source_count, EXTIP_TABLE_SOURCES,
    "... with no more sources than there is room for");
  is_int(stat(path, &st), 0, "the file exists");
  is_int(st.st_mode & 07777, 0600, "only its owner may read it");
  is_int(write(table.read_fd, "x", 1), -1, "sessions cannot write");
  is_int(extip_table_find(table.read_fd, "other"), -1,
    "an unknown key is not found");
  extip_table_close(&table);
}

static void test_anonymous(void) {
  struct extip_table table;
  struct extip_table_answer answer = answer_of("main", 5);

  is_int(extip_table_anonymous(&table), 0, "a table without a file");
  is_int(extip_table_write(table.write_fd, 0, &answer), 0, "takes an answer");
  is_int(address_in(&table), 5, "... and gives it");
  is_int(write(table.read_fd, "x", 1), -1, "... but not to write");
  extip_table_close(&table);
}

static void test_claims(void) {
  static char names[EXTIP_TABLE_ANSWERS + 1][16];
  const char *keys[EXTIP_TABLE_ANSWERS + 1];
  size_t records[EXTIP_TABLE_ANSWERS + 1];
  struct extip_table table = fresh(1);

  for (int i = 0; i <= EXTIP_TABLE_ANSWERS; i++) {
    snprintf(names[i], sizeof(names[i]), "key %d", i);
    keys[i] = names[i];
  }

  is_int(extip_table_claim(table.write_fd, keys, EXTIP_TABLE_ANSWERS, records),
    0, "all records can be claimed, the one of an unused key, too");
  is_int(extip_table_find(table.read_fd, "main"), -1, "... which is gone");
  for (int i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    struct extip_table_answer answer = answer_of(keys[i], 100);

    answer.confirmed = i == 17 ? 3 : 10 + i;
    extip_table_write(table.write_fd, records[i], &answer);
  }

  is_int(extip_table_claim(table.write_fd, keys + EXTIP_TABLE_ANSWERS, 1,
    records), 0, "one more key");
  is_int(extip_table_find(table.read_fd, "key 17"), -1,
    "takes the place of the one that was confirmed longest ago");
  ok(extip_table_find(table.read_fd, "key 18") >= 0, "... and no other");
  is_int(extip_table_claim(table.write_fd, keys, EXTIP_TABLE_ANSWERS + 1,
    records), -1, "more keys than records are refused");
  is_int(extip_table_read(table.read_fd, EXTIP_TABLE_ANSWERS,
    &(struct extip_table_answer) { .addr = 0 }), -1,
    "so is a record that cannot be");
  extip_table_close(&table);
}

/* A crash or power failure leaves any part of a write on the disk. */
static void test_torn_writes(void) {
  struct extip_table table = fresh(1);
  size_t size = sizeof(struct copy_head) + answers.size, wrong = 0, lost = 0;
  unsigned char before[2][512], after[2][512];
  struct extip_table_answer answer = answer_of("main", 2);

  for (int i = 0; i < 2; i++) {
    read_whole(table.read_fd, before[i], size, copy_place(&answers, 0, i));
  }

  extip_table_write(table.write_fd, 0, &answer);
  for (int i = 0; i < 2; i++) {
    read_whole(table.read_fd, after[i], size, copy_place(&answers, 0, i));
  }

  /* The first write went to the copy with the lower number before. */
  struct copy_head heads[2];

  memcpy(&heads[0], before[0], sizeof(heads[0]));
  memcpy(&heads[1], before[1], sizeof(heads[1]));

  int first = heads[0].number < heads[1].number ? 0 : 1;

  for (int stage = 0; stage < 2; stage++) {
    int copy = stage == 0 ? first : !first;

    for (size_t cut = 0; cut <= size; cut++) {
      write_whole(table.write_fd, stage == 0 ? before[!copy] : after[!copy],
        size, copy_place(&answers, 0, !copy));
      write_whole(table.write_fd, before[copy], size,
        copy_place(&answers, 0, copy));
      write_whole(table.write_fd, after[copy], cut,
        copy_place(&answers, 0, copy));

      unsigned found = address_in(&table);

      lost += found == 0;
      wrong += found != 0 && found != 2 && (stage == 1 || found != 1);
    }
  }

  is_int(lost, 0, "whatever part of a write is on the disk, an answer is");
  is_int(wrong, 0, "... the one before or the new one");
  extip_table_close(&table);
}

static void test_damage(void) {
  struct extip_table table = fresh(9);
  size_t size = sizeof(struct copy_head) + answers.size, changed = 0, kept = 0;
  struct stat st;

  for (size_t i = 0; i < 2 * size; i++) {
    flip(copy_place(&answers, 0, 0) + (off_t) i);
    changed += address_in(&table) != 9;
    flip(copy_place(&answers, 0, 0) + (off_t) i);
  }
  is_int(changed, 0, "any one byte of the record altered: the same answer");
  extip_table_close(&table);

  for (size_t i = 0; i < sizeof(struct header); i++) {
    table = fresh(9);
    extip_table_close(&table);
    flip((off_t) i);
    table = open_it();
    kept += address_in(&table) != 0 || *why == '\0';
    extip_table_close(&table);
  }
  is_int(kept, 0, "any byte of the head altered: put aside, not believed");

  table = fresh(9);
  extip_table_close(&table);
  flip(copy_place(&answers, 0, 0) + 40);
  flip(copy_place(&answers, 0, 1) + 40);
  table = open_it();
  is_int(address_in(&table), 0, "both copies damaged: not believed");
  ok(strstr(why, "damaged") && strstr(why, ".aside"), "... said: %s", why);

  char aside[PATH_MAX + 8];

  snprintf(aside, sizeof(aside), "%s.aside", path);
  is_int(stat(aside, &st), 0, "... and put aside");
  extip_table_close(&table);
}

static void test_salvage(void) {
  const char *keys[] = { "main", "other" };
  size_t records[2];
  struct extip_table table = fresh(9);
  struct extip_table_answer answer = answer_of("other", 4);

  extip_table_claim(table.write_fd, keys, 2, records);
  extip_table_write(table.write_fd, records[1], &answer);
  extip_table_close(&table);
  flip(copy_place(&answers, records[1], 0) + 50);
  flip(copy_place(&answers, records[1], 1) + 50);
  table = open_it();
  is_int(address_in(&table), 9, "what is whole is taken over from a damaged "
    "table");
  is_int(extip_table_find(table.read_fd, "other"), -1, "... the rest is not");
  extip_table_close(&table);
}

static void test_lengths(void) {
  static const off_t lengths[] = { 0, 1, 31, 32, 4095, 4096, 4200, 40000,
    TABLE_SIZE - 1, TABLE_SIZE + 1 };
  struct extip_table table;

  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    table = fresh(9);
    extip_table_close(&table);
    (void) !truncate(path, lengths[i]);

    int res = extip_table_open(path, &table, why, sizeof(why));

    ok(res == 0 && *why != '\0' && table.read_fd >= 0,
      "cut to %ld bytes: recognised and replaced (%s)", (long) lengths[i], why);
    extip_table_close(&table);
  }

  table = fresh(9);
  (void) !truncate(path, 4100);
  is_int(address_in(&table), 0,
    "cut while it is in use: nothing is known, nobody dies");
  extip_table_close(&table);
}

static void test_versions(void) {
  struct extip_table table = fresh(9);
  struct header header;

  make_header(&header);
  header.version++;
  header.check = checksum(0, &header, offsetof(struct header, check));
  write_whole(table.write_fd, &header, sizeof(header), 0);
  extip_table_close(&table);
  table = open_it();
  is_int(address_in(&table), 0, "a table of another version is not misread");
  ok(strstr(why, "another version") != NULL, "... but put aside: %s", why);
  extip_table_close(&table);
}

static void test_places(void) {
  struct extip_table table;
  char other[PATH_MAX + 16];

  (void) unlink(path);
  for (int mode = 0; mode <= 0777; mode++) {
    if ((mode & 0700) != 0700 || (mode & 055) != 055) {
      continue;
    }

    chmod(dir, (mode_t) mode);
    is_int(extip_table_open(path, &table, why, sizeof(why)) == 0,
      (mode & 022) == 0, "directory of mode %04o: %s", (unsigned) mode,
      (mode & 022) ? "refused" : "taken");
    extip_table_close(&table);
  }
  chmod(dir, 0755);

  if (geteuid() == 0) {
    (void) !chown(dir, 65534, 65534);
    is_int(extip_table_open(path, &table, why, sizeof(why)), -1,
      "a directory of somebody else: refused (%s)", why);
    (void) !chown(dir, 0, 0);
  }

  snprintf(other, sizeof(other), "%s.other", path);
  (void) rename(path, other);
  (void) !symlink(other, path);
  is_int(extip_table_open(path, &table, why, sizeof(why)), -1,
    "a symbolic link: refused (%s)", why);
  (void) unlink(path);
  (void) !link(other, path);
  is_int(extip_table_open(path, &table, why, sizeof(why)), -1,
    "a second name of another file: refused (%s)", why);
  (void) unlink(other);
  chmod(path, 0622);
  is_int(extip_table_open(path, &table, why, sizeof(why)), -1,
    "a file that others may write: refused (%s)", why);
  (void) unlink(path);
  (void) mkfifo(path, 0600);
  is_int(extip_table_open(path, &table, why, sizeof(why)), -1,
    "a fifo: refused, without waiting (%s)", why);
  (void) unlink(path);

  snprintf(other, sizeof(other), "%s/new/extip.tab", dir);
  is_int(extip_table_open(other, &table, why, sizeof(why)), 0,
    "a directory that is missing is made");
  extip_table_close(&table);
  (void) unlink(other);
  *strrchr(other, '/') = '\0';
  (void) rmdir(other);
  snprintf(other, sizeof(other), "%s/no/new/extip.tab", dir);
  is_int(extip_table_open(other, &table, why, sizeof(why)), -1,
    "two that are missing are not (%s)", why);
}

static void test_lock(void) {
  struct extip_table one = fresh(1), two = open_it();

  is_int(extip_table_lock(one.write_fd), 0, "the first writer has the lock");
  is_int(extip_table_lock(two.write_fd), -1, "the second has not");
  is_int(errno, EWOULDBLOCK, "... which it is told");
  extip_table_close(&one);
  is_int(extip_table_lock(two.write_fd), 0, "... until the first is gone");
  extip_table_close(&two);
}

/* One writer and this reader, as fast as they can. */
static void test_race(void) {
  struct extip_table table = fresh(1);
  struct timespec begin, now;
  unsigned mixed = 0, missing = 0, back = 0, last = 0;
  unsigned long reads = 0;
  pid_t pid = fork();

  if (pid == 0) {
    for (unsigned i = 2;; i++) {
      struct extip_table_answer answer = answer_of("main", i);

      write_record(table.write_fd, &answers, 0, &answer);
    }
  }

  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    struct extip_table_answer answer;

    for (int i = 0; i < 1000; i++, reads++) {
      if (extip_table_read(table.read_fd, 0, &answer) < 0) {
        missing++;
        continue;
      }
      mixed += answer.addr != answer.since || answer.addr != answer.previous;
      back += answer.addr < last;
      last = answer.addr;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - begin.tv_sec < 1 || reads < 50000);

  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  printf("# %lu reads of %u writes\n", reads, last);
  ok(last > 1000, "a reader beside a busy writer sees new answers");
  is_int(mixed, 0, "... never a mixture of two");
  is_int(missing, 0, "... and always one");
  printf("# %u went back to the copy before\n", back);
  extip_table_close(&table);
}

int main(void) {
  if (mkdtemp(dir) == NULL) {
    return 1;
  }
  chmod(dir, 0755);
  snprintf(path, sizeof(path), "%s/extip.tab", dir);

  test_memory();
  test_anonymous();
  test_claims();
  test_torn_writes();
  test_damage();
  test_salvage();
  test_lengths();
  test_versions();
  test_places();
  test_lock();
  test_race();

  char command[PATH_MAX];

  snprintf(command, sizeof(command), "rm -rf '%s'", dir);
  return done_testing() | (system(command) != 0);
}
