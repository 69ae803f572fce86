/*
 * The queue with many processes in it: what a grant costs, and what is left
 * when they are killed. Thousands with LONG.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-table.h"

/* Sessions that want a port again and again, give it back at once, and say how
 * much of the processor that took. */
struct crowd {
  _Atomic int go;
  _Atomic int ready;
  _Atomic int refused;
  _Atomic uint64_t ns;
  _Atomic int served;
};

static void want(struct crowd *crowd, uint64_t client, int times) {
  static struct session s;
  struct timespec began, ended;

  enrol(&s, client);

  /* Pages that are touched for the first time are not what is measured. */
  (void) natpasv_queue_join(&s.lessee);
  (void) natpasv_queue_wait(&s.lessee, 1);
  (void) natpasv_queue_leave(&s.lessee);
  (void) atomic_fetch_add(&crowd->ready, 1);
  while (!atomic_load(&crowd->go)) {
    (void) usleep(10000);
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
  for (int i = 0; i < times; i++) {
    int port = (int) natpasv_queue_join(&s.lessee);
    uint64_t end = natpasv_now_ms() + 60000;

    while (port == 0 && natpasv_now_ms() < end) {
      port =
        (int) natpasv_queue_wait(&s.lessee, natpasv_queue_nap(&s.lessee, true));
      if (port == 0 && errno == ESTALE) {
        port = (int) natpasv_queue_join(&s.lessee);
      }
    }
    if (port > 0) {
      (void) atomic_fetch_add(&crowd->served, 1);
      (void) release_port(&s, port);
    } else {
      (void) atomic_fetch_add(&crowd->refused, 1);
    }
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
  (void) atomic_fetch_add(
    &crowd->ns, (uint64_t) ((ended.tv_sec - began.tv_sec) * 1000000000 +
                            ended.tv_nsec - began.tv_nsec));
}

static double crowd_of(int sessions) {
  struct crowd *crowd = share(sizeof(*crowd));
  static struct session holder;
  int times = sessions < 1000 ? 100 : 20, port[10];

  fresh("30000-30009");
  enrol(&holder, UINT64_MAX);
  holder.lessee.any = true;
  for (int i = 0; i < 10; i++) {
    port[i] = claim_port(&holder);
  }
  for (int i = 0; i < sessions; i++) {
    if (fork() == 0) {
      want(crowd, (uint64_t) i, times);
      _exit(0);
    }
  }
  while (crowd->ready < sessions) {
    (void) usleep(10000);
  }
  crowd->go = 1;
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
  return (double) crowd->ns / crowd->served / 1e6;
}

/* A thousand processes keep a small machine busy for minutes. */
static bool is_long(void) {
  const char *value = getenv("LONG");

  return value != NULL && *value != '\0';
}

static void test_crowds(void) {
  static const int sizes[] = { 100, 500, 1000, 2000 };
  double most = 0;

  for (int i = 0; i < (is_long() ? 4 : 1); i++) {
    double ms = crowd_of(sizes[i]);

    printf("# %d waiters: %.4f ms of processor a grant\n", sizes[i], ms);
    most = ms > most ? ms : most;
  }
  ok(most <= 0.1, "a grant takes at most %.4f ms of processor", most);
}

/* What it takes to give a port back while so many wait, without the sessions
 * that are woken. */
static double hand_over_us(int waiting) {
  static struct session waits[10000], holder;
  struct timespec began, ended;
  int port;

  fresh("30000");
  enrol(&holder, UINT64_MAX);
  port = claim_port(&holder);
  for (int i = 0; i < waiting; i++) {
    join(&waits[i], (uint64_t) i % 3000);
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
  (void) release_port(&holder, port);
  for (int i = 0; i < 2000; i++) {
    struct session *s = &waits[i % waiting];

    while (handed(s) == 0) {
      s = s + 1 < &waits[waiting] ? s + 1 : waits;
    }
    (void) natpasv_queue_join(&s->lessee);
    (void) release_port(s, port);
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
  return (double) ((ended.tv_sec - began.tv_sec) * 1000000000 + ended.tv_nsec -
                   began.tv_nsec) /
         2000 / 1000;
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
