/*
 * The table that all sessions share: who gets which slot, slots of sessions
 * that are gone, and what it costs when it is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/network.c"
#include "../../mod_keepalive/table.c"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct keepalive_table *fresh(void) {
  struct keepalive_table *table = mmap(NULL, sizeof(*table),
    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  keepalive_table_start(table, 1000);
  return table;
}

/* A process that is there until it is told to go. */
static pid_t sleeper(void) {
  pid_t pid = fork();

  if (pid == 0) {
    (void) pause();
    _exit(0);
  }
  return pid;
}

static void end(pid_t pid) {
  (void) kill(pid, SIGKILL);
  (void) waitpid(pid, NULL, 0);
}

static unsigned int in_use(struct keepalive_table *table) {
  unsigned int count = 0;

  for (unsigned int i = 0; i < KEEPALIVE_SLOTS; i++) {
    count += keepalive_table_in_use(table, &table->slot[i]);
  }
  return count;
}

/* When a process started, read in another way: field 22, and the name of this
 * one has no blank. */
static unsigned long start_time(void) {
  unsigned long start = 0;
  FILE *file = fopen("/proc/self/stat", "r");

  if (file != NULL) {
    for (int i = 1; i < 22; i++) {
      (void) !fscanf(file, "%*s");
    }
    (void) !fscanf(file, "%lu", &start);
    (void) fclose(file);
  }
  return start;
}

static void test_owners(void) {
  uint64_t own = keepalive_table_owner(getpid());
  pid_t pid = sleeper();
  uint64_t other = keepalive_table_owner(pid);
  int fd;

  ok(own >> 32 == (uint64_t) getpid(), "an owner has its pid");
  is_int((uint32_t) own, (uint32_t) start_time(), "and when it started");
  ok(own == keepalive_table_owner(getpid()), "which stays");
  ok(other != 0 && other != own, "another process is another owner");
  end(pid);
  is_int((long long) keepalive_table_owner(pid), 0, "none when it is gone");

  for (int i = 0; i < 100; i++) {
    (void) keepalive_table_owner(getpid());
  }
  fd = dup(STDOUT_FILENO);
  ok(fd < 20, "no descriptor stays open: the next one is %d", fd);
  (void) close(fd);
}

/* Pages of the table that exist. */
static unsigned int pages(struct keepalive_table *table) {
  static unsigned char resident[sizeof(*table) / 4096 + 1];
  unsigned int count = 0;

  (void) mincore(table, sizeof(*table), resident);
  for (size_t i = 0; i < sizeof(resident); i++) {
    count += resident[i] & 1;
  }
  return count;
}

static void test_memory(void) {
  struct keepalive_table *table = fresh();

  is_int(pages(table), 1, "a new table touches one page");
  (void) keepalive_table_claim(table, keepalive_table_owner(getpid()));
  ok(pages(table) <= 3, "and the first slot one more");
}

static void test_claims(void) {
  struct keepalive_table *table = fresh();
  uint64_t own = keepalive_table_owner(getpid());
  static struct keepalive_slot *slots[KEEPALIVE_SLOTS];
  unsigned int twice = 0, got = 0;

  keepalive_table_start(table, 2000);
  is_int(table->since, 1000, "a table that is found again is the same");
  for (got = 0; got < KEEPALIVE_SLOTS; got++) {
    slots[got] = keepalive_table_claim(table, own);
    if (slots[got] == NULL) {
      break;
    }
    twice += got > 0 && slots[got] == slots[got - 1];
  }
  is_int(got, KEEPALIVE_SLOTS, "all slots can be had, also over 1,024");
  is_int(twice, 0, "none of them twice");
  is_int(in_use(table), KEEPALIVE_SLOTS, "all are in use");
  ok(keepalive_table_claim(table, own) == NULL, "then there is none left");
  keepalive_table_release(table, slots[77], own);
  is_int(in_use(table), KEEPALIVE_SLOTS - 1, "one is given back");
  keepalive_table_release(table, slots[77], own);
  ok(keepalive_table_claim(table, own) == slots[77], "and had again");
  ok(keepalive_table_claim(table, own) == NULL, "once");
  ok(keepalive_table_claim(table, 0) == NULL, "nobody gets none");
}

