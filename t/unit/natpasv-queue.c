/*
 * The queue: who gets the next port, and what a client address may have.
 * Sessions of this process, whose clients take turns, and processes that are
 * killed or stopped while they wait. Many of them: natpasv-crowd.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-table.h"

static int which(struct session *s, int n, int *port) {
  for (int i = 0; i < n; i++) {
    *port = handed(&s[i]);
    if (*port > 0) {
      return i;
    }
  }
  return -1;
}

static void test_fair_share(void) {
  static struct session greedy[99], other[49];
  int held = 0, found = 0, port;

  fresh("30000-30099");
  for (int i = 0; i < 99; i++) {
    enrol(&greedy[i], 1);
    held += claim_port(&greedy[i]) > 0;
  }
  is_int(
    held, 50, "99 sessions of one address ask: 50 of 100 ports are theirs");
  is_int(
    greedy[98].lessee.left, 50, "... and the last one is told what is left");
  is_int(greedy[98].lessee.held, 50, "... and what its client has");
  for (int i = 0; i < 49; i++) {
    enrol(&other[i], (uint64_t) i + 2);
    found += claim_port(&other[i]) > 0;
  }
  is_int(found, 49, "49 newcomers have a port each, at once");
  is_int(claim_port(&other[0]), 0, "the last one is for who has none");
  is_sound("... and all is sound");

  enrol(&other[0], 1000);
  other[0].lessee.any = true;
  port = claim_port(&other[0]);
  ok(port > 0, "with 'share any' there is no such limit");
  (void) release_port(&other[0], port);
}

static void hold_two(void *what) {
  static struct session s;

  (void) what;
  enrol(&s, 1);
  (void) claim_port(&s);
  (void) claim_port(&s);
}

static void test_fair_after_kill(void) {
  static struct session one;
  pid_t pid[5];
  int held = 0;

  fresh("30000-30019");
  for (int i = 0; i < 5; i++) {
    pid[i] = start(hold_two, NULL);
  }
  enrol(&one, 1);
  is_int(claim_port(&one), 0, "five sessions of a client have its share");
  for (int i = 0; i < 5; i++) {
    end(pid[i]);
  }
  for (int i = 0; i < 10; i++) {
    held += claim_port(&one) > 0;
  }
  is_int(held, 10, "they are killed: the share is exact");
  is_sound("... and all is sound");
}

static void test_order(void) {
  static struct session holder, waits[6];
  int port, first, second;

  fresh("30000-30001");
  enrol(&holder, 100);
  holder.lessee.any = true;
  first = claim_port(&holder);
  second = claim_port(&holder);

  /* Three sessions of client 1, then one of 2, one of 3, another of 2. */
  for (int i = 0; i < 6; i++) {
    static const uint64_t clients[] = { 1, 1, 1, 2, 3, 2 };

    join(&waits[i], clients[i]);
  }
  is_int(natpasv_queue_waiting(map, key), 6, "six wait");
  is_sound("... and all is sound");

  static const int order[] = { 0, 3, 4, 1, 5, 2 };
  (void) release_port(&holder, first);
  for (int i = 0; i < 6; i++) {
    is_int(which(waits, 6, &port), order[i],
      "the %d. port goes to session %d: client addresses take turns", i + 1,
      order[i]);
    is_int(port, first, "... and it is the one that came back");
    (void) release_port(&waits[order[i]], port);
  }
  is_int(natpasv_queue_waiting(map, key), 0, "nobody waits");
  (void) release_port(&holder, second);
  is_sound("... and all is sound");
}

static void test_turns(void) {
  static struct session holder[10], many[60], one;
  int port[10], turns = 0, got = 0;

  fresh("30000-30009");
  for (int i = 0; i < 10; i++) {
    enrol(&holder[i], (uint64_t) i + 10);
    port[i] = claim_port(&holder[i]);
  }
  for (int i = 0; i < 60; i++) {
    join(&many[i], 1);
  }
  join(&one, 2);
  for (int i = 0; i < 10 && got == 0; i++) {
    (void) release_port(&holder[i], port[i]);
    turns++;
    got = handed(&one);
  }
  ok(got > 0 && turns <= 2,
    "60 sessions of an address wait: another client has its port after %d "
    "turns",
    turns);
  is_sound("... and all is sound");
}

