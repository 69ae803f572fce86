/*
 * The leases, with processes that claim, release, die and damage.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/count.c"
#include "../../mod_natpasv/ports.c"
#include "../../mod_natpasv/queue.c"
#include "../../mod_natpasv/random.c"
#include "../../mod_natpasv/table.c"

/* Something that happens before lease.c reads from the table. */
static void (*meanwhile)(volatile void *) = NULL;

static void before_read(volatile void *word) {
  void (*what)(volatile void *) = meanwhile;

  meanwhile = NULL;
  if (what != NULL) {
    what(word);
  }
  meanwhile = what;
}

#undef atomic_load
#undef atomic_load_explicit
#define atomic_load(word) (before_read((void *) (word)), *(word))
#define atomic_load_explicit(word, order) atomic_load(word)
#include "../../mod_natpasv/lease.c"

#include "tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static char path[] = "/tmp/natpasv-unit-XXXXXX";

/* A session: its own mapping, its own identity. */
static void enter(struct natpasv_table *table, struct natpasv_lessee *lessee,
  uint32_t client) {
  memset(lessee, 0, sizeof(*lessee));
  lessee->table = table;
  lessee->client = client;
  if (natpasv_table_open(table, path) < 0 || natpasv_table_enrol(table) < 0) {
    printf("Bail out! %s: %s\n", path, strerror(errno));
    exit(1);
  }
}

static void fresh_table(void) {
  (void) unlink(path);
}

static pid_t start(int *go, void (*session)(void *), void *what) {
  int ready[2];
  pid_t pid;
  char byte;

  if (pipe(ready) < 0) {
    exit(1);
  }
  pid = fork();
  if (pid == 0) {
    session(what);
    (void) !write(ready[1], "x", 1);
    for (;;) {
      (void) pause();
    }
  }
  (void) close(ready[1]);
  *go = read(ready[0], &byte, 1) == 1;
  (void) close(ready[0]);
  return pid;
}

static void end(pid_t pid) {
  (void) kill(pid, SIGKILL);
  (void) waitpid(pid, NULL, 0);
}

static void test_claims(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee one;
  static struct natpasv_ports ports;
  int port[300], i, distinct = 0, inside = 0;
  char seen[65536] = { 0 };

  fresh_table();
  enter(&table, &one, 1);
  natpasv_ports_parse(&ports, "30000-30199,31000-31099", 1024);

  for (i = 0; i < 300; i++) {
    port[i] = natpasv_lease_claim(&one, &ports);
    inside += port[i] > 0 && natpasv_ports_have(&ports, (unsigned) port[i]);
    distinct += port[i] > 0 && !seen[port[i]]++;
  }
  is_int(inside, 300, "300 claims of a pool of 300 are all inside");
  is_int(distinct, 300, "... and no port twice");
  is_int(one.left, 0, "... and none is left");
  ok(natpasv_lease_claim(&one, &ports) < 0 && errno == EBUSY,
    "the 301st is refused");
  is_int(natpasv_lease_sweep(&table, &ports), 0,
    "a sweep takes nothing from the living");

  is_int(natpasv_lease_release(&one, (unsigned) port[17]), 0, "one comes back");
  is_int(natpasv_lease_claim(&one, &ports), port[17],
    "... and is the one that is claimed next");
  is_int(natpasv_lease_release(&one, 30000), 0, "a port");
  ok(natpasv_lease_release(&one, 30000) < 0 && errno == ESTALE,
    "cannot be given back twice");
  natpasv_table_close(&table);
}

/* Chi-square of the ports that are free, and of the steps from one to the
 * next. */
struct spread {
  double ports, steps;
};

static double chi_square(const unsigned *count, unsigned cells, double all) {
  double expected = all / cells, chi = 0;
  unsigned i;

  for (i = 0; i < cells; i++) {
    chi += (count[i] - expected) * (count[i] - expected) / expected;
  }
  return chi;
}

