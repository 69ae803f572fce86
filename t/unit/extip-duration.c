/* Durations of mod_extip's directives: every form, and what is none. */

#include "../../mod_extip/duration.c"
#include "tap.h"

#include <stdlib.h>

static const struct {
  const char *text;
  long seconds; /* -EINVAL, -ERANGE */
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
  { "01:30:00", 5400 },
  { "00:00:59", 59 },
  { "00:00:99", 99 }, /* as ProFTPD takes it */
  { "99:99:99", 362439 },

  { "2592000", 2592000 },
  { "2592000s", 2592000 },
  { "43200m", 2592000 },
  { "720h", 2592000 },
  { "2592001", -ERANGE },
  { "43201m", -ERANGE },
  { "721h", -ERANGE },
  { "2592000m", -ERANGE },
  { "2592000h", -ERANGE },
  { "25920000", -ERANGE },
  { "4294967296", -ERANGE }, /* 2^32, and what would wrap around to 1 */
  { "4294967297", -ERANGE },
  { "71582789m", -ERANGE },
  { "1193047h", -ERANGE },
  { "18446744073709551617", -ERANGE },
  { "99999999999999999999999999999999999999", -ERANGE },
  { "00000000000000000000000000000000000001", 1 },

  { "", -EINVAL },
  { " ", -EINVAL },
  { "s", -EINVAL },
  { "min", -EINVAL },
  { " 5", -EINVAL },
  { "5 ", -EINVAL },
  { "5 m", -EINVAL },
  { "5m ", -EINVAL },
  { "5\n", -EINVAL },
  { "+5", -EINVAL },
  { "-5", -EINVAL },
  { "5.5", -EINVAL },
  { "1e3", -EINVAL },
  { "0x10", -EINVAL },
  { "5d", -EINVAL },
  { "5ms", -EINVAL },
  { "5mm", -EINVAL },
  { "5minutes", -EINVAL },
  { "5mi", -EINVAL },
  { "5se", -EINVAL },
  { "1h30m", -EINVAL },
  { "5m5", -EINVAL },
  { "none", -EINVAL },
  { "\xd9\xa3", -EINVAL }, /* the digit three, in Arabic */
  { "5\xc2\xa0", -EINVAL },
  { "\xff", -EINVAL },
  { ":", -EINVAL },
  { "00:00", -EINVAL },
  { "0:00:00", -EINVAL },
  { "00:00:0", -EINVAL },
  { "00:00:000", -EINVAL },
  { "00:00:00s", -EINVAL },
  { "00:00:00:00", -EINVAL },
  { "00-00-00", -EINVAL },
  { "00:0a:00", -EINVAL },
  { "-1:00:00", -EINVAL },
};

int main(void) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    /* No byte more than there is, for the sanitizer. */
    char *text = strdup(cases[i].text);
    unsigned seconds = 4711;
    long got = extip_duration_parse(text, &seconds) < 0 ? -errno : (long) seconds;

    for (char *at = text; *at != '\0'; at++) {
      *at = *at < ' ' || *at > '~' ? '?' : *at;
    }

    if (got < 0) {
      is_int(seconds, 4711, "'%s' changes nothing", text);
    }
    is_int(got, cases[i].seconds, "'%s' %s", text,
      cases[i].seconds >= 0         ? "is a duration"
      : cases[i].seconds == -ERANGE ? "is too long"
                                    : "is none");
    free(text);
  }

  return done_testing();
}
