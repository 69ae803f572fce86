/* Time that passes and the wall clock, both of them set by this test. */

#include <stdint.h>
#include <time.h>

static int64_t wall = 1800000000, up = 5000; /* seconds */
static long wall_ns = 0;

static int fake_clock_gettime(clockid_t id, struct timespec *now) {
  now->tv_sec = id == CLOCK_REALTIME ? wall : up;
  now->tv_nsec = id == CLOCK_REALTIME ? wall_ns : 0;
  return 0;
}

static time_t fake_time(time_t *now) {
  (void) now;
  return wall;
}

#include <sys/timerfd.h>
#include <unistd.h>

static ssize_t fake_read(int fd, void *buf, size_t size);
static int fake_settime(int fd, int flags, const struct itimerspec *value,
  struct itimerspec *old);

#define clock_gettime   fake_clock_gettime
#define time            fake_time
#define read            fake_read
#define timerfd_settime fake_settime
#include "../../mod_extip/clock.c"
#undef time
#undef clock_gettime
#undef read
#undef timerfd_settime

#include "tap.h"

#define DAY 86400

static void pass(int64_t seconds) {
  wall += seconds;
  up += seconds;
}

static void test_age(void) {
  struct extip_moment moment = extip_moment_now();

  pass(60);
  is_int(extip_moment_age(&moment), 60, "a minute has passed");
  wall += 400 * DAY;
  is_int(extip_moment_age(&moment), 60, "... also when the clock is set on");
  wall -= 800 * DAY;
  is_int(extip_moment_age(&moment), 60, "... or back");
  extip_moment_adopt(&moment);
  is_int(extip_moment_age(&moment), 60, "... and the daemon was restarted");
  wall += 400 * DAY;
}

static void test_adopt(void) {
  const struct {
    int64_t ago; /* by the wall clock */
    uint64_t boot;
    int64_t up;
    int64_t age;
    const char *name;
  } table[] = {
    { 9000, 7, 4000, 9000, "another boot: the wall clock is believed" },
    { 9000, 0, 4000, 9000, "a boot that nobody knows is another one" },
    { -400 * DAY, 7, 4000, up, "still to come: as old as this boot" },
    { 10, 7, 4000, up, "newer than this boot: as old as that" },
    { 9000, boot(), up + 1, 9000, "this boot, still to come: not believed" },
    { 9000, boot(), INT64_MIN, 9000, "this boot, at no time: not believed" },
    { 9000, boot(), -4000, up + 4000, "adopted before: as it is" },
  };

  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    struct extip_moment moment = {
      .wall = wall - table[i].ago,
      .up = table[i].up,
      .boot = table[i].boot,
    };

    extip_moment_adopt(&moment);
    is_int(extip_moment_age(&moment), table[i].age, "%s", table[i].name);
    wall += 400 * DAY;
    is_int(extip_moment_age(&moment), table[i].age, "... and only once");
    wall -= 400 * DAY;
  }
}

static void test_never(void) {
  struct extip_moment never = { .up = -7, .boot = 7 };

  extip_moment_adopt(&never);
  ok(never.wall == 0 && never.up == 0 && never.boot == 0, "never stays never");
}

static void test_step(void) {
  int fd = extip_clock_watch();

  is_int(extip_clock_step(fd), 0, "the first look sees no step");
  pass(3600);
  is_int(extip_clock_step(fd), 0, "time that passes is none");
  wall += 1;
  is_int(extip_clock_step(fd), 0, "nor is a second");
  wall += 400 * DAY;
  is_int(extip_clock_step(fd), 400 * DAY, "400 days are");
  is_int(extip_clock_step(fd), 0, "... once");
  wall -= 10;
  is_int(extip_clock_step(-1), -10, "ten seconds back are, without the kernel");
  wall += 2;
  wall_ns = 999000000;
  is_int(extip_clock_step(-1), 3, "2.999 s are three");
  ok(fd >= 0, "the kernel tells when the clock is set");
  close(fd);
}

/* What the kernel says of its timer, in the place of which fd is; 0: ask it. */
static int said = 0; /* an errno, or -1: the timer has expired */
static int armed = 0;

static ssize_t fake_read(int fd, void *buf, size_t size) {
  if (said == 0) {
    return read(fd, buf, size);
  }

  errno = said;
  return said < 0 ? (ssize_t) size : -1;
}

static int fake_settime(int fd, int flags, const struct itimerspec *value,
  struct itimerspec *old) {
  armed++;
  return said == 0 ? timerfd_settime(fd, flags, value, old) : 0;
}

/* The kernel tells of a step once for each time that the timer is set. */
static void test_arming(void) {
  static const struct {
    int fd, said, armed;
    const char *what;
  } cases[] = {
    { 5, ECANCELED, 1, "the clock was set: the timer is set again" },
    { 0, ECANCELED, 1, "also if it is descriptor 0" },
    { 5, -1, 1, "it has expired: it is set again" },
    { 5, EAGAIN, 0, "nothing has happened: it stays" },
    { -1, ECANCELED, 0, "there is none" },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    armed = 0;
    said = cases[i].said;
    (void) extip_clock_step(cases[i].fd);
    is_int(armed, cases[i].armed, "%s", cases[i].what);
  }
  said = 0;
}

int main(void) {
  test_age();
  test_adopt();
  test_never();
  test_step();
  test_arming();
  return done_testing();
}
