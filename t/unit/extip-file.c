/* The file of mod_extip's table: what it remembers, what it recognises as
 * damage, and where it refuses to live. */

#include "../../mod_extip/clock.c"
#include "../../mod_extip/table.c"
#include "tap.h"

/* What is on the disk for sure, and what is not yet. */
static int watched_sync(int fd);

/* A file system that does not know the flags of renameat2(2). */
static int flagless_rename(
  int from_dir, const char *from, int to_dir, const char *to, unsigned int flags);

#define fdatasync watched_sync
#define renameat2 flagless_rename
#include "../../mod_extip/table_file.c"
#undef renameat2
#undef fdatasync

static int syncs, sync_result, first_at_sync;
static int rename_error; /* 0: it knows them */

static int flagless_rename(int from_dir, const char *from, int to_dir,
  const char *to, unsigned int flags) {
  errno = rename_error;
  return rename_error != 0 ? -1
                           : renameat2(from_dir, from, to_dir, to, flags);
}

/* In how many of its two copies the first answer has this address. */
static int copies_of(int fd, uint32_t addr) {
  int count = 0;

  for (int i = 0; i < 2; i++) {
    struct copy copy = { 0 };

    (void) read_whole(fd, &copy, sizeof(copy), copy_place(0, i));
    count += copy.answer.addr == addr;
  }
  return count;
}

static int watched_sync(int fd) {
  syncs++;
  first_at_sync = copies_of(fd, 1);
  errno = EIO;
  return sync_result;
}

static char dir[] = "/tmp/extip-file-XXXXXX";
static char path[PATH_MAX];
static char reason[512];

static struct extip_table_answer answers[EXTIP_TABLE_ANSWERS];

static struct extip_file open_it(void) {
  struct extip_file file = { .fd = -1 };

  if (extip_file_start(&file, path, reason, sizeof(reason)) < 0) {
    printf("# %s\n", reason);
    file.fd = -1;
  }

  return file;
}

static int write_address(
  const struct extip_file *file, size_t record, uint32_t addr) {
  answers[record].asked = record + 1;
  answers[record].addr = addr;
  return extip_file_write(file, answers, record, true);
}

/* A file with one answer; everything that was there is removed. */
static struct extip_file fresh(uint32_t addr) {
  (void) unlink(path);
  memset(answers, 0, sizeof(answers));

  struct extip_file file = open_it();

  write_address(&file, 0, addr);
  return file;
}

/* The address in a record, 0 when there is none. */
static uint32_t address_of(const struct extip_file *file, size_t record) {
  struct extip_table_answer found[EXTIP_TABLE_ANSWERS];

  (void) extip_file_read(file->fd, found);
  return found[record].addr;
}

static uint32_t address_in(const struct extip_file *file) {
  return address_of(file, 0);
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
  struct extip_file file = fresh(7);
  struct stat st;
  int fd;

  is_str(reason, "", "a new file is made without a remark");
  is_int(address_in(&file), 7, "what is written can be read");
  close(file.fd);
  file = open_it();
  is_str(reason, "", "it is opened again without a remark");
  is_int(address_in(&file), 7, "the answer is remembered");
  is_int(stat(path, &st), 0, "the file exists");
  is_int(st.st_mode & 07777, 0600, "only its owner may read it");
  close(file.fd);
  fd = extip_file_open(path, reason, sizeof(reason));
  ok(fd >= 0, "it can be opened for reading");
  is_int(write(fd, "x", 1), -1, "... alone");
  close(fd);
  (void) unlink(path);
  is_int(extip_file_open(path, reason, sizeof(reason)), -1,
    "a file that is not there cannot be read");
  is_int(errno, ENOENT, "... which is told");
}

/* An address is on the disk in one copy before the other copy is touched. */
static void test_sync(void) {
  struct extip_file file = fresh(1);

  syncs = 0;
  is_int(write_address(&file, 0, 2), 0, "an address is written");
  is_int(syncs, 1, "... and the disk is waited for, once");
  is_int(first_at_sync, 1, "... with the former address in the other copy");
  is_int(copies_of(file.fd, 2), 2, "... which is written then");

  answers[0].addr = 3;
  syncs = 0;
  is_int(extip_file_write(&file, answers, 0, false), 0,
    "what need not be safe is written");
  is_int(syncs, 0, "... without waiting for the disk");

  sync_result = -1;
  is_int(write_address(&file, 0, 4), -1, "a disk that fails is reported");
  is_int(errno, EIO, "... with its reason");
  is_int(copies_of(file.fd, 4), 1, "... and only one copy is written");
  sync_result = 0;
  close(file.fd);
}

