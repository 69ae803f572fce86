/*
 * The table in a file: what is no table is left alone, and a SIGBUS that is not
 * ours is somebody else's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/file.c"
#include "natpasv-table.h"

#include <setjmp.h>

static char dir[] = "/tmp/natpasv-unit-XXXXXX", path[64], reason[256];

static int open_table(struct natpasv_table *table, enum natpasv_file_user user) {
  reason[0] = '\0';
  return natpasv_file_open(table, path, user, reason, sizeof(reason));
}

static off_t size_of(void) {
  struct stat st;

  return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void write_file(const void *bytes, size_t size) {
  int fd;

  (void) unlink(path);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || write(fd, bytes, size) != (ssize_t) size) {
    printf("Bail out! %s: %s\n", path, strerror(errno));
    exit(1);
  }
  (void) close(fd);
}

static void test_open(void) {
  struct natpasv_table one, two;
  struct natpasv_row *row;
  int before;

  ok(open_table(&one, NATPASV_FILE_DAEMON) == 0, "a table is made (%s)", reason);
  is_int(size_of(), SIZE, "... of its full size");
  ok(one.fd > 2, "... and its descriptor is none of the first three");
  natpasv_file_close(&one);
  (void) unlink(path);
  before = dup(STDIN_FILENO);
  (void) close(STDIN_FILENO);
  ok(open_table(&one, NATPASV_FILE_DAEMON) == 0 && one.fd > 2,
    "... also if the first one is free (%s)", reason);
  (void) dup2(before, STDIN_FILENO);
  (void) close(before);
  row = &one.map->row[3];
  row->used = 7;
  one.map->port[30000].owner = 5;
  one.map->port[30000].client = 9;

  ok(open_table(&two, NATPASV_FILE_DAEMON) == 0, "another daemon opens it");
  is_int(two.map->port[30000].owner, 5, "... and finds it in use: all stays");
  natpasv_file_close(&two);
  natpasv_file_close(&one);

  ok(open_table(&one, NATPASV_FILE_SESSION) == 0, "a session of inetd opens it");
  is_int(one.map->port[30000].owner, 0, "... alone: leases begin anew");
  is_int(one.map->row[3].used, 7, "... counters stay");
  is_int(one.map->port[30000].client, 9, "... and who had which port");
  one.map->port[30000].owner = 5;
  natpasv_file_close(&one);

  ok(open_table(&one, NATPASV_FILE_RELOAD) == 0, "a reload is the first to");
  is_int(one.map->port[30000].owner, 0, "... alone: leases begin anew");
  is_int(one.map->row[3].used, 7, "... counters stay");
  natpasv_file_close(&one);

  ok(open_table(&one, NATPASV_FILE_DAEMON) == 0, "a daemon opens it");
  is_int(one.map->row[3].used, 0, "... alone: all begins anew");
  natpasv_file_close(&one);
}

static void test_no_table(void) {
  static const char text[] = "ServerName \"My server\"\n\n\n";
  struct natpasv_table table;
  char now[64] = "";
  int fd;

  write_file(text, sizeof(text) - 1);
  ok(open_table(&table, NATPASV_FILE_DAEMON) < 0, "a text is no table: %s",
    reason);
  fd = open(path, O_RDONLY);
  (void) !read(fd, now, sizeof(now) - 1);
  (void) close(fd);
  is_str(now, text, "... and as it was");

  write_file("", 0);
  ok(open_table(&table, NATPASV_FILE_DAEMON) < 0, "an empty file is no table: %s",
    reason);
  is_int(size_of(), 0, "... and as it was");

  (void) unlink(path);
  ok(symlink("/etc/passwd", path) == 0 &&
       open_table(&table, NATPASV_FILE_DAEMON) < 0,
    "a link is no table: %s", reason);
  ok(strstr(reason, strerror(ELOOP)) != NULL, "... for this reason");
  (void) unlink(path);
  (void) mkfifo(path, 0600);
  ok(open_table(&table, NATPASV_FILE_DAEMON) < 0, "nor a fifo: %s", reason);
  (void) unlink(path);
}

static void test_directory(void) {
  struct natpasv_table table;

  (void) chmod(dir, 0757);
  ok(open_table(&table, NATPASV_FILE_DAEMON) < 0 && strstr(reason, "others"),
    "a directory where others may write is refused: %s", reason);
  (void) chmod(dir, 0770);
  (void) !chown(dir, 0, 12345);
  ok(open_table(&table, NATPASV_FILE_DAEMON) < 0, "... or another group");
  (void) !chown(dir, 0, 1);
  ok(geteuid() != 0 || open_table(&table, NATPASV_FILE_DAEMON) < 0,
    "... whichever");
  (void) !chown(dir, 0, 0);
  ok(geteuid() != 0 || open_table(&table, NATPASV_FILE_DAEMON) == 0,
    "... but for root's");
  natpasv_file_close(&table);
  (void) unlink(path);
  (void) chmod(dir, 0700);
  ok(open_table(&table, NATPASV_FILE_DAEMON) == 0, "one of our own is not: %s",
    reason);
  natpasv_file_close(&table);
  (void) unlink(path);
}

/* A table for which there is no room, a new one and one that was cut off. */
static void test_in_vain(void) {
  const struct rlimit little = { 4096, RLIM_INFINITY };
  struct natpasv_table table;
  struct rlimit before;

  (void) unlink(path);
  (void) getrlimit(RLIMIT_FSIZE, &before);
  (void) signal(SIGXFSZ, SIG_IGN);
  for (int cut = 0; cut < 2; cut++) {
    if (cut) {
      ok(open_table(&table, NATPASV_FILE_DAEMON) == 0, "with room it is made");
      natpasv_file_close(&table);
      (void) !truncate(path, 4096);
    }
    (void) setrlimit(RLIMIT_FSIZE, &little);
    ok(open_table(&table, NATPASV_FILE_DAEMON) < 0, "%s without room: %s",
      cut ? "one that was cut off" : "a table", reason);
    (void) setrlimit(RLIMIT_FSIZE, &before);
    ok(strstr(reason, strerror(EFBIG)) != NULL, "... for this reason");
    ok(table.map == NULL && table.fd < 0, "... and nothing is left open");
  }
  (void) unlink(path);
}

