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
  struct keepalive_sockopts odd = { { 1234, 56, 7, 8901, 0 } };
  struct keepalive_sockopts fresh, before, during, now;
  int fd = socket(AF_INET, SOCK_STREAM, 0), fds[2];

  ok(keepalive_sockopts_get(fd, &fresh) == 0, "a TCP socket has the options");
  ok(keepalive_sockopts_change(fd, &fresh, &odd) == 0, "they can be changed");

  keepalive_sockopts_get(fd, &before);
  ok(same(&before, &odd), "and are then as wanted");

  during = before;
  keepalive_sockopts_deadline(&during, 60, 300);
  is_int(during.value[KEEPALIVE_ON], 1, "a plan with a deadline has probes");
  keepalive_sockopts_change(fd, &before, &during);
  keepalive_sockopts_get(fd, &now);
  ok(same(&now, &during), "the kernel takes a plan with a deadline as it is");
  keepalive_sockopts_change(fd, &during, &before);
  keepalive_sockopts_get(fd, &now);
  ok(same(&now, &before), "and everything is as before afterwards");

  during = before;
  keepalive_sockopts_probe(&during, 60, 60, 900);
  is_int(during.value[KEEPALIVE_USER_TIMEOUT], 8901,
    "without a deadline TCP_USER_TIMEOUT is left alone");
  is_int(during.value[KEEPALIVE_IDLE], 60, "a probe comes after the interval");
  is_int(during.value[KEEPALIVE_ON], 1, "... as the kernel reports it");

  during.value[KEEPALIVE_COUNT] = 1000000;
  during.value[KEEPALIVE_ON] = 1;
  ok(keepalive_sockopts_change(fd, &before, &during) == -1 && errno == EINVAL,
    "what the kernel refuses is an error");
  keepalive_sockopts_get(fd, &now);
  is_int(now.value[KEEPALIVE_ON], 1, "which does not stop the other options");
  close(fd);

  ok(pipe(fds) == 0 && keepalive_sockopts_get(fds[0], &now) == -1,
    "a control connection that is no TCP socket is an error");
  close(fds[0]);
  close(fds[1]);
}

/* Every interval and deadline up to some minutes. */
static void test_plans(void) {
  int off = 0, late = 0, zero = 0, few = 0, timeout = 0;

  for (int interval = 1; interval <= 300; interval++) {
    for (int deadline = interval + 1; deadline <= 600; deadline++) {
      struct keepalive_sockopts plan = { { 0 } };
      int left = deadline - interval, idle, between;

      keepalive_sockopts_deadline(
        &plan, (unsigned int) interval, (unsigned int) deadline);
      idle = plan.value[KEEPALIVE_IDLE];
      between = plan.value[KEEPALIVE_BETWEEN];
      off += (deadline - idle) % between != 0;
      late += idle > interval;
      zero += idle < 1 || between < 1 || plan.value[KEEPALIVE_COUNT] < 1;
      few += (deadline - idle) / between < (left < 5 ? left : 5);
      timeout +=
        plan.value[KEEPALIVE_USER_TIMEOUT] != (2 * deadline - 1) * 500;
    }
  }

  is_int(off, 0, "a probe is always due exactly at the deadline");
  is_int(late, 0, "the first one never later than the interval");
  is_int(zero, 0, "no option is zero");
  is_int(timeout, 0, "TCP_USER_TIMEOUT is half a second less");
  is_int(few, 0, "five probes are lost before a peer is, where they fit");
}

static void test_patience(void) {
  static const struct {
    unsigned int between;
    int count;
  } cases[] = { { 1, 127 }, { 7, 127 }, { 10, 90 }, { 60, 15 }, { 300, 9 },
    { 32767, 9 } };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct keepalive_sockopts plan = { { 0 } };

    keepalive_sockopts_probe(&plan, 5, cases[i].between, 900);
    is_int(plan.value[KEEPALIVE_COUNT], cases[i].count,
      "every %u s: the connection bears %d lost probes", cases[i].between,
      cases[i].count);
  }
}

int main(void) {
  test_socket();
  test_plans();
  test_patience();
  return done_testing();
}