static struct spread measure(const char *text, unsigned taken,
  unsigned grants) {
  static struct natpasv_table table;
  static struct natpasv_lessee one;
  static struct natpasv_ports ports;
  static unsigned count[65536], step[65536], cell[65536];
  unsigned i, cells = 0, former = 0;
  struct spread spread;

  fresh_table();
  enter(&table, &one, 1);
  natpasv_ports_parse(&ports, text, 1024);
  memset(count, 0, sizeof(count));
  memset(step, 0, sizeof(step));
  for (i = 0; i < taken; i++) {
    (void) natpasv_lease_claim(&one, &ports);
  }
  for (i = 0; i < 65536; i++) {
    uint64_t owner;

    if (natpasv_ports_have(&ports, i) &&
      natpasv_lease_state(&table, i, &owner) == NATPASV_IS_FREE) {
      cell[i] = cells++;
    }
  }

  for (i = 0; i < grants; i++) {
    int port = natpasv_lease_claim(&one, &ports);

    count[cell[port]]++;
    step[(cell[port] + cells - former) % cells]++;
    former = cell[port];
    (void) natpasv_lease_release(&one, (unsigned) port);
  }

  spread.ports = chi_square(count, cells, grants);
  spread.steps = chi_square(step, cells, grants);
  natpasv_table_close(&table);
  return spread;
}

static double middle(double a, double b, double c) {
  double low = a < b ? a : b, high = a < b ? b : a;

  return c < low ? low : c > high ? high : c;
}

/* One in a thousand samples is outside by nature: the median of three. */
static void test_uniform(const char *text, unsigned taken, unsigned grants,
  double bound) {
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
    "next", steps);
}

static void test_quarantine(void) {
  static struct natpasv_table table, table2;
  static struct natpasv_lessee one, two;
  static struct natpasv_ports ports;
  char seen[65536] = { 0 };
  int i, again = 0, got = 0;

  fresh_table();
  enter(&table, &one, 1);
  enter(&table2, &two, 2);
  one.quarantine = two.quarantine = 60;
  natpasv_ports_parse(&ports, "30000-30099", 1024);

  for (i = 0; i < 100; i++) {
    int port = natpasv_lease_claim(&one, &ports);

    again += seen[port]++;
    (void) natpasv_lease_release(&one, (unsigned) port);
  }
  is_int(again, 0, "a client has each of 100 ports before one again");
  ok((i = natpasv_lease_claim(&one, &ports)) > 0,
    "when all are in quarantine it gets one all the same");
  (void) natpasv_lease_release(&one, (unsigned) i);

  /* As if released 61 s ago. */
  table.map->recent[30042] =
    (uint64_t) 1 << 32 | (uint32_t) (natpasv_now_ms() / 1000 - 61);
  one.second = 0;
  is_int(natpasv_lease_claim(&one, &ports), 30042,
    "the one whose quarantine is over comes first");
  (void) natpasv_lease_release(&one, 30042);

  memset(seen, 0, sizeof(seen));
  for (i = 0; i < 50; i++) {
    int port = natpasv_lease_claim(&two, &ports);

    got += port > 0 && !seen[port]++;
    (void) natpasv_lease_release(&two, (unsigned) port);
  }
  is_int(got, 50, "for another client they are not in quarantine");
  natpasv_table_close(&table);
  natpasv_table_close(&table2);
}

/* There a port is drawn first and looked at then. */
static void test_quarantine_of_many(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee one;
  static struct natpasv_ports ports;
  static char seen[65536];
  int i, again = 0;

  fresh_table();
  enter(&table, &one, 1);
  one.quarantine = 60;
  natpasv_ports_parse(&ports, "5000-64999", 1024);

  for (i = 0; i < 2000; i++) {
    int port;

    if (i % 100 == 0) {
      one.second = 0;
    }
    port = natpasv_lease_claim(&one, &ports);
    again += seen[port]++;
    (void) natpasv_lease_release(&one, (unsigned) port);
  }
  is_int(again, 0, "a client has 2,000 of 60,000 ports and none of them twice");
  natpasv_table_close(&table);
}

static struct natpasv_ports shared_ports;

static void hold_three(void *what) {
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;
  int i;

  (void) what;
  enter(&table, &lessee, (uint32_t) getpid());
  for (i = 0; i < 3; i++) {
    (void) natpasv_lease_claim(&lessee, &shared_ports);
  }
}

