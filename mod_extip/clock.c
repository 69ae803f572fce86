/*
 * mod_extip - time that has passed, and changes of the wall clock
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/timerfd.h>
#endif

#include "clock.h"

#if !defined(CLOCK_BOOTTIME)
#define CLOCK_BOOTTIME CLOCK_MONOTONIC
#endif

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* A time that is longer ago than the boot by this, or in the future by this, is
 * not valid. */
#define PAST_MAX INT64_C(253402300799) /* seconds: the year 9999 */

/* Less may be the time between reading two clocks. */
#define STEP_MIN_MS 2000

static int64_t read_clock(clockid_t id) {
  struct timespec now = { 0 };

  clock_gettime(id, &now);
  return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t extip_now(void) {
  return read_clock(CLOCK_BOOTTIME);
}

/* Read once, because a session has no /proc in its chroot. */
static uint64_t boot(void) {
  static bool asked = false;
  static uint64_t id = 0;
  char text[64];
  ssize_t len = -1;
  int fd;

  if (asked) {
    return id;
  }

  asked = true;
  fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    len = read(fd, text, sizeof(text));
    (void) close(fd);
  }

  /* FNV-1a */
  for (ssize_t i = 0; i < len; i++) {
    id =
      ((i == 0 ? UINT64_C(0xcbf29ce484222325) : id) ^ (unsigned char) text[i]) *
      UINT64_C(0x100000001b3);
  }
  return id;
}

struct extip_moment extip_moment_now(void) {
  struct extip_moment moment = {
    .wall = time(NULL),
    .up = extip_now() / 1000,
    .boot = boot(),
  };

  return moment;
}

int64_t extip_moment_age(const struct extip_moment *moment) {
  int64_t now = extip_now() / 1000;

  return moment->up > now || moment->up < -PAST_MAX ? 0 : now - moment->up;
}

void extip_moment_adopt(struct extip_moment *moment) {
  struct extip_moment now = extip_moment_now();
  int64_t age = now.wall - moment->wall;

  if (moment->wall == 0) {
    memset(moment, 0, sizeof(*moment));
    return;
  }

  if (moment->boot == 0 || moment->boot != now.boot || moment->up < -PAST_MAX ||
      moment->up > now.up) {
    moment->up = now.up - (age > now.up ? age : now.up);
  }
  moment->boot = now.boot;
}

#if defined(__linux__)
/* Later than any clock, and the latest time that the kernel accepts. */
#define NEVER (sizeof(time_t) > 4 ? INT64_C(9000000000) : INT32_MAX)

static void arm(int fd) {
  struct itimerspec never = { .it_value = { .tv_sec = (time_t) NEVER } };

  (void) timerfd_settime(
    fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

int extip_clock_watch(void) {
  int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

  if (fd >= 0) {
    arm(fd);
  }
  return fd;
}

static void rearm(int fd) {
  uint64_t times;

  if (fd >= 0 && (read(fd, &times, sizeof(times)) >= 0 || errno == ECANCELED)) {
    arm(fd);
  }
}
#else
int extip_clock_watch(void) {
  errno = ENOSYS;
  return -1;
}

static void rearm(int fd) {
  (void) fd;
}
#endif

int64_t extip_clock_step(int fd) {
  static bool known = false;
  static int64_t before;
  int64_t difference = read_clock(CLOCK_REALTIME) - extip_now();
  int64_t step = known ? difference - before : 0;

  rearm(fd);
  known = true;
  before = difference;
  if (step > -STEP_MIN_MS && step < STEP_MIN_MS) {
    return 0;
  }
  return (step + (step < 0 ? -500 : 500)) / 1000;
}
