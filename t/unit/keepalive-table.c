/*
 * The table that all sessions share: the file, who gets which slot, slots of
 * sessions that are gone, and the last deaths.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/table.c"

#include <stdlib.h>
#include <sys/wait.h>

static char dir[] = "/tmp/keepalive-table-XXXXXX";
static char path[64];

/* A pid that nobody has any more. */
static pid_t gone(void) {
  pid_t pid = fork();

  if (pid == 0) {
    _exit(0);
  }

  (void) waitpid(pid, NULL, 0);
  return pid;
}

static void write_file(size_t size, uint32_t magic) {
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

  (void) !ftruncate(fd, (off_t) size);
  (void) !pwrite(fd, &magic, sizeof(magic), 0);
  (void) close(fd);
}

static void test_file(void) {
  static const struct {
    const char *what;
    size_t size;
    uint32_t magic;
  } others[] = {
    { "shorter", sizeof(struct keepalive_table) - 1, TABLE_MAGIC },
    { "longer", sizeof(struct keepalive_table) + 1, TABLE_MAGIC },
    { "of another version", sizeof(struct keepalive_table), TABLE_MAGIC + 1 },
  };
  struct keepalive_table *table, *again;
  struct stat st;
  char other[80];
  size_t i;

  table = keepalive_table_open(path);
  ok(table != NULL, "the table is made");
  is_int(stat(path, &st) == 0 ? st.st_mode & 0777 : 0, 0600,
    "only its owner may read it");
  ok(table->since > 0, "it knows since when");
  atomic_store(&table->transfers, 7);
  again = keepalive_table_open(path);
  is_int(again != NULL ? (long long) atomic_load(&again->transfers) : -1, 7,
    "who opens it next sees the same table");
  keepalive_table_close(again);
  keepalive_table_close(table);

  for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
    write_file(others[i].size, others[i].magic);
    table = keepalive_table_open(path);
    ok(table != NULL && atomic_load(&table->transfers) == 0,
      "a table that is %s is replaced", others[i].what);
    if (table != NULL) {
      keepalive_table_close(table);
    }
  }

  snprintf(other, sizeof(other), "%s.other", path);
  (void) !link(path, other);
  errno = 0;
  ok(keepalive_table_open(path) == NULL && errno == EPERM,
    "a file with a second name is refused");
  (void) unlink(path);
  errno = 0;
  ok(symlink(other, path) == 0 && keepalive_table_open(path) == NULL &&
       errno == ELOOP,
    "so is a symbolic link");
  (void) unlink(path);
  (void) unlink(other);
  errno = 0;
  ok(mkdir(path, 0700) == 0 && keepalive_table_open(path) == NULL &&
       errno == EISDIR,
    "and a directory");
  (void) rmdir(path);
  if (geteuid() == 0) {
    write_file(0, 0);
    (void) !chown(path, 1, 1);
    errno = 0;
    ok(keepalive_table_open(path) == NULL && errno == EPERM,
      "and somebody else's file");
    (void) unlink(path);
  }
}

static void test_slots(void) {
  static struct keepalive_table table;
  struct keepalive_slot *slot, *second;
  pid_t dead = gone(), parent = getppid();
  unsigned int i;
  int32_t pid = getpid();

  slot = keepalive_table_claim(&table, pid);
  is_int(slot != NULL ? slot - table.slot : -1, pid % KEEPALIVE_SLOTS,
    "a session has a place of its own");
  slot->interval = 9;
  atomic_store(&slot->sent, 9);
  memcpy(slot->client, "192.0.2.1", 10);
  second = keepalive_table_claim(&table, pid);
  ok(second == slot && slot->interval == 0 && atomic_load(&slot->sent) == 0 &&
       slot->client[0] == '\0',
    "the same session again has it again, empty");
  is_int(keepalive_table_in_use(slot), 1, "it is in use");
  keepalive_table_release(slot);
  is_int(keepalive_table_in_use(slot), 0, "and when given back is not");

  atomic_store(&slot->pid, (int32_t) parent);
  second = keepalive_table_claim(&table, pid);
  is_int(second != NULL ? second - table.slot : -1,
    (pid + 1) % KEEPALIVE_SLOTS, "a place that is taken leads to the next");
  keepalive_table_release(second);

  atomic_store(&slot->pid, (int32_t) dead);
  is_int(keepalive_table_in_use(slot), 0, "who is gone uses no slot");
  is_int(atomic_load(&slot->pid), 0, "and what he had is free");

  for (i = 0; i < KEEPALIVE_SLOTS; i++) {
    atomic_store(&table.slot[i].pid, (int32_t) parent);
  }
  ok(keepalive_table_claim(&table, pid) == NULL, "a full table has no slot");
  atomic_store(&table.slot[(pid + 500) % KEEPALIVE_SLOTS].pid, (int32_t) dead);
  slot = keepalive_table_claim(&table, pid);
  is_int(slot != NULL ? slot - table.slot : -1, (pid + 500) % KEEPALIVE_SLOTS,
    "but the slot of one that was killed is found");
}

