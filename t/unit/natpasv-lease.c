/*
 * The leases: every port equally likely, the quarantine, strangers, and
 * processes that claim, release and die.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-table.h"

static void test_claims(void) {
  static struct session one;
  int port[300], distinct = 0, inside = 0;
  static char seen[65536];

  fresh("30000-30199,31000-31099");
  enrol(&one, 1);
  one.lessee.any = true;

  for (int i = 0; i < 300; i++) {
    port[i] = claim_port(&one);
    inside += natpasv_ports_have(&ports, (unsigned int) port[i]);
    distinct += !seen[port[i]]++;
  }
  is_int(inside, 300, "300 claims of a pool of 300 are all inside");
  is_int(distinct, 300, "... and no port twice");
  ok(claim_port(&one) == 0 && errno == EBUSY, "the 301st is refused");
  is_int(one.lessee.left, 0, "... and none is left");
  is_int(natpasv_queue_sweep(&one.lessee), 0,
    "a sweep takes nothing from the living");
  is_sound("... and all is sound");

  is_int(release_port(&one, port[17]), 0, "one comes back");
  is_int(claim_port(&one), port[17], "... and is the one that is claimed next");
  is_int(release_port(&one, 30000), 0, "a port");
  ok(release_port(&one, 30000) < 0 && errno == ESTALE,
    "cannot be given back twice");
  ok(release_port(&one, 40000) < 0, "nor one that nobody has");
}

/* Chi-square of the ports that are free, and of the steps from one to the
 * next. */
struct spread {
  double ports, steps;
};

static double chi_square(
  const unsigned int *count, unsigned int cells, double all) {
  double expected = all / cells, chi = 0;

  for (unsigned int i = 0; i < cells; i++) {
    chi += (count[i] - expected) * (count[i] - expected) / expected;
  }
  return chi;
}

static struct spread measure(
  const char *text, unsigned int taken, unsigned int grants) {
  static struct session one;
  static unsigned int count[65536], step[65536], cell[65536];
  unsigned int cells = 0, former = 0;
  struct spread spread;

  fresh(text);
  enrol(&one, 1);
  one.lessee.any = true;
  memset(count, 0, sizeof(count));
  memset(step, 0, sizeof(step));
  for (unsigned int i = 0; i < taken; i++) {
    (void) claim_port(&one);
  }
  for (unsigned int i = 0; i < 65536; i++) {
    if (natpasv_ports_have(&ports, i) && map->port[i].owner == 0) {
      cell[i] = cells++;
    }
  }

  for (unsigned int i = 0; i < grants; i++) {
    int port = claim_port(&one);

    count[cell[port]]++;
    step[(cell[port] + cells - former) % cells]++;
    former = cell[port];
    (void) release_port(&one, port);
  }

  spread.ports = chi_square(count, cells, grants);
  spread.steps = chi_square(step, cells, grants);
  return spread;
}

static double middle(double a, double b, double c) {
  double low = a < b ? a : b, high = a < b ? b : a;

  return c < low ? low : c > high ? high : c;
}

/* One in a thousand samples is outside by nature: the median of three. */
static void test_uniform(
  const char *text, unsigned int taken, unsigned int grants, double bound) {
  struct spread a = measure(text, taken, grants),
                b = measure(text, taken, grants),
                c = measure(text, taken, grants);
  double ports = middle(a.ports, b.ports, c.ports),
         steps = middle(a.steps, b.steps, c.steps);

  ok(ports < bound,
    "%u grants from %s with %u taken: chi-square %.1f is below %.1f", grants,
    text, taken, ports, bound);
  ok(steps < bound,
    "... and of the steps from one to the next %.1f: a port does not tell the "
    "next",
    steps);
}