static void test_reserved(void) {
  static struct session a, b, again;
  int first, second;

  fresh("30000-30002");
  enrol(&a, 1);
  enrol(&b, 2);
  first = claim_port(&a);
  second = claim_port(&b);
  join(&again, 1);
  is_int(handed(&again), 0, "a client with a port waits for the last one");
  (void) release_port(&b, second);
  ok(handed(&again) > 0, "... until two are free");
  (void) release_port(&a, first);
  is_sound("... and all is sound");
}

static void test_leaving(void) {
  static struct session holder, waits[3];
  int port, got;

  fresh("30000");
  enrol(&holder, 9);
  port = claim_port(&holder);
  for (int i = 0; i < 3; i++) {
    join(&waits[i], (uint64_t) i + 1);
  }
  is_int(natpasv_queue_leave(&waits[1].lessee), 0, "one leaves the queue");
  is_int(natpasv_queue_waiting(map, key), 2, "... and two wait");
  is_sound("... and all is sound");
  (void) release_port(&holder, port);
  is_int(natpasv_queue_leave(&waits[0].lessee), 30000,
    "one leaves that was handed a port: it has it");
  (void) release_port(&waits[0], 30000);
  got = handed(&waits[2]);
  is_int(got, 30000, "... and gives it to the next");
  is_int(natpasv_queue_leave(&waits[2].lessee), 0, "... once");
  is_sound("... and all is sound");
}

/* Two sets of ports that overlap, as after a reload. */
static void test_sets(void) {
  static struct natpasv_ports others;
  static struct session a, b, old, new;
  int port;

  fresh("30000-30004");
  enrol(&a, 1);
  a.lessee.any = true;
  for (int i = 0; i < 5; i++) {
    (void) claim_port(&a);
  }
  join(&old, 2);
  natpasv_ports_parse(&others, "30004-30005", 1024);
  enrol(&b, 3);
  b.lessee.ports = &others;
  b.lessee.key = natpasv_ports_key(&others);
  port = claim_port(&b);
  is_int(port, 30005,
    "a pool of other ports does not wait behind the queue of these");
  enrol(&new, 4);
  new.lessee.ports = &others;
  new.lessee.key = b.lessee.key;
  is_int(natpasv_queue_join(&new.lessee), 0, "... but for its own");
  (void) release_port(&a, 30003);
  is_int(handed(&old), 30003, "a port goes to who waits for it");
  is_int(handed(&new), 0, "... not to who cannot use it");
  (void) release_port(&a, 30004);
  is_int(handed(&new), 30004, "one that is in both, to whoever waits");
  is_sound("... and all is sound");

  natpasv_ports_parse(&others, "30000-30001,30002-30004", 1024);
  ok(natpasv_ports_key(&others) == key, "the same ports are the same queue, "
                                        "however they are written");
}

static void test_many_sets(void) {
  static struct natpasv_ports each[NATPASV_SETS + 10];
  static struct session s[NATPASV_SETS + 10];
  int claimed = 0, full = 0;

  fresh("30000");
  for (int i = 0; i < NATPASV_SETS + 10; i++) {
    char text[16];

    snprintf(text, sizeof(text), "%d", 20000 + i);
    natpasv_ports_parse(&each[i], text, 1024);
    enrol(&s[i], 1);
    s[i].lessee.ports = &each[i];
    s[i].lessee.key = natpasv_ports_key(&each[i]);
    claimed += claim_port(&s[i]) == 20000 + i;
    full += errno == ENOSPC;
  }
  is_int(
    claimed, NATPASV_SETS - 1, "as many pools in use as there is room for");
  is_int(full, 11, "... and what is too many is said to be so");
  (void) release_port(&s[5], 20005);
  is_int(claim_port(&s[NATPASV_SETS + 5]), 20000 + NATPASV_SETS + 5,
    "one that is no longer used makes room");
  is_sound("... and all is sound");
}

static void test_damaged_sets(void) {
  static struct session before, s;
  int port;

  fresh("30000-30001");
  enrol(&before, 1);
  port = claim_port(&before);
  memset(map->set, 0x5a, sizeof(map->set));
  enrol(&s, 2);
  ok(claim_port(&s) > 0, "a pool that damage left no room for has its room");
  (void) release_port(&before, port);
  memset(map->set, 0x5a, sizeof(map->set));
  map->spare_guest = 0;
  map->last_guest = NATPASV_GUESTS - 1;
  ok(natpasv_queue_join(&before.lessee) > 0, "... and so does a client");
}