/* With another handler in place before, as ProFTPD has one. */
static void test_cut_off(void) {
  struct keepalive_table *table;
  struct keepalive_slot *slot;
  struct sigaction action;
  struct stat st;

  (void) signal(SIGBUS, SIG_IGN);
  table = keepalive_table_open(path);
  (void) stat(path, &st);
  ok(st.st_blocks * 512 >= (off_t) sizeof(*table),
    "the file has room for the whole table from the beginning");

  slot = keepalive_table_claim(table, getpid());
  ok(truncate(path, 0) == 0, "the file is cut off");
  atomic_fetch_add(&slot->sent, 1);
  is_int(atomic_load(&slot->sent), 1, "the process goes on with its own slot");
  is_int((long long) atomic_load(&table->transfers), 0, "and its own table");
  keepalive_table_release(slot);
  keepalive_table_close(table);

  (void) sigaction(SIGBUS, NULL, &action);
  ok(action.sa_handler == SIG_IGN, "the handler from before is back");
  (void) signal(SIGBUS, SIG_DFL);
  (void) unlink(path);
}

static void test_contest(void) {
  enum { WORKERS = 4, ROUNDS = 200000 };
  struct keepalive_table *table = keepalive_table_open(path);
  struct keepalive_slot *slot = table->slot;
  int i, status, wrong = 0;

  for (i = 0; i < WORKERS; i++) {
    if (fork() == 0) {
      int round, pid = getpid(), bad = 0;

      for (round = 0; round < ROUNDS; round++) {
        if (take(slot, 0, pid)) {
          slot->interval = (uint32_t) pid;
          atomic_fetch_add(&table->transfers, 1);
          bad |= slot->interval != (uint32_t) pid;
          keepalive_table_release(slot);
        }
      }
      _exit(bad);
    }
  }

  for (i = 0; i < WORKERS; i++) {
    (void) wait(&status);
    wrong += status != 0;
  }

  is_int(wrong, 0, "a slot that all want is one session's at a time");
  ok(atomic_load(&table->transfers) > 1000, "and all had it: %llu times",
    (unsigned long long) atomic_load(&table->transfers));
  is_int(atomic_load(&slot->pid), 0, "at the end it is free");
  keepalive_table_close(table);
  (void) unlink(path);
}

static void test_deaths(void) {
  static struct keepalive_table table;
  struct keepalive_death death = { 0 };
  unsigned int i, kept = 0;

  for (i = 0; i < 3 * KEEPALIVE_DEATHS + 1; i++) {
    death.silent = i;
    keepalive_table_bury(&table, &death);
  }

  is_int((long long) atomic_load(&table.deaths), 3 * KEEPALIVE_DEATHS + 1,
    "all deaths are counted");
  for (i = 0; i < KEEPALIVE_DEATHS; i++) {
    kept += table.death[i].silent > 2 * KEEPALIVE_DEATHS;
  }
  is_int(kept, KEEPALIVE_DEATHS, "and the last ones are kept");
}

int main(void) {
  if (mkdtemp(dir) == NULL) {
    perror(dir);
    return 1;
  }

  snprintf(path, sizeof(path), "%s/keepalive.tab", dir);
  test_file();
  test_slots();
  test_cut_off();
  test_contest();
  test_deaths();
  (void) rmdir(dir);
  return done_testing();
}
