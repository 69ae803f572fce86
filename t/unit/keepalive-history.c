/*
 * What the log can say of a path that died: after how much silence at the
 * latest it was gone, what it had survived, and the interval to try.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/history.c"

struct story {
  const char *what;
  double packets[12]; /* times at which a packet went over it, 0 ends */
  double probe;       /* interval of the kernel's probes, 0: none */
  double heard, now;  /* last sign of the peer, and the end */
  double idle, survived;
  unsigned int advice;
};

static const struct story stories[] = {
  { "a transfer of 30 s, no keepalive: the reply at its end is not answered",
    { 100, 103, 133 }, 0, 103, 200, 30, 3, 15 },
  { "the same after a pause of 12 s that was survived",
    { 100, 112, 113, 143 }, 0, 113, 200, 30, 12, 9 },
  { "probes every 10 s, the first is not answered",
    { 100, 102 }, 10, 102, 127, 10, 2, 5 },
  { "probes every 10 s, the first five are answered: the client vanished",
    { 100, 102 }, 10, 152, 177, 10, 10, 0 },
  { "keepalives every 5 s, the third is not answered: the client vanished",
    { 100, 105, 110, 115, 120 }, 0, 110, 130, 5, 5, 0 },
  { "a reply before the first probe is not answered",
    { 100, 101, 105 }, 60, 101, 130, 4, 1, 1 },
  { "a pause that the probes broke counts for one interval",
    { 100, 160, 175 }, 10, 160, 180, 10, 10, 0 },
  { "an answer a moment after its packet is an answer",
    { 100, 110, 140 }, 0, 110.3, 200, 29.7, 10, 8 },
  { "nothing was ever sent", { 100 }, 0, 100, 160, 60, 0, 30 },
  { "more packets than are kept: the longest silence is not forgotten",
    { 100, 120, 121, 122, 123, 124, 125, 126, 127, 128, 168 }, 0, 128, 300, 40,
    20, 16 },
};

int main(void) {
  size_t i, j;

  for (i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
    const struct story *story = &stories[i];
    struct keepalive_history history = { 0 };
    double idle, survived;

    for (j = 0; j < 12 && story->packets[j] > 0; j++) {
      keepalive_history_packet(&history, story->packets[j], story->probe);
    }

    keepalive_history_end(&history, story->heard, story->now, story->probe,
      &idle, &survived);
    ok(idle > story->idle - 0.01 && idle < story->idle + 0.01,
      "%s: gone after at most %.1f s (%.1f)", story->what, story->idle, idle);
    ok(survived > story->survived - 0.01 && survived < story->survived + 0.01,
      "... had survived %.1f s (%.1f)", story->survived, survived);
    is_int(keepalive_history_advice(idle, survived), story->advice,
      "... and the advice is %u", story->advice);
  }

  is_int(keepalive_history_advice(1, 0), 1, "no advice is below a second");
  is_int(keepalive_history_advice(300, 1), 150,
    "what a busy session survived is no advice for an idle one");
  return done_testing();
}