/* A crash or power failure leaves any part of a write on the disk. */
static void test_torn_writes(void) {
  struct extip_file file = fresh(1);
  struct copy before[2], after[2];
  size_t wrong = 0, lost = 0;

  for (int i = 0; i < 2; i++) {
    read_whole(file.fd, &before[i], sizeof(before[i]), copy_place(0, i));
  }

  write_address(&file, 0, 2);
  for (int i = 0; i < 2; i++) {
    read_whole(file.fd, &after[i], sizeof(after[i]), copy_place(0, i));
  }

  /* The first write went to the copy with the lower number before. */
  int first = before[0].number < before[1].number ? 0 : 1;

  for (int stage = 0; stage < 2; stage++) {
    int copy = stage == 0 ? first : !first;

    for (size_t cut = 0; cut <= sizeof(struct copy); cut++) {
      write_whole(file.fd, stage == 0 ? &before[!copy] : &after[!copy],
        sizeof(struct copy), copy_place(0, !copy));
      write_whole(
        file.fd, &before[copy], sizeof(struct copy), copy_place(0, copy));
      write_whole(file.fd, &after[copy], cut, copy_place(0, copy));

      uint32_t found = address_in(&file);

      lost += found == 0;
      wrong += found != 0 && found != 2 && (stage == 1 || found != 1);
    }
  }

  is_int(lost, 0, "whatever part of a write is on the disk, an answer is");
  is_int(wrong, 0, "... the one before or the new one");
  close(file.fd);
}

static void test_damage(void) {
  struct extip_file file = fresh(9);
  size_t changed = 0, kept = 0;
  struct stat st;

  for (size_t i = 0; i < 2 * sizeof(struct copy); i++) {
    flip(copy_place(0, 0) + (off_t) i);
    changed += address_in(&file) != 9;
    flip(copy_place(0, 0) + (off_t) i);
  }
  is_int(changed, 0, "any one byte of the record altered: the same answer");
  close(file.fd);

  for (size_t i = 0; i < sizeof(struct header); i++) {
    file = fresh(9);
    close(file.fd);
    flip((off_t) i);
    file = open_it();
    kept += address_in(&file) != 0 || *reason == '\0';
    close(file.fd);
  }
  is_int(kept, 0, "any byte of the head altered: put aside, not believed");

  file = fresh(9);
  close(file.fd);
  flip(copy_place(0, 0) + 40);
  flip(copy_place(0, 1) + 40);
  file = open_it();
  is_int(address_in(&file), 0, "both copies damaged: not believed");
  ok(strstr(reason, "damaged") && strstr(reason, ".aside"), "... said: %s",
    reason);

  char aside[PATH_MAX + 8];

  snprintf(aside, sizeof(aside), "%s.aside", path);
  is_int(stat(aside, &st), 0, "... and put aside");
  close(file.fd);
}

static void test_salvage(void) {
  struct extip_file file = fresh(9);

  write_address(&file, 3, 4);
  close(file.fd);
  flip(copy_place(3, 0) + 50);
  flip(copy_place(3, 1) + 50);
  file = open_it();
  is_int(address_in(&file), 9,
    "what is whole is taken over from a damaged file");
  is_int(address_of(&file, 3), 0, "... the rest is not");
  close(file.fd);
}

static void test_lengths(void) {
  static const off_t lengths[] = { 0, 1, 31, 32, 4095, 4096, 4200, 30000,
    TABLE_SIZE - 1, TABLE_SIZE + 1 };
  struct extip_file file;

  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    file = fresh(9);
    close(file.fd);
    (void) !truncate(path, lengths[i]);
    file = open_it();
    ok(file.fd >= 0 && *reason != '\0',
      "cut to %ld bytes: recognised and replaced (%s)", (long) lengths[i],
      reason);
    close(file.fd);
  }

  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    file = fresh(9);
    write_address(&file, 5, 6);
    (void) !truncate(path, lengths[i]);
    is_int(write_address(&file, 0, 8), 0,
      "cut to %ld bytes while it is in use: the next write", (long) lengths[i]);
    ok(address_in(&file) == 8 && address_of(&file, 5) == 6,
      "... repairs all of it");
    close(file.fd);
  }
}

