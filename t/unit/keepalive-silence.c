/*
 * What silences of a control connection say of its path: stories, look by look,
 * and what is known at their end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/silence.c"

#include <string.h>

#define LOOKS 12

/* One look: at NOW the control connection was last heard at HEARD, after so
 * many segments in all; TRIES are unanswered; the data were last heard at DATA.
 */
struct moment {
  double now, heard;
  unsigned int answers, tries;
  double data;
};

static struct keepalive_tcpinfo info(const struct moment *m) {
  return (struct keepalive_tcpinfo){
    .heard = m->heard,
    .segs_in = m->answers,
    .tries = m->tries,
    .unanswered = m->tries,
  };
}

static void test_stories(void) {
  static const struct {
    const char *story;
    unsigned int idle;
    struct moment look[LOOKS];
    unsigned int survived, forgotten;
  } cases[] = {
    { "nothing happens", 4, { { 1, 0, 1, 0, 1 }, { 2, 0, 1, 0, 2 } }, 0, 0 },
    { "a probe is answered after 4 s", 4,
      { { 1, 0, 1, 0, 1 }, { 5, 4.1, 2, 0, 5 } }, 4, 0 },
    { "two probes are answered between two looks", 4,
      { { 1, 0, 1, 0, 1 }, { 9, 8.1, 3, 0, 9 } }, 4, 0 },
    { "the client speaks every second", 4,
      { { 1, 0, 1, 0, 1 }, { 9, 8.1, 9, 0, 9 } }, 1, 0 },
    { "a lost probe is no longer silence", 4,
      { { 1, 0, 1, 0, 1 }, { 5.5, 0, 1, 1, 5.5 }, { 9, 8.1, 2, 0, 9 } }, 4, 0 },
    { "the path forgets, the data flow", 4,
      { { 1, 0, 1, 0, 1 }, { 5.5, 0, 1, 1, 5.5 }, { 6.5, 0, 1, 2, 6.5 },
        { 7.5, 0, 1, 3, 7.5 } },
      0, 4 },
    { "it survived 2 s before", 4,
      { { 1, 0, 1, 0, 1 }, { 3, 2.1, 2, 0, 3 }, { 7.6, 2.1, 2, 1, 7.6 },
        { 8.6, 2.1, 2, 2, 8.6 }, { 9.6, 2.1, 2, 3, 9.6 } },
      2, 4 },
    { "the client vanishes with all it has", 4,
      { { 1, 0, 1, 0, 1 }, { 5.5, 0, 1, 1, 2.5 }, { 6.5, 0, 1, 2, 2.5 },
        { 9.5, 0, 1, 5, 2.5 }, { 20, 0, 1, 16, 2.5 } },
      0, 0 },
    { "it vanishes just before a probe", 4,
      { { 3, 0, 1, 0, 3.9 }, { 5.5, 0, 1, 1, 3.9 }, { 9.5, 0, 1, 5, 3.9 } }, 0,
      0 },
    { "everything fails for a while, and the data come back first", 4,
      { { 1, 0, 1, 0, 1 }, { 9, 0, 1, 5, 1 }, { 9.9, 0, 1, 6, 9.8 },
        { 10.9, 10.1, 2, 0, 10.9 } },
      4, 0 },
    { "the client resets the connection", 25,
      { { 1, 0, 1, 0, 1 }, { 2, 0, 1, 0, 2 } }, 0, 0 },
    { "the kernel counts its tries anew: those before count as well", 4,
      { { 1, 0, 1, 0, 1 }, { 5.5, 0, 1, 2, 5.5 }, { 6.5, 0, 1, 1, 6.5 },
        { 7.5, 0, 1, 2, 7.5 } },
      0, 4 },
    { "... and no more than they are", 4,
      { { 1, 0, 1, 0, 1 }, { 5.5, 0, 1, 2, 5.5 }, { 6.5, 0, 1, 1, 6.5 },
        { 7.5, 0, 1, 1, 7.5 } },
      0, 0 },
    { "something was sent again: nothing is known of that silence", 4,
      { { 1, 0, 1, 0, 1 }, { 5, 4.1, 1, 0, 5 } }, 0, 0 },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct keepalive_silence silence = { 0 };

    for (unsigned int j = 0; j < LOOKS && cases[i].look[j].now > 0; j++) {
      struct keepalive_tcpinfo control = info(&cases[i].look[j]);

      keepalive_silence_look(
        &silence, &control, cases[i].idle, cases[i].look[j].data);
    }

    is_int(silence.survived, cases[i].survived, "%s: survived %u s",
      cases[i].story, cases[i].survived);
    is_int(
      silence.forgotten, cases[i].forgotten, "... forgotten %u", cases[i].forgotten);
  }
}

/* A transfer of which there was no look but at its end, and at the end of the
 * connection. */