static void test_quarantine(void) {
  static struct session one, two;
  char seen[65536] = { 0 };
  int port, again = 0, got = 0;

  fresh("30000-30099");
  enrol(&one, 1);
  enrol(&two, 2);
  one.lessee.quarantine = two.lessee.quarantine = 60;

  for (int i = 0; i < 100; i++) {
    port = claim_port(&one);
    again += seen[port]++;
    (void) release_port(&one, port);
  }
  is_int(again, 0, "a client has each of 100 ports before one again");
  port = claim_port(&one);
  ok(port > 0, "when all are in quarantine it gets one all the same");
  (void) release_port(&one, port);

  /* As if released 61 s ago. */
  map->port[30042].since = (uint32_t) (natpasv_now_ms() / 1000 - 61);
  map->owner[one.table.self].stale = 0;
  is_int(claim_port(&one), 30042,
    "the one whose quarantine is over comes first");
  (void) release_port(&one, 30042);

  memset(seen, 0, sizeof(seen));
  for (int i = 0; i < 50; i++) {
    port = claim_port(&two);
    got += port > 0 && !seen[port]++;
    (void) release_port(&two, port);
  }
  is_int(got, 50, "for another client they are not in quarantine");
  again = 0;
  for (int i = 0; i < 50; i++) {
    port = claim_port(&one);
    again += seen[port];
    (void) release_port(&one, port);
  }
  is_int(again, 50, "a port is in quarantine for the client that had it last");
}

static void test_quarantine_of_many(void) {
  static struct session one;
  static char seen[65536];
  int again = 0;

  fresh("5000-64999");
  enrol(&one, 1);
  one.lessee.quarantine = 60;
  for (int i = 0; i < 2000; i++) {
    int port = claim_port(&one);

    again += seen[port]++;
    (void) release_port(&one, port);
  }
  is_int(again, 0, "a client has 2,000 of 60,000 ports and none of them twice");
}

static void hold_three(void *what) {
  static struct session s;

  (void) what;
  enrol(&s, (uint64_t) getpid());
  s.lessee.any = true;
  for (int i = 0; i < 3; i++) {
    (void) claim_port(&s);
  }
}

static void test_killed(void) {
  static struct session one;
  pid_t pid[100];
  int claimed = 0;
  uint64_t begin, took;

  fresh("30000-30299");
  enrol(&one, 1);
  one.lessee.any = true;
  for (int i = 0; i < 100; i++) {
    pid[i] = start(hold_three, NULL);
  }
  is_int(free_ports(), 0, "100 sessions hold 300 ports");
  is_int(natpasv_queue_sweep(&one.lessee), 0, "a sweep takes nothing from them");
  for (int i = 0; i < 100; i++) {
    end(pid[i]);
  }
  is_int(free_ports(), 0, "they are killed");
  begin = natpasv_now_ms();
  for (int i = 0; i < 300; i++) {
    claimed += claim_port(&one) > 0;
  }
  took = natpasv_now_ms() - begin;
  is_int(claimed, 300, "... and all are granted again, at once (%lu ms)",
    (unsigned long) took);
  is_sound("... and all is sound");
  is_int(map->owner[50].pid, 0, "their places are free");

  /* The place is taken by another one before anybody has swept. */
  fresh("30000-30002");
  pid[0] = start(hold_three, NULL);
  end(pid[0]);
  is_int(free_ports(), 0, "a session with three ports is killed");
  map->free_owner = 0;
  enrol(&one, 1);
  is_int(free_ports(), 3, "who takes its place does not take its ports");
  is_sound("... and all is sound");
}

static void test_sweep_cost(void) {
  static struct session one;
  static pid_t pid[300];
  uint64_t best = UINT64_MAX;

  fresh("5000-64999");
  enrol(&one, 1);
  one.lessee.any = true;
  for (int i = 0; i < 3000 - 3 * 300; i++) {
    (void) claim_port(&one);
  }
  for (int i = 0; i < 300; i++) {
    pid[i] = start(hold_three, NULL);
  }
  for (int i = 0; i < 20; i++) {
    struct timespec a, b;
    uint64_t took;

    map->swept_ms = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    (void) natpasv_queue_sweep(&one.lessee);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    took = (uint64_t) ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec -
                       a.tv_nsec);
    best = took < best ? took : best;
  }
  ok(best < 2000000,
    "a sweep of 60,000 ports with 3,000 leases takes %.3f ms of processor",
    (double) best / 1e6);
  for (int i = 0; i < 300; i++) {
    end(pid[i]);
  }
}