static void test_versions(void) {
  struct extip_file file = fresh(9);
  struct header header;
  struct copy copy;
  int which;

  is_int(read_newest(file.fd, 0, &copy, &which), 0, "a file is read");

  make_header(&header);
  is_int(header.version, TABLE_VERSION, "a file has its version");
  header.version++;
  header.check = checksum(0, &header, offsetof(struct header, check));
  write_whole(file.fd, &header, sizeof(header), 0);
  close(file.fd);
  file = open_it();
  is_int(address_in(&file), 0, "a file of another version is not misread");
  ok(strstr(reason, "another version") != NULL, "... but put aside: %s",
    reason);
  close(file.fd);
}

static int try_it(const char *where) {
  struct extip_file file = { .fd = -1 };
  int res = extip_file_start(&file, where, reason, sizeof(reason));

  if (res == 0) {
    close(file.fd);
  }
  return res;
}

static void test_places(void) {
  char other[PATH_MAX + 16];

  (void) unlink(path);

  /* In /tmp itself others can make the file first. */
  struct stat st;

  if (stat("/tmp", &st) == 0 && (st.st_mode & 07777) == 01777 &&
      st.st_uid == 0) {
    snprintf(other, sizeof(other), "/tmp/extip-file-%d.tab", (int) getpid());
    ok(try_it(other) < 0, "the directory itself may not be like /tmp: %s",
      reason);
    (void) unlink(other);
  }

  for (int mode = 0; mode <= 0777; mode++) {
    if ((mode & 0700) == 0700 && (mode & 055) == 055) {
      chmod(dir, (mode_t) mode);
      is_int(try_it(path) == 0, (mode & 022) == 0, "directory of mode %04o: %s",
        (unsigned int) mode, (mode & 022) ? "refused" : "taken");
    }
  }
  chmod(dir, 0755);

  if (geteuid() == 0) {
    (void) !chown(dir, 65534, 65534);
    is_int(
      try_it(path), -1, "a directory of somebody else: refused (%s)", reason);
    (void) !chown(dir, 0, 0);
  }

  snprintf(other, sizeof(other), "%s.other", path);
  (void) rename(path, other);
  (void) !symlink(other, path);
  is_int(try_it(path), -1, "a symbolic link: refused (%s)", reason);
  is_int(extip_file_open(path, reason, sizeof(reason)), -1,
    "... also for reading");
  (void) unlink(path);
  (void) !link(other, path);
  is_int(
    try_it(path), -1, "a second name of another file: refused (%s)", reason);
  (void) unlink(other);
  chmod(path, 0622);
  is_int(try_it(path), -1, "a file that others may write: refused (%s)",
    reason);
  (void) unlink(path);
  (void) mkfifo(path, 0600);
  is_int(
    try_it(path), -1, "a fifo: refused, without waiting (%s)", reason);
  (void) unlink(path);

  snprintf(other, sizeof(other), "%s/new/extip.tab", dir);
  is_int(try_it(other), 0, "a directory that is missing is made");
  (void) unlink(other);
  *strrchr(other, '/') = '\0';
  (void) rmdir(other);
  snprintf(other, sizeof(other), "%s/no/new/extip.tab", dir);
  is_int(try_it(other), -1, "two that are missing are not (%s)", reason);
}

static void test_flagless(void) {
  static const int errors[] = { EINVAL, ENOSYS };

  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
    rename_error = errors[i];

    struct extip_file file = fresh(7);

    is_int(address_in(&file), 7, "renameat2: %s: the file is created",
      strerror(rename_error));
    close(file.fd);
    file = open_it();
    is_int(address_in(&file), 7, "... with one name, so that it is opened again");
    is_int(create_file(path, dir, answers), -1, "... and not replaced");
    is_int(errno, EEXIST, "... which is told");
    close(file.fd);
  }
  rename_error = 0;
}

static void test_lock(void) {
  struct extip_file one = fresh(1), two = open_it();

  is_int(extip_file_lock(&one), 0, "the first writer has the lock");
  is_int(extip_file_lock(&two), -1, "the second has not");
  is_int(errno, EWOULDBLOCK, "... which it is told");
  close(one.fd);
  is_int(extip_file_lock(&two), 0, "... until the first is gone");
  close(two.fd);
}

int main(void) {
  if (mkdtemp(dir) == NULL) {
    return 1;
  }
  chmod(dir, 0755);
  snprintf(path, sizeof(path), "%s/extip.tab", dir);

  test_memory();
  test_sync();
  test_torn_writes();
  test_damage();
  test_salvage();
  test_lengths();
  test_versions();
  test_places();
  test_flagless();
  test_lock();

  char command[PATH_MAX];

  snprintf(command, sizeof(command), "rm -rf '%s'", dir);
  return done_testing() | (system(command) != 0);
}
