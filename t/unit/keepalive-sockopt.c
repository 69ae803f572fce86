/*
 * The TCP options: taken from a real socket, changed, given back; and the plan
 * that makes the kernel look at a dead peer when the deadline comes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/sockopt.c"

#include <unistd.h>

static int same(const struct keepalive_sockopts *a,
    const struct keepalive_sockopts *b) {
  return memcmp(a, b, sizeof(*a)) == 0;
}

static void test_socket(void) {
  struct keepalive_sockopts odd = { 0, 1234, 56, 7, 8901 };
  struct keepalive_sockopts fresh, before, during, now;
  int fd = socket(AF_INET, SOCK_STREAM, 0), fds[2];

  ok(keepalive_sockopts_get(fd, &fresh) == 0, "a TCP socket has the options");
  ok(keepalive_sockopts_change(fd, &fresh, &odd) == 0, "they can be changed");

  keepalive_sockopts_get(fd, &before);
  ok(same(&before, &odd), "and are then as wanted");

  keepalive_sockopts_plan(&before, 60, 300, &during);
  keepalive_sockopts_change(fd, &before, &during);
  keepalive_sockopts_get(fd, &now);
  ok(same(&now, &during), "the kernel takes a plan with a deadline as it is");
  keepalive_sockopts_change(fd, &during, &before);
  keepalive_sockopts_get(fd, &now);
  ok(same(&now, &before), "and everything is as before afterwards");

  keepalive_sockopts_plan(&before, 60, 0, &during);
  is_int(during.user_timeout, 8901,
    "without a deadline TCP_USER_TIMEOUT is left alone");
  is_int(during.idle, 60, "a probe comes after the interval");

  during.count = 1000000;
  during.idle = 77;
  ok(keepalive_sockopts_change(fd, &before, &during) == -1 && errno == EINVAL,
    "what the kernel refuses is an error");
  keepalive_sockopts_get(fd, &now);
  is_int(now.idle, 77, "which does not stop the other options");
  close(fd);

  ok(pipe(fds) == 0 && keepalive_sockopts_get(fds[0], &now) == -1,
    "a control connection that is no TCP socket is an error");
  close(fds[0]);
  close(fds[1]);
}

/* Every interval and deadline up to some minutes, and the largest. */
static void test_plans(void) {
  static const struct keepalive_sockopts none = { 0 };
  int interval, deadline, off = 0, late = 0, zero = 0, few = 0;

  for (interval = 1; interval <= 300; interval++) {
    for (deadline = interval + 1; deadline <= 600; deadline++) {
      struct keepalive_sockopts plan;
      int left = deadline - interval;

      keepalive_sockopts_plan(&none, (unsigned int) interval,
        (unsigned int) deadline, &plan);
      off += (deadline - plan.idle) % plan.between != 0;
      late += plan.idle > interval;
      zero += plan.idle < 1 || plan.between < 1 || plan.count < 1;
      few += (deadline - plan.idle) / plan.between < (left < 5 ? left : 5);
    }
  }

  is_int(off, 0, "a probe is always due exactly at the deadline");
  is_int(late, 0, "the first one never later than the interval");
  is_int(zero, 0, "no option is zero");
  is_int(few, 0, "five probes are lost before a peer is, where they fit");
}

static void test_patience(void) {
  static const struct keepalive_sockopts none = { 0 };
  static const struct {
    unsigned int interval;
    int count;
  } cases[] = { { 1, 127 }, { 7, 127 }, { 10, 90 }, { 60, 15 }, { 300, 9 },
    { 32767, 9 } };
  struct keepalive_sockopts plan;
  size_t i;

  for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    keepalive_sockopts_plan(&none, cases[i].interval, 0, &plan);
    is_int(plan.count, cases[i].count,
      "every %u s: the connection bears %d lost probes", cases[i].interval,
      cases[i].count);
  }
}

int main(void) {
  test_socket();
  test_plans();
  test_patience();
  return done_testing();
}
