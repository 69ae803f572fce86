/*
 * The counters of a pool and a class: a row for each, what is added to it, its
 * peak, how often something is said, and what is shown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-table.h"

#include <pthread.h>
#include <sched.h>

static uint64_t clock_ms = 5000;

static uint64_t fake_now_ms(void) {
  return clock_ms;
}

#define natpasv_now_ms fake_now_ms
#include "../../mod_natpasv/count.c"
#undef natpasv_now_ms

static struct natpasv_table table;

static void new_table(void) {
  fresh("30000");
  table = (struct natpasv_table){ .map = map, .fd = -1 };
}

/* The row of this number and class as it is shown; -1 if there is none. */
static int shown(
  uint64_t ports, const char *class, struct natpasv_counts *counts) {
  for (unsigned int i = 0; i < NATPASV_ROWS; i++) {
    if (natpasv_count_get(&table, i, counts) == 0 && counts->ports == ports &&
        strcmp(counts->class, class) == 0) {
      return (int) i;
    }
  }
  return -1;
}

static void test_rows(void) {
  struct natpasv_counts counts;
  struct natpasv_row *row, *other;
  unsigned int rows = 0;

  new_table();
  is_int(natpasv_count_get(&table, 0, &counts), -1,
    "an empty table has no rows to show");
  row = natpasv_count_row(&table, 7, "lan");
  ok(row != NULL && natpasv_count_row(&table, 7, "lan") == row,
    "a row is found again");
  other = natpasv_count_row(&table, 7, "wan");
  ok(other != row && natpasv_count_row(&table, 8, "lan") != row,
    "another class or other ports have another one");
  ok(shown(7, "lan", &counts) >= 0 && shown(7, "wan", &counts) >= 0,
    "all are shown");

  new_table();
  while (rows <= NATPASV_ROWS &&
         natpasv_count_row(&table, (uint64_t) rows << 8, "") != NULL) {
    rows++;
  }
  is_int(rows, NATPASV_ROWS,
    "there are so many rows, also if all hashes are alike, and then none");
  is_int(natpasv_count_get(&table, NATPASV_ROWS - 1, &counts), 0,
    "the last one is shown");
}

/* Another session that is about to make the row. */
static void *make_row(void *arg) {
  struct natpasv_row *row = arg;

  for (int i = 0; i < 20; i++) {
    (void) sched_yield();
  }
  row->ports = 7;
  memcpy(row->class, "lan", 4);
  atomic_store(&row->used, USED);
  return NULL;
}

/* Whether a session that comes meanwhile has the same row. */
static bool two_meet(void) {
  struct natpasv_row *row;
  pthread_t maker;
  bool met;

  new_table();
  row = natpasv_count_row(&table, 7, "lan");
  memset(row, 0, sizeof(*row));
  atomic_store(&row->used, MAKING);
  if (pthread_create(&maker, NULL, make_row, row) != 0) {
    return false;
  }
  met = natpasv_count_row(&table, 7, "lan") == row;
  (void) pthread_join(maker, NULL);
  return met;
}

static void test_two_make(void) {
  struct natpasv_row *row;
  int met = 0;

  new_table();
  row = natpasv_count_row(&table, 7, "lan");
  memset(row, 0, sizeof(*row));
  atomic_store(&row->used, MAKING);
  ok(natpasv_count_row(&table, 7, "lan") != row,
    "one who was killed while he made a row is not waited for without end");

  /* A busy machine may stop the maker for longer than he is waited for. */
  for (int i = 0; i < 40; i++) {
    met += two_meet();
  }
  ok(met >= 20,
    "two who make the same row at the same time have one (%d of 40)", met);
}

static void test_counts(void) {
  struct natpasv_counts counts;
  struct natpasv_row *row;

  new_table();
  row = natpasv_count_row(&table, 7, "lan");
  for (unsigned int i = 0; i < NATPASV_COUNTERS; i++) {
    natpasv_count_more(row, i, 10 * i);
    natpasv_count(row, i);
  }
  (void) shown(7, "lan", &counts);
  for (unsigned int i = 0; i < NATPASV_COUNTERS; i++) {
    is_int(counts.count[i], 10 * i + 1, "counter %u has what was added", i);
  }
  natpasv_count(NULL, 0);
  natpasv_count_more(NULL, 0, 5);
  natpasv_count_peak(NULL, 5);
  ok(1, "without a row nothing is counted");

  natpasv_count_peak(row, 5);
  natpasv_count_peak(row, 3);
  (void) shown(7, "lan", &counts);
  is_int(counts.peak, 5, "the peak is the most there was");
  natpasv_count_peak(row, 6);
  (void) shown(7, "lan", &counts);
  is_int(counts.peak, 6, "... and more is more");
  ok(natpasv_count_row(&table, 7, "lan") == row, "the row is the same");
}

/* The longest name, and one that was damaged. */
static void test_names(void) {
  struct natpasv_counts counts;
  struct natpasv_row *row;
  char name[NATPASV_CLASS_MAX + 10];

  new_table();
  memset(name, 'c', sizeof(name));
  name[NATPASV_CLASS_MAX] = '\0';
  row = natpasv_count_row(&table, 7, name);
  ok(shown(7, name, &counts) >= 0, "the longest name is shown whole");
  memset(name, 'e', sizeof(name));
  name[sizeof(name) - 1] = '\0';
  (void) natpasv_count_row(&table, 9, name);
  name[NATPASV_CLASS_MAX] = '\0';
  ok(shown(9, name, &counts) >= 0, "a longer one is cut");
  memset(row->class, 'd', sizeof(row->class));
  memset(name, 'd', NATPASV_CLASS_MAX);
  ok(shown(7, name, &counts) >= 0, "one without an end is cut");
  (void) natpasv_count_row(&table, 8, "a\"b\\c d\n\xe4");
  ok(shown(8, "a?b?c?d??", &counts) >= 0,
    "what would need quotes is a question mark");
}

static void test_say(void) {
  struct natpasv_row *row;

  new_table();
  row = natpasv_count_row(&table, 7, "lan");
  clock_ms = 0;
  ok(natpasv_count_say(row, 0, 60000), "it is said for the first time");
  ok(!natpasv_count_say(row, 0, 60000), "... not again at once");
  ok(natpasv_count_say(row, 1, 60000), "... something else is");
  clock_ms = 59999;
  ok(!natpasv_count_say(row, 0, 60000), "not within a minute");
  clock_ms = 60000;
  ok(natpasv_count_say(row, 0, 60000), "but after a minute");
  clock_ms = 119999;
  ok(!natpasv_count_say(row, 0, 60000), "... and then not within the next");

  ok(natpasv_count_say(NULL, 0, 60000), "without a row it is said as well");
  ok(!natpasv_count_say(NULL, 0, 60000), "... and not again at once");
  clock_ms = 179999;
  ok(natpasv_count_say(row, 0, 60000), "each row has times of its own");
}

int main(void) {
  test_rows();
  test_two_make();
  test_counts();
  test_names();
  test_say();
  return done_testing();
}