static void test_killed(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee one;
  pid_t pid[100];
  int i, started = 0, claimed = 0, ready;
  uint64_t owner, dead;

  fresh_table();
  enter(&table, &one, 1);
  natpasv_ports_parse(&shared_ports, "30000-30299", 1024);
  for (i = 0; i < 100; i++) {
    pid[i] = start(&ready, hold_three, NULL);
    started += ready;
  }
  is_int(started, 100, "100 sessions");
  is_int(natpasv_lease_free(&table, &shared_ports), 0, "... hold 300 ports");
  is_int(natpasv_lease_sweep(&table, &shared_ports), 0,
    "a sweep takes nothing from them");
  (void) natpasv_lease_state(&table, 30000, &dead);
  for (i = 0; i < 100; i++) {
    end(pid[i]);
  }
  ok(natpasv_lease_claim(&one, &shared_ports) < 0, "they are killed");
  is_int(natpasv_table_alive(&table, dead), 0, "the table knows that");
  is_int(natpasv_lease_sweep(&table, &shared_ports), 300,
    "a sweep takes all back");
  for (i = 0; i < 300; i++) {
    claimed += natpasv_lease_claim(&one, &shared_ports) > 0;
  }
  is_int(claimed, 300, "and all are granted again");

  /* A stranger with the dead session's number: the owner is who holds the
   * lock, not who has the process id. */
  ok((uint32_t) dead != 0 && natpasv_lease_state(&table, 30000, &owner) ==
      NATPASV_IS_LEASED && owner == table.self, "by their new owner");
  table.map->owner[30000] =
    (uint64_t) 12345 << 32 | (uint32_t) getppid(); /* alive, not a session */
  is_int(natpasv_lease_sweep(&table, &shared_ports), 1,
    "a process id that is used again keeps no lease alive");
  natpasv_table_close(&table);
}

static void run_wild(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;

  enter(&table, &lessee, (uint32_t) getpid());
  for (;;) {
    int port = natpasv_lease_claim(&lessee, &shared_ports);

    if (port > 0) {
      (void) natpasv_lease_release(&lessee, (unsigned) port);
    } else {
      (void) natpasv_lease_sweep(&table, &shared_ports);
    }
  }
}

static void test_killed_anywhere(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee one;
  int round, whole = 0;

  fresh_table();
  enter(&table, &one, 1);
  natpasv_ports_parse(&shared_ports, "30000-30003", 1024);

  for (round = 0; round < 200; round++) {
    pid_t pid[3];
    int i, got = 0;

    for (i = 0; i < 3; i++) {
      pid[i] = fork();
      if (pid[i] == 0) {
        run_wild();
      }
    }
    (void) usleep((useconds_t) (1000 + random() % 2000));
    for (i = 0; i < 3; i++) {
      end(pid[i]);
    }

    (void) natpasv_lease_sweep(&table, &shared_ports);
    for (i = 0; i < 4; i++) {
      got += natpasv_lease_claim(&one, &shared_ports) > 0;
    }
    whole += got == 4;
    for (i = 30000; i < 30004; i++) {
      (void) natpasv_lease_release(&one, (unsigned) i);
    }
  }
  is_int(whole, 200,
    "three sessions killed anywhere, 200 times: no port of four is lost");
  natpasv_table_close(&table);
}

static void claim_many(void *what) {
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;
  _Atomic int *owners = what;
  int i;

  enter(&table, &lessee, (uint32_t) getpid());
  lessee.quarantine = 60;
  for (i = 0; i < 20000; i++) {
    int port = natpasv_lease_claim(&lessee, &shared_ports);

    if (port > 0) {
      if (atomic_fetch_add(&owners[port], 1) != 0) {
        owners[0]++;
      }
      atomic_fetch_sub(&owners[port], 1);
      (void) natpasv_lease_release(&lessee, (unsigned) port);
    }
  }
}

