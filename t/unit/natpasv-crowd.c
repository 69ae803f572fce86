/*
 * The queue with many processes in it: what a grant costs, and what is left
 * when they are killed. Thousands with LONG.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-table.h"

/* Nanoseconds of processor that this process has had. */
static uint64_t processor_ns(void) {
  struct timespec now;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

/* Many processes that do the same again and again, and say how much of the
 * processor that took. */
struct crowd {
  _Atomic uint32_t go;
  _Atomic int ready;
  _Atomic int refused;
  _Atomic uint64_t ns;
  _Atomic int served;
  _Atomic uint32_t word[2000];
};

static void wait_for_others(struct crowd *crowd) {
  (void) atomic_fetch_add(&crowd->ready, 1);
  while (atomic_load(&crowd->go) == 0) {
    natpasv_futex_wait(&crowd->go, 0, 1000);
  }
}

static void let_go(struct crowd *crowd, int processes) {
  while (crowd->ready < processes) {
    (void) usleep(10000);
  }
  crowd->go = 1;
  for (int i = 0; i < processes; i++) {
    natpasv_futex_wake(&crowd->go);
  }
}

/* Wants a port, and gives it back at once. */
static void want(struct crowd *crowd, struct session *s) {
  int port = (int) natpasv_queue_join(&s->lessee);
  uint64_t end = natpasv_now_ms() + 60000;

  while (port == 0 && natpasv_now_ms() < end) {
    port = (int) natpasv_queue_wait(&s->lessee, natpasv_queue_nap(&s->lessee));
    if (port == 0 && errno == ESTALE) {
      port = (int) natpasv_queue_join(&s->lessee);
    }
  }
  if (port > 0) {
    (void) atomic_fetch_add(&crowd->served, 1);
    (void) release_port(s, port);
  } else {
    (void) atomic_fetch_add(&crowd->refused, 1);
  }
}

/* The first time, all come at once and touch their pages: that is not what is
 * measured. */
static void want_often(struct crowd *crowd, uint64_t client, int times) {
  static struct session s;
  uint64_t began;

  enrol(&s, client);
  wait_for_others(crowd);
  want(crowd, &s);
  began = processor_ns();
  for (int i = 1; i < times; i++) {
    want(crowd, &s);
  }
  (void) atomic_fetch_add(&crowd->ns, processor_ns() - began);
}

/* Milliseconds of processor a grant. */
static double crowd_ms(int sessions, int times) {
  struct crowd *crowd = share(sizeof(*crowd));
  static struct session holder;
  int port[10];

  fresh("30000-30009");
  enrol(&holder, UINT64_MAX);
  holder.lessee.any = true;
  for (int i = 0; i < 10; i++) {
    port[i] = claim_port(&holder);
  }
  for (int i = 0; i < sessions; i++) {
    if (fork() == 0) {
      want_often(crowd, (uint64_t) i, times);
      _exit(0);
    }
  }
  let_go(crowd, sessions);
  while (natpasv_queue_waiting(map, key) < (uint32_t) sessions) {
    (void) usleep(10000);
  }
  for (int i = 0; i < 10; i++) {
    (void) release_port(&holder, port[i]);
  }
  while (wait(NULL) > 0) {
  }
  is_int(crowd->served, sessions * times,
    "%d sessions wait for 10 ports, %d times each: all are served", sessions,
    times);
  is_int(crowd->refused, 0, "... nobody waits in vain");
  (void) natpasv_queue_sweep(&holder.lessee);
  is_sound("... and all is sound");
  return (double) crowd->ns / (sessions * (times - 1)) / 1e6;
}

/* Sleeps, and wakes the tenth after it. */
static void wake_often(
  struct crowd *crowd, int self, int processes, int times) {
  _Atomic uint32_t *own = &crowd->word[self],
                   *other = &crowd->word[(self + 10) % processes];
  uint64_t began = 0;

  wait_for_others(crowd);
  for (int i = 0; i < times; i++) {
    if (i == 1) {
      began = processor_ns();
    }
    while (atomic_exchange(own, 0) == 0) {
      natpasv_futex_wait(own, 0, 60000);
    }
    atomic_store(other, 1);
    natpasv_futex_wake(other);
  }
  (void) atomic_fetch_add(&crowd->ns, processor_ns() - began);
}

/* What the kernel takes for as many processes that only wake one another: the
 * more there are, the less of each is still in the processor's caches. */
static double wake_ms(int processes, int times) {
  struct crowd *crowd = share(sizeof(*crowd));

  for (int i = 0; i < processes; i++) {
    if (fork() == 0) {
      wake_often(crowd, i, processes, times);
      _exit(0);
    }
  }
  let_go(crowd, processes);
  for (int i = 0; i < 10; i++) {
    atomic_store(&crowd->word[i], 1);
    natpasv_futex_wake(&crowd->word[i]);
  }
  while (wait(NULL) > 0) {
  }
  return (double) crowd->ns / (processes * (times - 1)) / 1e6;
}

/* A thousand processes keep a small machine busy for minutes. */
static bool is_long(void) {
  const char *value = getenv("LONG");

  return value != NULL && *value != '\0';
}

static void test_crowds(void) {
  static const int sizes[] = { 100, 500, 1000, 2000 };
  int n = is_long() ? 4 : 1;
  double most = 0, ratio[4];

  for (int i = 0; i < n; i++) {
    int times = sizes[i] < 1000 ? 100 : 40;
    double ms = crowd_ms(sizes[i], times), bare = wake_ms(sizes[i], times);

    printf("# %d waiters: %.4f ms of processor a grant, %.4f ms a bare wake\n",
      sizes[i], ms, bare);
    most = ms > most ? ms : most;
    ratio[i] = ms / bare;
  }
  ok(most <= 0.1, "a grant takes at most %.4f ms of processor", most);
  if (n > 1) {
    ok(ratio[n - 1] <= 2 * ratio[0],
      "... with %d waiters %.1f times a bare wake, with %d %.1f times",
      sizes[0], ratio[0], sizes[n - 1], ratio[n - 1]);
  }
}

/* What it takes to give a port back while so many wait, without the sessions
 * that are woken. */
static double hand_over_us(int waiting) {
  static struct session waits[10000], holder;
  uint64_t began;
  int port;

  fresh("30000");
  enrol(&holder, UINT64_MAX);
  port = claim_port(&holder);
  for (int i = 0; i < waiting; i++) {
    join(&waits[i], (uint64_t) i % 3000);
  }
  began = processor_ns();
  (void) release_port(&holder, port);
  for (int i = 0; i < 2000; i++) {
    struct session *s = &waits[i % waiting];

    while (handed(s) == 0) {
      s = s + 1 < &waits[waiting] ? s + 1 : waits;
    }
    (void) natpasv_queue_join(&s->lessee);
    (void) release_port(s, port);
  }
  return (double) (processor_ns() - began) / 2000 / 1000;
}

static void test_size(void) {
  double few = hand_over_us(10), many = hand_over_us(10000);

  ok(many <= 2 * few + 1,
    "a port handed over takes %.1f us with 10 that wait, %.1f with 10,000", few,
    many);
}

static void be_killed(uint64_t client, _Atomic int *joined) {
  static struct session s;

  enrol(&s, client);
  for (bool first = true;; first = false) {
    int port = (int) natpasv_queue_join(&s.lessee);

    *joined += first;

    while (port == 0) {
      port = (int) natpasv_queue_wait(&s.lessee, 20);
      if (port == 0 && errno == ESTALE) {
        port = (int) natpasv_queue_join(&s.lessee);
      }
    }
    (void) usleep((useconds_t) (random() % 300));
    (void) release_port(&s, port);
  }
}

static void test_killed_crowd(void) {
  static struct session one;
  static pid_t pid[1000];
  _Atomic int *joined = share(sizeof(*joined));
  int got = 0, sessions = is_long() ? 1000 : 100;

  fresh("30000-30009");
  enrol(&one, 5000);
  one.lessee.any = true;
  for (int i = 0; i < sessions; i++) {
    pid[i] = fork();
    if (pid[i] == 0) {
      srandom((unsigned int) getpid());
      be_killed((uint64_t) i % 50, joined);
    }
  }
  while (*joined < sessions) {
    (void) usleep(1000);
  }
  for (int i = 0; i < sessions; i++) {
    (void) kill(pid[i], SIGKILL);
    if (i % 10 == 0) {
      (void) usleep(2000);
    }
  }
  while (wait(NULL) > 0) {
  }
  for (int i = 0; i < 10; i++) {
    got += claim_port(&one) > 0;
  }
  is_int(got, 10,
    "%d sessions are killed, most of them in the queue: all ten ports are there",
    sessions);
  is_int(natpasv_queue_waiting(map, key), 0, "... and nobody waits");
  is_sound("... and all is sound");
}

int main(void) {
  test_killed_crowd();
  test_size();
  test_crowds();
  return done_testing();
}