static void test_suspicion(void) {
  static const struct {
    const char *story;
    struct moment end, last;
    bool well, known;
  } cases[] = {
    { "a probe was not answered, and the client was heard no more",
      { 60, 1, 9, 2, 59 }, { 80, 1, 9, 5, 0 }, true, true },
    { "the client had vanished before the probe", { 60, 1, 9, 2, 20 },
      { 80, 1, 9, 5, 0 }, true, false },
    { "nobody looked at the data connection", { 60, 1, 9, 2, 0 },
      { 80, 1, 9, 5, 0 }, true, false },
    { "the transfer failed: nobody knows who was there",
      { 60, 1, 9, 2, 59 }, { 80, 1, 9, 5, 0 }, false, false },
    { "the client was heard at the end of the transfer",
      { 60, 59, 9, 0, 59 }, { 80, 59, 9, 5, 0 }, true, false },
    { "the client was heard as long as an answer may take",
      { 60, 1, 9, 2, 27 }, { 80, 1, 9, 5, 0 }, true, false },
    { "... and longer", { 60, 1, 9, 2, 27.1 }, { 80, 1, 9, 5, 0 }, true, true },
    { "no probe was due", { 60, 1, 9, 0, 59 }, { 80, 1, 9, 5, 0 }, true, false },
    { "two probes got lost", { 60, 1, 9, 2, 59 }, { 80, 1, 9, 2, 0 }, true,
      false },
    { "... and a third", { 60, 1, 9, 2, 59 }, { 80, 1, 9, 3, 0 }, true, true },
    { "a single probe got lost", { 60, 1, 9, 1, 59 }, { 80, 61, 10, 0, 0 }, true,
      false },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct keepalive_silence silence = { 0 };
    struct keepalive_tcpinfo end = info(&cases[i].end),
                             last = info(&cases[i].last);

    if (cases[i].well) {
      keepalive_silence_transfer_ended(&silence, &end, 25, cases[i].end.data);
    }
    keepalive_silence_end(&silence, &last, 25);
    is_int(silence.forgotten, cases[i].known ? 25 : 0, "%s", cases[i].story);
  }
}

/* Of one look: what it starts from, what it sees, what it leaves behind. */
static void test_looks(void) {
  static const struct {
    const char *what;
    struct keepalive_silence before;
    struct keepalive_tcpinfo control;
    double data;
    unsigned int survived, forgotten, vain;
  } cases[] = {
    { "an answer after 14 s", { .seen = true, .heard = 10, .segs_in = 5 },
      { .heard = 24, .segs_in = 6 }, 0, 14, 0, 0 },
    { "no answer", { .seen = true, .heard = 10, .segs_in = 5 },
      { .heard = 24, .segs_in = 5 }, 0, 0, 0, 0 },
    { "an answer to what was sent again",
      { .seen = true, .heard = 10, .segs_in = 5, .resent = 3 },
      { .heard = 24, .segs_in = 6, .resent = 4 }, 0, 0, 0, 0 },
    { "the first look", { .heard = 0 }, { .heard = 24, .segs_in = 1 }, 0, 0, 0,
      0 },
    { "an answer on a path that had forgotten",
      { .seen = true, .heard = 10, .segs_in = 5, .forgotten = 4, .vain = 3,
        .suspected = true },
      { .heard = 12, .segs_in = 6 }, 0, 2, 0, 0 },
    { "nobody knows whether the client was there",
      { .seen = true, .heard = 10, .segs_in = 5, .vain = 2, .tries = 2 },
      { .heard = 10, .segs_in = 5, .tries = 3 }, 0, 0, 0, 0 },
    { "it was, for exactly as long as an answer may take",
      { .seen = true, .heard = 10, .segs_in = 5, .vain = 2, .tries = 2 },
      { .heard = 10, .segs_in = 5, .tries = 3 }, 71, 0, 0, 0 },
    { "it was, for longer",
      { .seen = true, .heard = 10, .segs_in = 5, .vain = 1, .tries = 1 },
      { .heard = 10, .segs_in = 5, .tries = 2 }, 71.1, 0, 0, 2 },
    { "... and a third probe was in vain",
      { .seen = true, .heard = 10, .segs_in = 5, .vain = 2, .tries = 2 },
      { .heard = 10, .segs_in = 5, .tries = 3 }, 71.1, 0, 60, 3 },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const struct keepalive_tcpinfo *control = &cases[i].control;
    struct keepalive_silence after = cases[i].before;

    keepalive_silence_look(&after, control, 60, cases[i].data);
    is_int(after.survived, cases[i].survived, "%s: survived", cases[i].what);
    is_int(after.forgotten, cases[i].forgotten, "... forgotten");
    is_int(after.vain, cases[i].vain, "... in vain");
    ok(after.tries == control->tries && !after.suspected &&
         (control->tries > 0 ||
           (after.seen && after.heard == control->heard &&
             after.segs_in == control->segs_in &&
             after.resent == control->resent)),
      "... and the next look starts from this one");
  }
}

static void test_steps(void) {
  static const struct {
    unsigned int survived, step, limit, forgotten, next;
  } cases[] = {
    { 0, 1, 25, 0, 1 },
    { 1, 1, 25, 0, 2 },
    { 8, 8, 25, 0, 16 },
    { 16, 16, 25, 0, 25 },
    { 25, 25, 25, 0, 25 },
    { 4, 8, 25, 0, 8 },
    { 1, 1, 25, 1, 1 },
    { 8, 8, 25, 16, 8 },
    { 8, 8, 25, 17, 16 },
    { 4, 4, 25, 16, 8 },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct keepalive_silence silence = { .survived = cases[i].survived };

    is_int(keepalive_silence_step(
             &silence, cases[i].step, cases[i].limit, cases[i].forgotten),
      cases[i].next, "after %u s, %u survived, %u too long: %u s",
      cases[i].step, cases[i].survived, cases[i].forgotten, cases[i].next);
  }
}

static void test_line(void) {
  static const char address[] = "fe80:1111:2222:3333:4444:5555:6666:7777";
  char text[400];

  keepalive_silence_print_gone(text, sizeof(text), "192.0.2.1", "RETR", 6.4);
  is_str(text,
    "RETR by 192.0.2.1: no answer for 6s, so the session ends: the client is "
    "gone",
    "the log says for how long the client was not heard");
  keepalive_silence_print_gone(text, sizeof(text), address, "COMMAND", 4e9);
  ok(strlen(text) <= 160, "in at most 160 characters: %zu", strlen(text));
}

int main(void) {
  test_stories();
  test_suspicion();
  test_looks();
  test_steps();
  test_line();
  return done_testing();
}