static void test_race(void) {
  _Atomic int *owners = mmap(NULL, 65536 * sizeof(*owners),
    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid[8];
  int i, ready;

  fresh_table();
  natpasv_ports_parse(&shared_ports, "30000-30004", 1024);
  for (i = 0; i < 8; i++) {
    pid[i] = fork();
    if (pid[i] == 0) {
      claim_many((void *) owners);
      _exit(0);
    }
  }
  for (i = 0; i < 8; i++) {
    (void) waitpid(pid[i], &ready, 0);
  }
  is_int(owners[0], 0, "8 sessions, 160,000 claims of 5 ports: no port twice");
}

/* As many sessions as ports, in as many words, each with one port at most:
 * there is always one for who asks, so each refusal is untrue. */
static void never_refused(void *what) {
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;
  _Atomic unsigned *refused = what;
  int i;

  enter(&table, &lessee, (uint32_t) getpid());
  for (i = 0; i < 100000; i++) {
    int port = natpasv_lease_claim(&lessee, &shared_ports);

    if (port < 0) {
      atomic_fetch_add(refused, 1);
    } else {
      (void) natpasv_lease_release(&lessee, (unsigned) port);
    }
  }
}

/* Somebody who is always on the port that is looked at next. */
static struct natpasv_lessee mover;
static struct natpasv_ports places[2];
static int on, moves;

static void move(volatile void *word) {
  int next;

  for (next = 0; next < 2; next++) {
    unsigned port = places[next].range[0].first;

    if (word == &mover.table->map->taken[natpasv_word(port)] && next != on &&
      moves > 0) {
      moves--;
      (void) natpasv_lease_release(&mover, places[on].range[0].first);
      (void) natpasv_lease_claim(&mover, &places[next]);
      on = next;
    }
  }
}

static void test_moving(void) {
  static struct natpasv_table table, movers;
  static struct natpasv_lessee one;

  fresh_table();
  enter(&table, &one, 1);
  enter(&movers, &mover, 2);
  mover.table->map = table.map; /* the same addresses */
  natpasv_ports_parse(&shared_ports, "30000,30064", 1024);
  natpasv_ports_parse(&places[0], "30000", 1024);
  natpasv_ports_parse(&places[1], "30064", 1024);
  (void) natpasv_lease_claim(&mover, &places[0]);

  moves = 100;
  meanwhile = move;
  ok(natpasv_lease_claim(&one, &shared_ports) > 0,
    "a session that moves from port to port before the eyes of another does "
    "not hide the port that is free");
  meanwhile = NULL;
  is_int(moves, 0, "... not by a hundred moves");
  natpasv_table_close(&table);
}

static void test_refusals(const char *ports, int sessions) {
  _Atomic unsigned *refused = mmap(NULL, sizeof(*refused),
    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid[8];
  int i;

  fresh_table();
  natpasv_ports_parse(&shared_ports, ports, 1024);
  for (i = 0; i < sessions; i++) {
    pid[i] = fork();
    if (pid[i] == 0) {
      never_refused((void *) refused);
      _exit(0);
    }
  }
  for (i = 0; i < sessions; i++) {
    (void) waitpid(pid[i], NULL, 0);
  }
  is_int(*refused, 0,
    "%d sessions, each with a port of %s at most, claim 100,000 times each: "
    "none is refused", sessions, ports);
  (void) munmap((void *) refused, sizeof(*refused));
}

static void test_strangers(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee one;
  static struct natpasv_ports ports;
  uint64_t owner;
  int port;

  fresh_table();
  enter(&table, &one, 1);
  natpasv_ports_parse(&ports, "30000", 1024);
  port = natpasv_lease_claim(&one, &ports);
  natpasv_lease_stranger(&one, (unsigned) port);
  is_int(natpasv_lease_state(&table, 30000, &owner), NATPASV_IS_FOREIGN,
    "a port with a stranger on it is known as such");
  ok(natpasv_lease_claim(&one, &ports) < 0, "... and not given");
  is_int(natpasv_lease_sweep(&table, &ports), 0, "... for a moment");
  table.map->owner[30000] =
    NATPASV_STRANGER | (natpasv_now_ms() - NATPASV_STRANGER_MS);
  is_int(natpasv_lease_sweep(&table, &ports), 1, "... and then tried again");
  table.map->owner[30000] = UINT64_MAX;
  table.map->taken[natpasv_word(30000)] = UINT64_MAX;
  is_int(natpasv_lease_sweep(&table, &ports), 1,
    "a time in the future, from damage, does not keep it");
  natpasv_table_close(&table);
}

static void test_damage(void) {
  static struct natpasv_table table, other;
  static struct natpasv_lessee one;
  static struct natpasv_ports ports;
  struct natpasv_counts counts;
  struct natpasv_place place;
  int round, i, outside = 0, whole = 0, mended = 0, cut = 0;

  fresh_table();
  enter(&table, &one, 1);
  one.quarantine = 60;
  natpasv_ports_parse(&ports, "30000-30099", 1024);

  for (round = 0; round < 1000; round++) {
    int got = 0;

    if (round % 10 == 0) {
      for (i = 0; i < (int) sizeof(struct natpasv_map); i += 4) {
        *(uint32_t *) ((char *) table.map + i) = (uint32_t) random() * 2 + 1;
      }
    } else {
      for (i = 0; i < 100; i++) {
        ((unsigned char *) table.map)[(size_t) random() %
          sizeof(struct natpasv_map)] = (unsigned char) random();
      }
      if (round % 100 == 5 && ftruncate(table.fd, random() % 5000) < 0) {
        break;
      }
    }

    mended += natpasv_table_mend(&table) > 0;
    natpasv_count(natpasv_count_row(&table, "a", "b"), NATPASV_GRANTED);
    for (i = 0; i < NATPASV_ROWS; i++) {
      (void) natpasv_count_get(&table, (unsigned) i, &counts);
    }
    if (natpasv_queue_join(&table, 1, &place) == 0) {
      (void) natpasv_queue_ahead(&table, 1, &place, 1);
      natpasv_queue_ring(&table, 1);
      natpasv_queue_leave(&table, &place);
    }

    (void) natpasv_lease_sweep(&table, &ports);
    for (i = 0; i < 100; i++) {
      int port = natpasv_lease_claim(&one, &ports);

      got += port > 0;
      outside += port > 0 && !natpasv_ports_have(&ports, (unsigned) port);
    }
    whole += got == 100;
    for (i = 30000; i < 30100; i++) {
      (void) natpasv_lease_release(&one, (unsigned) i);
    }
  }
  is_int(round, 1000, "the table damaged 1,000 times");
  is_int(outside, 0, "... gives no port outside the pool");
  is_int(whole, 1000, "... and all ports come back");
  /* Cut off at the worst moment, again and again. */
  for (round = 0; round < 100; round++) {
    if (ftruncate(table.fd, random() % 5000) < 0) {
      break;
    }
    atomic_store(&table.map->owner[60000], 1);
    cut += atomic_load(&table.map->owner[60000]) == 1 &&
           natpasv_table_mend(&table) > 0 && natpasv_table_mend(&table) == 0;
  }
  is_int(cut, 100, "... and whole again when a cut off part is accessed");

  ok(mended >= 100, "... and is mended when the damage can be seen (%d times)",
    mended);

  table.map->magic = 1;
  ok(natpasv_table_open(&other, path) < 0 && errno == EBADF,
    "what is no table is not opened");
  natpasv_table_close(&table);
}

static void test_rows(void) {
  static struct natpasv_table table;
  struct natpasv_counts counts;
  struct natpasv_row *row, *same;
  unsigned i, rows = 0;

  fresh_table();
  (void) natpasv_table_open(&table, path);
  row = natpasv_count_row(&table, "public", "a \"b\"\\\n\xc3\xa9");
  same = natpasv_count_row(&table, "public", "a \"b\"\\\n\xc3\xa9");
  ok(row != NULL && row == same, "a pool and class have one row");
  natpasv_count(row, NATPASV_REFUSED);
  natpasv_count_peak(row, 5);
  natpasv_count_peak(row, 3);
  for (i = 0; i < NATPASV_ROWS; i++) {
    if (natpasv_count_get(&table, i, &counts) == 0) {
      rows++;
      is_str(counts.class, "a??b?????", "names are safe to print");
      is_int(counts.count[NATPASV_REFUSED], 1, "what is counted is shown");
      is_int(counts.peak, 5, "a peak stays");
    }
  }
  is_int(rows, 1, "one row is shown");
  ok(natpasv_count_sweep_due(row, 250), "the first sweep is due");
  ok(!natpasv_count_sweep_due(row, 250), "the next is not at once");
  atomic_store(&row->swept_ms, UINT64_MAX);
  ok(natpasv_count_sweep_due(row, 250), "a time in the future is damage");
  natpasv_count(NULL, NATPASV_GRANTED);

  for (i = 0; i < NATPASV_ROWS + 10; i++) {
    char class[16];

    snprintf(class, sizeof(class), "c%u", i);
    row = natpasv_count_row(&table, "public", class);
  }
  ok(row == NULL, "when all rows are in use nothing is counted");
  natpasv_table_close(&table);
}

static uint32_t shared_queue;

static void wait_in_line(void *what) {
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;
  static struct natpasv_place place;

  (void) what;
  enter(&table, &lessee, (uint32_t) getpid());
  (void) natpasv_queue_join(&table, shared_queue, &place);
}

static void test_queue(void) {
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;
  struct natpasv_place place;
  pid_t pid[3];
  uint32_t rings;
  uint64_t begin;
  int i, ready;

  fresh_table();
  enter(&table, &lessee, 1);
  shared_queue = natpasv_queue_of("public");
  is_int(natpasv_queue_ahead(&table, shared_queue, NULL, 0), 0, "nobody waits");
  for (i = 0; i < 3; i++) {
    pid[i] = start(&ready, wait_in_line, NULL);
  }
  (void) natpasv_queue_join(&table, shared_queue, &place);
  is_int(natpasv_queue_ahead(&table, shared_queue, &place, 1), 3,
    "three stand before the fourth");
  is_int(natpasv_queue_ahead(&table, shared_queue, NULL, 1), 4,
    "four before a newcomer");
  is_int(natpasv_queue_ahead(&table, shared_queue + 1, NULL, 0), 0,
    "none of them in another queue");
  end(pid[1]);
  is_int(natpasv_queue_ahead(&table, shared_queue, &place, 0), 3,
    "one is killed: at a glance it still stands there");
  is_int(natpasv_queue_ahead(&table, shared_queue, &place, 1), 2,
    "a closer look takes it out");
  natpasv_queue_leave(&table, &place);
  (void) natpasv_queue_join(&table, shared_queue, &place);
  is_int(natpasv_queue_ahead(&table, shared_queue, &place, 0), 2,
    "who comes back stands at the end");

  end(pid[0]);
  end(pid[2]);
  rings = natpasv_queue_rings(&place);
  begin = natpasv_now_ms();
  natpasv_queue_ring(&table, shared_queue);
  natpasv_queue_nap(&place, rings, 100);
  ok(natpasv_now_ms() - begin < 80,
    "a ring before the nap is not missed, whoever died in front");
  begin = natpasv_now_ms();
  natpasv_queue_nap(&place, natpasv_queue_rings(&place), 50);
  ok(natpasv_now_ms() - begin >= 45, "without a ring the nap is slept out");

  (void) natpasv_queue_ahead(&table, shared_queue, &place, 1);
  natpasv_queue_leave(&table, &place);
  is_int(table.map->waiting, 0, "all have left");
  table.map->waiting = 5;
  (void) natpasv_queue_ahead(&table, shared_queue, NULL, 0);
  is_int(table.map->waiting, 0, "a wrong number of waiters is put right");

  for (i = 0; i < NATPASV_CELLS; i++) {
    (void) natpasv_queue_join(&table, shared_queue, &place);
  }
  ok(natpasv_queue_join(&table, shared_queue, &place) < 0 && errno == ENOSPC,
    "the queue has an end");
  natpasv_table_close(&table);
}

int main(void) {
  int fd = mkstemp(path);

  (void) close(fd);
  test_claims();
  test_uniform("30000-30299", 0, 100000, 378.6);    /* 299 degrees, 99.9 % */
  test_uniform("30000-30299", 200, 100000, 148.2);  /* 99 */
  test_uniform("30000-30040,40000-40009", 0, 100000, 86.7); /* 50 */
  test_uniform("5000-64999", 54000, 100000, 6343.2); /* 5,999 */
  test_quarantine();
  test_quarantine_of_many();
  test_killed();
  test_killed_anywhere();
  test_race();
  test_moving();
  test_refusals("30000-30003", 4);
  test_refusals("30000,30064,30128,30192", 4);
  test_refusals("1024,65535", 2);
  test_strangers();
  test_damage();
  test_rows();
  test_queue();
  (void) unlink(path);
  return done_testing();
}
