/*
 * natpasv-lock.c - what is done under the lock of the table: nothing without
 * it, sweeps by those who wait, and the ports of a guest that are miscounted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "natpasv-table.h"

/* A guest whose ports are not counted, in a damaged table. */
static void test_miscounted(void) {
  struct session s;
  uint16_t guest;

  fresh("30000-30003");
  enrol(&s, 1);
  (void) claim_port(&s);
  guest = find_guest(map, s.lessee.set, 1);
  ok(guest != 0 && map->guest[guest].held == 1, "a guest has a port");
  map->guest[guest].held = 0;
  for (int port = 30000; port <= 30003; port++) {
    (void) release_port(&s, port);
  }
  ok(claim_port(&s) != 0, "... or none, and gets one all the same");
}

/* Nothing is changed while another session has the lock. */
static void do_claim(struct session *s) {
  (void) natpasv_queue_claim(&s->lessee, true);
}

static void do_join(struct session *s) {
  (void) natpasv_queue_join(&s->lessee);
}

static void do_leave(struct session *s) {
  (void) natpasv_queue_leave(&s->lessee);
}

static void do_release(struct session *s) {
  (void) natpasv_queue_release(&s->lessee, 30000);
}

static void do_stranger(struct session *s) {
  natpasv_queue_stranger(&s->lessee, 30000);
}

static void do_sweep(struct session *s) {
  (void) natpasv_queue_sweep(&s->lessee);
}

static void *unlock_later(void *table) {
  (void) usleep(60000);
  natpasv_table_unlock(table);
  return NULL;
}

static void test_locked(void) {
  static const struct {
    void (*call)(struct session *s);
    const char *name;
  } calls[] = { { do_claim, "a claim" }, { do_join, "whoever joins" },
    { do_leave, "whoever leaves" }, { do_release, "a release" },
    { do_stranger, "a stranger's port" }, { do_sweep, "a sweep" } };
  struct session other, own;
  pthread_t thread;

  fresh("30000-30001");
  enrol(&other, 1);
  enrol(&own, 2);
  for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
    uint64_t began = natpasv_now_ms();

    (void) natpasv_table_lock(&other.table);
    (void) pthread_create(&thread, NULL, unlock_later, &other.table);
    calls[i].call(&own);
    ok(natpasv_now_ms() - began >= 50 && map->lock == 0,
      "%s waits for the lock", calls[i].name);
    (void) pthread_join(thread, NULL);
  }
}

/* Whether a session that waits sweeps, so long after the last time. */
static bool sweeps(struct session *waits, uint32_t ms) {
  uint32_t before = now_ms() - ms;

  map->swept_ms = before;
  (void) natpasv_queue_wait(&waits->lessee, 0);
  return map->swept_ms != before;
}

static void test_sweeping(void) {
  struct session has, waits, handed_to;

  fresh("2000");
  enrol(&has, 1);
  ok(claim_port(&has) == 2000 && natpasv_queue_sweep(&has.lessee) == 0,
    "what a session has is not swept away, also below 4096");

  fresh("30000");
  enrol(&has, 1);
  (void) claim_port(&has);
  join(&waits, 2);
  ok(!sweeps(&waits, SWEEP_MS - 100), "sessions that wait sweep");
  ok(sweeps(&waits, SWEEP_MS), "... once a second");

  enrol(&handed_to, 3);
  map->handed_to = handed_to.table.self;
  atomic_store(&map->owner[handed_to.table.self].turn, NATPASV_HANDED | 30000);
  map->handed_ms = now_ms() - MOMENT_MS / 2;
  ok(!sweeps(&waits, 100), "... or if one has its port");
  map->handed_ms = now_ms() - MOMENT_MS;
  ok(sweeps(&waits, 100), "... and does not take it");
  atomic_store(&map->owner[handed_to.table.self].turn, 0);
  map->handed_ms = now_ms() - MOMENT_MS;
  ok(!sweeps(&waits, 100), "... or has taken it");
}

int main(void) {
  test_miscounted();
  test_locked();
  test_sweeping();
  return done_testing();
}