static void run_wild(void) {
  static struct session s;

  enrol(&s, (uint64_t) getpid() % 3);
  s.lessee.any = getpid() % 2 == 0;
  for (;;) {
    int port = getpid() % 5 == 0 ? (int) natpasv_queue_join(&s.lessee)
                                 : claim_port(&s);

    if (port == 0 && getpid() % 5 == 0) {
      port = (int) natpasv_queue_wait(&s.lessee, 1);
      if (port == 0) {
        port = (int) natpasv_queue_leave(&s.lessee);
      }
    }
    if (port > 0) {
      (void) release_port(&s, port);
    } else {
      (void) natpasv_queue_sweep(&s.lessee);
    }
  }
}

static void test_killed_anywhere(void) {
  static struct session one;
  int round, whole = 0, sound = 0;

  fresh("30000-30003");
  for (round = 0; round < 300; round++) {
    pid_t pid[5];
    int got = 0;

    for (int i = 0; i < 5; i++) {
      pid[i] = fork();
      if (pid[i] == 0) {
        run_wild();
      }
    }
    (void) usleep((useconds_t) (1000 + random() % 2000));
    for (int i = 0; i < 5; i++) {
      (void) kill(pid[i], SIGKILL);
    }
    for (int i = 0; i < 5; i++) {
      (void) waitpid(pid[i], NULL, 0);
    }

    enrol(&one, 1);
    one.lessee.any = true;
    (void) natpasv_queue_sweep(&one.lessee);
    sound += unsound() == NULL;
    for (int i = 0; i < 4; i++) {
      got += claim_port(&one) > 0;
    }
    whole += got == 4;
    for (int i = 30000; i < 30004; i++) {
      (void) release_port(&one, i);
    }
  }
  is_int(whole, 300,
    "five sessions killed anywhere, 300 times: no port of four is lost");
  is_int(sound, 300, "... and each time all is sound after one sweep");
}

/* Half done, as whoever is killed with the lock leaves it. */
static void leave_half_done(void *what) {
  static struct session s;

  (void) what;
  enrol(&s, 7);
  (void) claim_port(&s);
  (void) natpasv_table_lock(&s.table);
  map->taken[natpasv_word(30001)] |= natpasv_bit(30001);
  map->port[30002].owner = s.table.self;
  map->bucket[5] = 9;
  map->set[s.lessee.set].guests += 3;
  map->last_guest += 7;
}

static void test_lock(void) {
  static struct session one;
  uint64_t begin;
  pid_t pid;

  fresh("30000-30009");
  enrol(&one, 1);
  one.lessee.any = true;
  pid = start(leave_half_done, NULL);
  end(pid);
  begin = natpasv_now_ms();
  ok(claim_port(&one) > 0, "a session is killed with the lock: the next goes on");
  ok(natpasv_now_ms() - begin < 500, "... soon");
  is_sound("... and has put right what was half done");
  is_int(free_ports(), 9, "... without a port lost");

  pid = start(leave_half_done, NULL);
  (void) kill(pid, SIGSTOP);
  begin = natpasv_now_ms();
  ok(claim_port(&one) > 0, "a session is stopped with the lock: others go on");
  ok(natpasv_now_ms() - begin >= PATIENCE_MS, "... after a second");
  is_sound("... and all is sound");
  end(pid);
}

static void claim_many(_Atomic int *owners) {
  static struct session s;

  enrol(&s, (uint64_t) getpid());
  s.lessee.quarantine = 60;
  for (int i = 0; i < 20000; i++) {
    int port = claim_port(&s);

    if (port > 0) {
      if (atomic_fetch_add(&owners[port], 1) != 0) {
        owners[0]++;
      }
      atomic_fetch_sub(&owners[port], 1);
      (void) release_port(&s, port);
    }
  }
}

