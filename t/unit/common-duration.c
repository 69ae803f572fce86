/*
 * common-duration.c - durations in directives: every form, and what is none.
 * t/common.t compares them with ProFTPD's own reader.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/common_duration.h"
#include "tap.h"

#include <stdint.h>
#include <stdlib.h>

#define MIN 0
#define MAX 2592000

static const struct {
  const char *text;
  long seconds; /* -1: none */
} cases[] = {
  { "0", 0 },
  { "1", 1 },
  { "30", 30 },
  { "0030", 30 },
  { "30s", 30 },
  { "30S", 30 },
  { "30sec", 30 },
  { "30SEC", 30 },
  { "5m", 300 },
  { "5M", 300 },
  { "5min", 300 },
  { "0m", 0 },
  { "1h", 3600 },
  { "1hr", 3600 },
  { "1Hr", 3600 },
  { "00:00:00", 0 },
  { "00:01:30", 90 },
  { "01:30:00", 5400 },
  { "00:00:59", 59 },
  { "00:59:59", 3599 },
  { "99:59:59", 359999 },
  { "2592000", 2592000 },
  { "2592000s", 2592000 },
  { "43200m", 2592000 },
  { "720h", 2592000 },
  { "00000000000000000000000000000000000001", 1 },

  { "2592001", -1 },
  { "43201m", -1 },
  { "721h", -1 },
  { "2592000m", -1 },
  { "2592000h", -1 },
  { "25920000", -1 },
  { "4294967296", -1 }, /* 2^32, and what would wrap around to 1 */
  { "4294967297", -1 },
  { "71582789m", -1 },
  { "1193047h", -1 },
  { "18446744073709551617", -1 },
  { "99999999999999999999999999999999999999", -1 },
  { "00:00:60", -1 },
  { "00:00:99", -1 },
  { "00:60:00", -1 },
  { "99:99:99", -1 },
  { "1:2:3", -1 },
  { "0:01:30", -1 },
  { "00:00", -1 },
  { "0:00:00", -1 },
  { "00:00:0", -1 },
  { "00:00:000", -1 },
  { "000:00:00", -1 },
  { "00:00:00s", -1 },
  { "00:00:00 ", -1 },
  { " 0:00:00", -1 },
  { "00:00:00:00", -1 },
  { "00-00-00", -1 },
  { "00:0a:00", -1 },
  { "-1:00:00", -1 },
  { "+1:00:00", -1 },
  { ":", -1 },
  { "", -1 },
  { " ", -1 },
  { "s", -1 },
  { "min", -1 },
  { " 5", -1 },
  { "5 ", -1 },
  { "5 m", -1 },
  { "5m ", -1 },
  { "5\n", -1 },
  { "+5", -1 },
  { "-5", -1 },
  { "-0", -1 },
  { "5.5", -1 },
  { "1e3", -1 },
  { "0x10", -1 },
  { "5d", -1 },
  { "5ms", -1 },
  { "5mm", -1 },
  { "5minutes", -1 },
  { "5mi", -1 },
  { "5se", -1 },
  { "5hrs", -1 },
  { "1h30m", -1 },
  { "5m5", -1 },
  { "none", -1 },
  { "\xd9\xa3", -1 }, /* the digit three, in Arabic */
  { "5\xc2\xa0", -1 },
  { "\xff", -1 },
};

static void check(const char *text, long wanted) {
  /* No byte more than there is, for the sanitizer. */
  char *copy = strdup(text), reason[256] = "";
  unsigned int seconds = 4711;
  int res = duration_parse(copy, MIN, MAX, &seconds, reason, sizeof(reason));

  for (char *at = copy; *at != '\0'; at++) {
    *at = *at < ' ' || *at > '~' ? '?' : *at;
  }

  if (wanted >= 0) {
    ok(res == 0 && seconds == (unsigned int) wanted && *reason == '\0',
      "'%s' is %ld seconds", copy, wanted);
  } else {
    ok(res == -1 && seconds == 4711 && strstr(reason, "expected") != NULL,
      "'%s' is refused, with a reason", copy);
  }
  free(copy);
}

int main(void) {
  unsigned int seconds = 0;
  char reason[256], small[8];

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    check(cases[i].text, cases[i].seconds);
  }

  is_int(duration_parse("1", 2, 300, &seconds, reason, sizeof(reason)), -1,
    "less than the least is refused");
  is_str(reason,
    "'1': expected a duration from 2s to 300s, such as 45, 45s, 5m, 1h or "
    "00:00:45",
    "... in these words");
  is_int(duration_parse("2", 2, 300, &seconds, reason, sizeof(reason)), 0,
    "the least is taken");
  is_int(duration_parse("5m", 2, 300, &seconds, reason, sizeof(reason)), 0,
    "the most is taken");
  is_int(duration_parse("99:59:59", 2, 300, &seconds, reason, sizeof(reason)),
    -1, "a clock is limited too");
  is_int(
    duration_parse("596523h", 0, INT32_MAX, &seconds, reason, sizeof(reason)),
    0, "the most that ProFTPD's int holds is taken");
  is_int(seconds, 2147482800, "... and read right");
  is_int(
    duration_parse("1193047h", 0, INT32_MAX, &seconds, reason, sizeof(reason)),
    -1, "what wraps around in 32 bits is refused");
  is_int(duration_parse("x", 0, 9, &seconds, small, sizeof(small)), -1,
    "a reason may be cut");
  is_str(small, "'x': ex", "... to the room that there is");
  return done_testing();
}