/* As its first layout was: a magic number, and locks of the other kind. */
static void test_older(void) {
  static char old[100000];
  struct natpasv_table table;
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
  uint64_t magic = UINT64_C(0x4e41545041535601);
  int ready[2], fd;
  pid_t pid;
  char byte;

  memcpy(old, &magic, sizeof(magic));
  write_file(old, sizeof(old));
  (void) !pipe(ready);
  pid = fork();
  if (pid == 0) {
    lock.l_start = 123456789;
    fd = open(path, O_RDWR);
    (void) fcntl(fd, F_SETLK, &lock);
    (void) !write(ready[1], "x", 1);
    (void) pause();
  }
  (void) !read(ready[0], &byte, 1);
  ok(open_table(&table, NATPASV_FILE_DAEMON) < 0,
    "a table of another version that is used is left alone: %s", reason);
  is_int(size_of(), sizeof(old), "... as it was");
  end(pid);
  ok(open_table(&table, NATPASV_FILE_DAEMON) == 0,
    "one that nobody uses is replaced: %s", reason);
  is_int(size_of(), SIZE, "... by a table of this version");
  natpasv_file_close(&table);
}

static sigjmp_buf back;
static volatile int faults = 0;

static void former(int signo) {
  (void) signo;
  faults++;
  siglongjmp(back, 1);
}

static void test_sigbus(void) {
  struct natpasv_table table;
  struct sigaction action;
  char other[] = "/tmp/natpasv-unit-XXXXXX";
  int fd = mkstemp(other);
  volatile char *foreign;

  (void) unlink(other);
  (void) !ftruncate(fd, 8192);
  foreign = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  (void) !ftruncate(fd, 0);

  (void) signal(SIGBUS, former);
  (void) open_table(&table, NATPASV_FILE_DAEMON);
  (void) !ftruncate(table.fd, 5000);
  table.map->port[60000].owner = 1;
  is_int(table.map->port[60000].owner, 1, "a table that is cut off is made whole");
  is_int(faults, 0, "... without the former handler");
  is_int(natpasv_table_mend(&table), 1, "... and begins anew");
  is_int(table.map->port[60000].owner, 0, "... empty");
  is_int(natpasv_table_mend(&table), 0, "... once");

  if (sigsetjmp(back, 1) == 0) {
    foreign[0] = 1;
  }
  is_int(faults, 1, "a fault elsewhere is the former handler's");

  natpasv_file_guard(&table);
  if (sigsetjmp(back, 1) == 0) {
    foreign[0] = 1;
  }
  is_int(faults, 2, "... also after the table is guarded again");

  natpasv_file_close(&table);
  (void) sigaction(SIGBUS, NULL, &action);
  ok(action.sa_handler == former, "... which is back when the table is closed");
  (void) close(fd);
}

int main(void) {
  if (mkdtemp(dir) == NULL) {
    printf("Bail out! %s\n", strerror(errno));
    return 1;
  }
  snprintf(path, sizeof(path), "%s/natpasv.tab", dir);
  test_open();
  test_no_table();
  test_directory();
  test_in_vain();
  test_older();
  test_sigbus();
  (void) unlink(path);
  (void) rmdir(dir);
  return done_testing();
}