static void test_dead(void) {
  struct keepalive_table *table = fresh();
  pid_t pid = sleeper();
  uint64_t owner = keepalive_table_owner(pid);
  struct keepalive_slot *slot = keepalive_table_claim(table, owner), *young;

  ok(keepalive_table_in_use(table, slot), "a session is in its slot");
  keepalive_table_inspect(table, 5);
  ok(keepalive_table_in_use(table, slot), "and is not missed");
  end(pid);
  ok(!keepalive_table_in_use(table, slot), "a killed one is missed");
  is_int((long long) atomic_load(&slot->owner), 0, "and its slot is free");

  /* Its number is another process's by now. */
  owner = keepalive_table_owner(getpid()) - 1;
  slot = keepalive_table_claim(table, owner);
  young = keepalive_table_claim(table, keepalive_table_owner(getpid()));
  keepalive_table_inspect(table, 2);
  is_int((long long) atomic_load(&slot->owner), 0,
    "a process of the same number that started later is another one");
  ok(atomic_load(&young->owner) != 0, "which keeps its own slot");
}

/* A session that cannot read another one's start time, as with hidepid=1, or
 * without a descriptor left. */
static void test_hidden(void) {
  struct keepalive_table *table = fresh();
  pid_t pid = sleeper();
  uint64_t owner = keepalive_table_owner(pid);
  struct keepalive_slot *slot = keepalive_table_claim(table, owner);
  struct rlimit before, none = { 0, 0 };

  (void) getrlimit(RLIMIT_NOFILE, &before);
  none.rlim_max = before.rlim_max;
  (void) setrlimit(RLIMIT_NOFILE, &none);
  is_int((long long) keepalive_table_owner(pid), 0,
    "when a session is hidden from the others");
  keepalive_table_inspect(table, 1);
  ok(atomic_load(&slot->owner) == owner, "... it keeps its slot");
  end(pid);
  keepalive_table_inspect(table, 1);
  is_int((long long) atomic_load(&slot->owner), 0, "... while it lives");
  (void) setrlimit(RLIMIT_NOFILE, &before);
}

static double seconds(void) {
  struct timespec ts;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

/* A claim and its release, in processor time: the least of some rounds. */
static double cost(struct keepalive_table *table, uint64_t own) {
  double least = 1e9;

  for (unsigned int round = 0; round < 20; round++) {
    double before = seconds(), spent;

    for (unsigned int i = 0; i < 10000; i++) {
      keepalive_table_release(table, keepalive_table_claim(table, own), own);
    }
    spent = seconds() - before;
    least = spent < least ? spent : least;
  }
  return least;
}

static void test_cost(void) {
  struct keepalive_table *table = fresh();
  uint64_t own = keepalive_table_owner(getpid());
  double one = cost(table, own), many;

  for (unsigned int i = 0; i < 5000; i++) {
    (void) keepalive_table_claim(table, own);
  }
  many = cost(table, own);
  ok(many < 2 * one + 0.001, "a slot costs the same beside 5,000: %.0f and %.0f ns",
    one * 1e5, many * 1e5);
}

/* Many processes at once take and give back. */
static void test_many(void) {
  struct keepalive_table *table = fresh();
  pid_t pids[8];

  for (unsigned int i = 0; i < 8; i++) {
    pids[i] = fork();
    if (pids[i] == 0) {
      uint64_t own = keepalive_table_owner(getpid());

      for (unsigned int j = 0; j < 50000; j++) {
        struct keepalive_slot *slot = keepalive_table_claim(table, own);

        if (slot == NULL || atomic_load(&slot->owner) != own) {
          _exit(1);
        }
        keepalive_table_release(table, slot, own);
      }
      _exit(0);
    }
  }

  for (unsigned int i = 0; i < 8; i++) {
    int status = -1;

    (void) waitpid(pids[i], &status, 0);
    is_int(status, 0, "one of eight at a time always has a slot of its own");
  }

  is_int(in_use(table), 0, "in the end all are free");
  for (unsigned int i = 0; i < KEEPALIVE_SLOTS; i++) {
    if (keepalive_table_claim(table, keepalive_table_owner(getpid())) == NULL) {
      is_int(i, KEEPALIVE_SLOTS, "and none is lost");
      return;
    }
  }
  ok(1, "and none is lost");
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  test_owners();
  test_memory();
  test_claims();
  test_dead();
  test_hidden();
  test_cost();
  test_many();
  return done_testing();
}
