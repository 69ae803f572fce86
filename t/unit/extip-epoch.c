/*
 * extip-epoch.c - the rule of RFC 6887 8.5, and its limits in milliseconds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/epoch.c"
#include "tap.h"

static const struct {
  const char *name;
  uint32_t before, now;
  int64_t passed_ms;
  bool consistent;
} cases[] = {
  { "both clocks agree", 1000, 1600, 600000, true },
  { "nothing has passed", 1000, 1000, 0, true },
  { "a message overtaken by a second", 1000, 999, 0, true },
  { "... by two", 1000, 998, 0, false },
  { "a router that has restarted", 86400, 3, 60000, false },
  { "... and runs again for as long as it did", 100, 100, 600000, false },
  { "a router's clock slower by a sixteenth and two seconds", 0, 1498, 1600000,
    true },
  { "... and by a millisecond more", 0, 1498, 1600002, false },
  { "a router's clock faster by a sixteenth and two seconds", 0, 1600, 1498000,
    true },
  { "... and by a millisecond more", 0, 1600, 1497999, false },
  { "two seconds at once", 1000, 1002, 0, true },
  { "three seconds at once", 1000, 1003, 0, false },
  { "another router, which runs longer", 1000, 500000, 60000, false },
  { "a host that slept for a day while its clock did, too", 1000, 87400, 10,
    false },
  { "the last second of 136 years", 4294967000U, 4294967295U, 295000, true },
  { "... and the one after it, which is a start", 4294967295U, 0, 1000,
    false },
};

int main(void) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ok(extip_epoch_is_consistent(
         cases[i].before, cases[i].now, cases[i].passed_ms) ==
         cases[i].consistent,
      "%s: %s", cases[i].name, cases[i].consistent ? "consistent" : "lost");
  }
  return done_testing();
}
