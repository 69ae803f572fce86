/*
 * The grammar of ports and durations, and the order that "external" counts
 * along.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/ports.c"
#include "../../mod_natpasv/words.c"

#include "tap.h"

#include <stdlib.h>

static const struct {
  const char *text;
  int error;
  unsigned count;
} texts[] = {
  { "60000-60999", 0, 1000 },
  { "60000", 0, 1 },
  { "61000-61099,61200-61249", 0, 150 },
  { "61200-61249,1024,61000", 0, 52 },
  { "1024-65535", 0, 64512 },
  { "60000-60000", 0, 1 },
  { "", EINVAL, 0 },
  { "-", EINVAL, 0 },
  { ",", EINVAL, 0 },
  { "60000-", EINVAL, 0 },
  { "-60000", EINVAL, 0 },
  { "60000,", EINVAL, 0 },
  { ",60000", EINVAL, 0 },
  { "60000,,60001", EINVAL, 0 },
  { "60000-60001-60002", EINVAL, 0 },
  { " 60000", EINVAL, 0 },
  { "60000 ", EINVAL, 0 },
  { "60000 -60001", EINVAL, 0 },
  { "+60000", EINVAL, 0 },
  { "060000", EINVAL, 0 },
  { "0xea60", EINVAL, 0 },
  { "6e4", EINVAL, 0 },
  { "0", EINVAL, 0 },
  { "1023", EINVAL, 0 },
  { "1023-1030", EINVAL, 0 },
  { "65536", EINVAL, 0 },
  { "65530-65536", EINVAL, 0 },
  { "4295027296", EINVAL, 0 },
  { "99999999999999999999", EINVAL, 0 },
  { "60001-60000", EINVAL, 0 },
  { "60000,60000", EEXIST, 0 },
  { "60000-60010,60010-60020", EEXIST, 0 },
};

static const struct {
  const char *text;
  int seconds; /* -1 is not a duration */
} durations[] = {
  { "0", 0 },
  { "0s", 0 },
  { "90", 90 },
  { "90s", 90 },
  { "90SEC", 90 },
  { "5m", 300 },
  { "5min", 300 },
  { "2h", 7200 },
  { "2hr", 7200 },
  { "24h", 86400 },
  { "86400", 86400 },
  { "00:01:30", 90 },
  { "24:00:00", 86400 },
  { "", -1 },
  { "s", -1 },
  { "-1", -1 },
  { "+1", -1 },
  { " 1", -1 },
  { "1 s", -1 },
  { "1.5s", -1 },
  { "5x", -1 },
  { "5ms", -1 },
  { "25h", -1 },
  { "86401", -1 },
  { "9999999", -1 },
  { "99999999999999999999", -1 },
  { "0:01:30", -1 },
  { "00:60:00", -1 },
  { "00:01", -1 },
  { "00:00:01:00", -1 },
  { "24:00:01", -1 },
  { "::", -1 },
};

/* What a client sent while it waited. */
static const struct {
  const char *lines;
  int stop;
} sent[] = {
  { "ABOR\r\n", 1 },
  { "quit\r\n", 1 },
  { "Quit\n", 1 },
  { "\377\364\377\362ABOR\r\n", 1 },
  { "NOOP\r\n\377\364ABOR\r\n", 1 },
  { "", 0 },
  { "A", 0 },
  { "ABOR", 0 },
  { "ABOR x\r\n", 0 },
  { "ABORT\r\n", 0 },
  { "XABOR\r\n", 0 },
  { "NOOP", 0 },
  { "STAT QUIT\r\n", 0 },
  { "NOOP\r\n", 0 },
  { "NOOP\r\nABO", 0 },
  { "\377\364\377\362", 0 },
};

static void test_stop(void) {
  unsigned i;

  for (i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
    size_t size = strlen(sent[i].lines);
    char *exactly = malloc(size + 1);

    /* Nothing behind the last byte, for the sanitizers. */
    exactly = realloc(memcpy(exactly, sent[i].lines, size), size + !size);
    is_int(natpasv_says_stop(exactly, size), sent[i].stop,
      "the end of a wait or not, no. %u", i);
    free(exactly);
  }
}

static void test_order(void) {
  static struct natpasv_ports ports, other;
  char text[64];

  natpasv_ports_parse(&ports, "61200-61204,1024,61000-61001", 1024);
  is_int(natpasv_ports_index(&ports, 61200), 0, "the first port is number 0");
  is_int(natpasv_ports_index(&ports, 61204), 4, "then along its range");
  is_int(natpasv_ports_index(&ports, 1024), 5, "then the next range");
  is_int(natpasv_ports_index(&ports, 61001), 7, "to the last");
  is_int(natpasv_ports_index(&ports, 61205), -1, "a port outside has none");
  is_int(natpasv_ports_index(&ports, 0), -1, "nor has port 0");
  is_int(natpasv_ports_nth(&ports, 0), 61200, "number 0 is the first port");
  is_int(natpasv_ports_nth(&ports, 5), 1024, "... and so on from range to range");
  is_int(natpasv_ports_nth(&ports, 7), 61001, "... to the last");

  natpasv_ports_parse(&other, "61001-61100", 1024);
  is_int(natpasv_ports_overlap(&ports, &other), 61001, "an overlap is found");
  natpasv_ports_parse(&other, "61002-61199,65535", 1024);
  is_int(natpasv_ports_overlap(&ports, &other), 0, "no overlap is none");

  is_int(natpasv_ports_print(&ports, text, sizeof(text)), 28,
    "printing tells its length");
  is_str(text, "61200-61204,1024,61000-61001", "what was read is printed");
  is_int(natpasv_ports_print(&ports, text, 8), 28, "... also if it is cut");
  is_str(text, "61200-6", "... to the room there is");
  is_int(natpasv_ports_parse(&ports, "1-65535", 1), 0, "lists of the kernel");
}

int main(void) {
  static struct natpasv_ports ports;
  char many[65 * 6 + 1] = "";
  unsigned i;

  for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    int res = natpasv_ports_parse(&ports, texts[i].text, NATPASV_MIN_PORT);

    if (texts[i].error == 0) {
      ok(res == 0 && ports.count == texts[i].count, "'%s' is %u ports",
        texts[i].text, texts[i].count);
    } else {
      ok(res < 0 && errno == texts[i].error, "'%s' is refused: %s",
        texts[i].text, strerror(texts[i].error));
    }
  }

  for (i = 0; i < 65; i++) {
    snprintf(many + strlen(many), 7, "%s%u", i ? "," : "", 20000 + 2 * i);
  }
  ok(natpasv_ports_parse(&ports, many, 1024) < 0 && errno == E2BIG,
    "65 ranges are too many");
  *strrchr(many, ',') = '\0';
  is_int(natpasv_ports_parse(&ports, many, 1024), 0, "64 are not");

  for (i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
    unsigned seconds = 0;
    int res = natpasv_parse_duration(durations[i].text, &seconds);

    is_int(res < 0 ? -1 : (int) seconds, durations[i].seconds,
      "duration '%s'", durations[i].text);
  }

  ok(natpasv_is_name("a-Z_0.9", 31), "a name");
  ok(!natpasv_is_name("", 31) && !natpasv_is_name("a b", 31) &&
      !natpasv_is_name("a\"", 31) && !natpasv_is_name("12345", 4),
    "and what is none");

  test_stop();
  test_order();
  return done_testing();
}