/* Also where time_t is longer than a long. */
static void test_nap(void) {
  static struct session holder, waits;
  uint64_t began;
  int port;

  fresh("30000");
  enrol(&holder, 1);
  port = claim_port(&holder);
  join(&waits, 2);
  began = natpasv_now_ms();
  is_int(natpasv_queue_wait(&waits.lessee, 700), 0, "nothing comes");
  ok(natpasv_now_ms() - began >= 690, "... in 700 ms, which is %d ms",
    (int) (natpasv_now_ms() - began));
  (void) release_port(&holder, port);
}

static void interrupt(int signo) {
  (void) signo;
  natpasv_futex_interrupt();
}

/* How long a sleep of ten seconds lasts, in milliseconds. */
static int sleep_ms(_Atomic uint32_t *word) {
  uint64_t began = natpasv_now_ms();

  natpasv_futex_nap(word, 0, 10000);
  return (int) (natpasv_now_ms() - began);
}

/* A signal that comes at any time after natpasv_futex_attend(). */
static void test_interrupted_nap(void) {
  struct sigaction action = { .sa_handler = interrupt }, before;
  _Atomic uint32_t *word = share(sizeof(*word));
  int longest = 0, took;
  pid_t parent = getpid(), pid;

  (void) sigaction(SIGIO, &action, &before);
  natpasv_futex_attend();
  (void) raise(SIGIO);
  took = sleep_ms(word);
  ok(took < 2000, "a signal before the sleep ends it: %d ms", took);

  natpasv_futex_attend();
  natpasv_futex_nap(word, 1, 10500);
  ok(nap.tv_sec == 10 && nap.tv_nsec == 500000000,
    "a sleep has a time limit, also one on a word that has changed");
  (void) raise(SIGIO);
  ok(nap.tv_sec == 0 && nap.tv_nsec == 0,
    "... which a signal that comes just before the system call makes zero");

  natpasv_futex_attend();
  pid = fork();
  if (pid == 0) {
    (void) usleep(100000);
    (void) kill(parent, SIGIO);
    _exit(0);
  }
  took = sleep_ms(word);
  ok(took >= 90 && took < 2000,
    "one before that counts no more, one during the sleep ends it: %d ms",
    took);
  (void) waitpid(pid, NULL, 0);

  for (int i = 0; i < 500 && longest < 2000; i++) {
    natpasv_futex_attend();
    pid = fork();
    if (pid == 0) {
      for (volatile int spin = 0; spin < i * 20; spin++) {
      }
      (void) kill(parent, SIGIO);
      _exit(0);
    }
    took = sleep_ms(word);
    longest = took > longest ? took : longest;
    (void) waitpid(pid, NULL, 0);
  }
  ok(longest < 2000, "none of 500 is lost: %d ms", longest);
  (void) sigaction(SIGIO, &before, NULL);
  natpasv_futex_attend();
}

/* How long sessions sleep while so many wait. */
static void test_naps(void) {
  static struct session waits[2000];
  static const struct {
    int waiting;
    unsigned int longest;
  } cases[] = { { 1, 120 }, { 10, 300 }, { 100, 2100 }, { 999, 20080 },
    { 2000, 20100 } };
  int n = 0;

  fresh("30000");
  enrol(&waits[0], 1);
  (void) claim_port(&waits[0]);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    unsigned int shortest = UINT32_MAX, longest = 0;
    double sum = 0;

    while (n < cases[i].waiting) {
      join(&waits[n], (uint64_t) n + 2);
      n++;
    }
    for (int j = 0; j < 10000; j++) {
      unsigned int nap = natpasv_queue_nap(&waits[0].lessee);

      shortest = nap < shortest ? nap : shortest;
      longest = nap > longest ? nap : longest;
      sum += nap;
    }
    ok(shortest >= 100 && longest <= cases[i].longest &&
         longest - shortest > (cases[i].longest - 100) * 0.95,
      "%d wait: they sleep for %u to %u ms", n, shortest, longest);
    /* 198 with 2,000, give or take one: it is chance. */
    ok(n / (sum / 10000 / 1000) <= 210, "... %.0f look in a second",
      n / (sum / 10000 / 1000));
  }
}