static void test_race(void) {
  _Atomic int *owners = share(65536 * sizeof(*owners));

  fresh("30000-30004");
  for (int i = 0; i < 8; i++) {
    if (fork() == 0) {
      claim_many(owners);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }
  is_int(owners[0], 0, "8 sessions, 160,000 claims of 5 ports: no port twice");
  is_sound("... and all is sound");
}

/* As many sessions as ports, each with one port at most: there is always one
 * for who asks, so each refusal is untrue. */
static void never_refused(_Atomic unsigned int *refused) {
  static struct session s;

  enrol(&s, (uint64_t) getpid());
  for (int i = 0; i < 100000; i++) {
    int port = (int) natpasv_queue_claim(&s.lessee, false);

    if (port == 0) {
      atomic_fetch_add(refused, 1);
    } else {
      (void) release_port(&s, port);
    }
  }
}

static void test_refusals(const char *text, int sessions) {
  _Atomic unsigned int *refused = share(sizeof(*refused));

  fresh(text);
  for (int i = 0; i < sessions; i++) {
    if (fork() == 0) {
      never_refused(refused);
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }
  is_int(*refused, 0,
    "%d sessions, each with a port of %s at most, claim 100,000 times each: "
    "none is refused",
    sessions, text);
}

static void test_strangers(void) {
  static struct session one;
  int port;

  fresh("30000");
  enrol(&one, 1);
  port = claim_port(&one);
  natpasv_queue_stranger(&one.lessee, (unsigned int) port);
  is_int(map->port[30000].owner, NATPASV_STRANGER,
    "a port with a stranger on it is known as such");
  is_int(claim_port(&one), 0, "... and not given");
  map->port[30000].since -= NATPASV_STRANGER_S + 1;
  is_int(claim_port(&one), 30000, "... for a moment, and then tried again");
  natpasv_queue_stranger(&one.lessee, 30000);
  map->port[30000].since += 1000;
  is_int(claim_port(&one), 30000,
    "a time in the future, from damage, does not keep it");
  is_sound("... and all is sound");
}

/* Each count by blocks against one port by port. */
static void test_counting(void) {
  static const char *const texts[] = { "1024-65535", "30000", "31743-31744",
    "30719-30720,32767,32768,65535", "1024,2047,2048,3071-4096" };
  static struct session s;
  int wrong = 0;

  for (int i = 0; i < 5; i++) {
    fresh(texts[i]);
    enrol(&s, 1);
    s.lessee.any = true;
    (void) claim_port(&s);
    for (int j = 0; j < 2000; j++) {
      unsigned int port = 1024 + (unsigned int) random() % 64512;

      mark(map, port, random() % 3 != 0);
      map->port[port].owner = (map->taken[natpasv_word(port)] &
                                natpasv_bit(port)) != 0
                                ? NATPASV_STRANGER
                                : 0;
      map->port[port].since = UINT32_MAX;
      wrong += natpasv_lease_free(map, &map->set[s.lessee.set]) != free_ports();
      if (j > 40 && ports.count > 1000) {
        break;
      }
    }
  }
  is_int(wrong, 0, "free ports are counted as they are, whatever the ranges");
}

/* Numbers of which the parent has drawn some before. */
static void test_forked_numbers(void) {
  uint32_t *drawn = share(3 * sizeof(*drawn));

  (void) natpasv_random(UINT32_MAX, &drawn[2]);
  for (int i = 0; i < 2; i++) {
    pid_t pid = fork();

    if (pid == 0) {
      (void) natpasv_random(UINT32_MAX, &drawn[i]);
      _exit(0);
    }
    (void) waitpid(pid, NULL, 0);
  }
  (void) natpasv_random(UINT32_MAX, &drawn[2]);
  ok(drawn[0] != drawn[1] && drawn[0] != drawn[2] && drawn[1] != drawn[2],
    "processes that are forked draw other numbers");
}

int main(void) {
  test_counting();
  test_forked_numbers();
  test_claims();
  test_uniform("30000-30299", 0, 100000, 378.6);    /* 299 degrees, 99.9 % */
  test_uniform("30000-30299", 200, 100000, 148.2);  /* 99 */
  test_uniform("30000-30040,40000-40009", 0, 100000, 86.7); /* 50 */
  test_uniform("5000-64999", 54000, 100000, 6343.2); /* 5,999 */
  test_quarantine();
  test_quarantine_of_many();
  test_killed();
  test_sweep_cost();
  test_killed_anywhere();
  test_lock();
  test_race();
  test_refusals("30000-30003", 4);
  test_refusals("30000,30064,30128,30192", 4);
  test_refusals("1024,65535", 2);
  test_strangers();
  return done_testing();
}