static void test_full_table(void) {
  static struct session last;
  static struct natpasv_table tables[NATPASV_OWNERS];
  int enrolled = 0;

  fresh("30000-30009");
  for (int i = 0; i < NATPASV_OWNERS - 1; i++) {
    struct natpasv_lessee lessee = { .table = &tables[i], .client = 1 };

    tables[i] = (struct natpasv_table){ .map = map, .fd = -1 };
    enrolled += natpasv_queue_enrol(&lessee) == 0;
  }
  is_int(
    enrolled, NATPASV_OWNERS - 1, "the table has a place for 16,383 sessions");
  last.table = (struct natpasv_table){ .map = map, .fd = -1 };
  last.lessee = (struct natpasv_lessee){ .table = &last.table, .client = 2 };
  ok(natpasv_queue_enrol(&last.lessee) < 0 && errno == ENOSPC,
    "one more has none");
  ok(natpasv_queue_enrol(&last.lessee) < 0 && errno == ENOSPC,
    "... nor when it asks again: no half of a place is left over");
  natpasv_table_leave(&tables[5000]);
  is_int(natpasv_queue_enrol(&last.lessee), 0, "one leaves: there is a place");
  is_sound("... and all is sound");
}

static void wait_there(void *what) {
  static struct session s;

  join(&s, (uint64_t) (uintptr_t) what);
}

static void test_killed_waiters(void) {
  static struct session holder, last;
  pid_t pid[3];
  int port;

  fresh("30000");
  enrol(&holder, 9);
  port = claim_port(&holder);
  for (uintptr_t i = 0; i < 3; i++) {
    pid[i] = start(wait_there, (void *) (i + 1));
  }
  join(&last, 5);
  is_int(natpasv_queue_waiting(map, key), 4, "four wait");
  for (int i = 0; i < 3; i++) {
    end(pid[i]);
  }
  (void) release_port(&holder, port);
  is_int(handed(&last), 30000,
    "the first three are killed: the fourth has the port at once");
  (void) natpasv_queue_sweep(&holder.lessee);
  is_sound("... and all is sound");
}

static void test_stopped_waiter(void) {
  static struct session holder, next;
  uint64_t begin = natpasv_now_ms();
  pid_t pid;
  int port, got = 0;

  fresh("30000");
  enrol(&holder, 9);
  port = claim_port(&holder);
  pid = start(wait_there, (void *) 1);
  (void) kill(pid, SIGSTOP);
  join(&next, 5);
  (void) release_port(&holder, port);
  is_int(handed(&next), 0, "a port is handed to a session that is stopped");
  while (got == 0 && natpasv_now_ms() - begin < 5000) {
    got = (int) natpasv_queue_wait(&next.lessee, 50);
  }
  is_int(got, 30000, "... and to the next one after a moment (%d ms)",
    (int) (natpasv_now_ms() - begin));
  is_sound("... and all is sound");
  end(pid);
}

static void test_lost_turn(void) {
  static struct session holder, slow;
  int port;

  fresh("30000");
  enrol(&holder, 9);
  port = claim_port(&holder);
  join(&slow, 1);
  (void) release_port(&holder, port);
  map->owner[slow.table.self].handed_ms -= MOMENT_MS;
  is_int(claim_port(&holder), 30000,
    "a port that is not taken in time is somebody else's");
  ok(
    handed(&slow) == 0 && errno == ESTALE, "... and who comes late is told so");
  is_int(natpasv_queue_join(&slow.lessee), 0, "... and may wait again");
  (void) release_port(&holder, port);
  is_int(handed(&slow), 30000, "... for its port");
}

int main(void) {
  test_fair_share();
  test_fair_after_kill();
  test_order();
  test_turns();
  test_reserved();
  test_leaving();
  test_sets();
  test_many_sets();
  test_damaged_sets();
  test_nap();
  test_interrupted_nap();
  test_naps();
  test_full_table();
  test_killed_waiters();
  test_stopped_waiter();
  test_lost_turn();
  return done_testing();
}
