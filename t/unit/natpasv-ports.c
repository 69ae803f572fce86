/*
 * The grammar of ports, the order that "external" counts along, and what ends
 * a wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/pending.c"
#include "../../mod_natpasv/ports.c"

#include "tap.h"

#include <stdlib.h>

static const struct {
  const char *text;
  int error;
  unsigned int count;
} texts[] = {
  { "60000-60999", 0, 1000 },
  { "60000", 0, 1 },
  { "61000-61099,61200-61249", 0, 150 },
  { "61200-61249,1024,61000", 0, 52 },
  { "1024-65535", 0, 64512 },
  { "60000-60000", 0, 1 },
  { "9999", 0, 1 },
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

/* What a client sent while it waited. */
static const struct {
  const char *lines;
  enum natpasv_pending first;
} sent[] = {
  { "ABOR\r\n", NATPASV_PENDING_ABOR },
  { "quit\r\n", NATPASV_PENDING_QUIT },
  { "Quit\n", NATPASV_PENDING_QUIT },
  { "\377\364\377\362ABOR\r\n", NATPASV_PENDING_ABOR },
  { "NOOP\r\n\377\364ABOR\r\n", NATPASV_PENDING_ABOR },
  { "noop\r\nNOOP\r\nQUIT\r\n", NATPASV_PENDING_QUIT },
  { "LIST\r\nQUIT\r\n", NATPASV_PENDING_OTHER },
  { "RETR a\r\nABOR\r\n", NATPASV_PENDING_OTHER },
  { "NOOP\r\nLIST\r\nQUIT\r\n", NATPASV_PENDING_OTHER },
  { "", NATPASV_PENDING_NONE },
  { "A", NATPASV_PENDING_NONE },
  { "ABOR", NATPASV_PENDING_NONE },
  { "ABOR x\r\n", NATPASV_PENDING_OTHER },
  { "ABORT\r\n", NATPASV_PENDING_OTHER },
  { "XABOR\r\n", NATPASV_PENDING_OTHER },
  { "NOOP", NATPASV_PENDING_NONE },
  { "STAT QUIT\r\n", NATPASV_PENDING_OTHER },
  { "NOOP\r\n", NATPASV_PENDING_NONE },
  { "NOOP\r\nABO", NATPASV_PENDING_NONE },
  { "\n", NATPASV_PENDING_OTHER },
  { "\377\364\377\362", NATPASV_PENDING_NONE },
};

static void test_pending(void) {
  for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
    size_t size = strlen(sent[i].lines);
    char *exactly = malloc(size + 1);

    /* Nothing behind the last byte, for the sanitizers. */
    exactly = realloc(memcpy(exactly, sent[i].lines, size), size + !size);
    is_int(natpasv_pending_first(exactly, size), sent[i].first,
      "what a client says that waits, no. %zu", i);
    free(exactly);
  }
}

static void test_order(void) {
  static struct natpasv_ports ports, other;
  static uint64_t bitmap[NATPASV_WORDS];
  struct natpasv_range runs[NATPASV_MAX_RANGES];
  char text[64];
  int same = 0;

  natpasv_ports_parse(&ports, "61200-61204,1024,61000-61001", 1024);
  is_int(natpasv_ports_index(&ports, 61200), 0, "the first port is number 0");
  is_int(natpasv_ports_index(&ports, 61204), 4, "then along its range");
  is_int(natpasv_ports_index(&ports, 1024), 5, "then the next range");
  is_int(natpasv_ports_index(&ports, 61001), 7, "to the last");
  is_int(natpasv_ports_nth(&ports, 0), 61200, "... and back: number 0");
  is_int(natpasv_ports_nth(&ports, 4), 61204, "... the last of its range");
  is_int(natpasv_ports_nth(&ports, 5), 1024, "... the next range");
  is_int(natpasv_ports_nth(&ports, 7), 61001, "... the last of all");
  is_int(natpasv_ports_nth(&ports, 8), 0, "... and no more");
  is_int(natpasv_ports_index(&ports, 61205), -1, "a port outside has none");
  is_int(natpasv_ports_index(&ports, 0), -1, "nor has port 0");

  is_int(natpasv_ports_runs(&ports, runs), 3, "in ascending order: three runs");
  ok(runs[0].first == 1024 && runs[0].last == 1024 && runs[1].first == 61000 &&
       runs[1].last == 61001 && runs[2].first == 61200 && runs[2].last == 61204,
    "... from the lowest port to the highest");
  natpasv_ports_parse(&other, "61000,61001,1024,61202-61204,61200-61201", 1024);
  ok(natpasv_ports_key(&ports) == natpasv_ports_key(&other),
    "the same ports have the same key, however they are written");
  for (unsigned int i = 1024; i <= 65535; i++) {
    static uint64_t keys[65536];

    snprintf(text, sizeof(text), "%u", i);
    natpasv_ports_parse(&other, text, 1024);
    keys[i] = natpasv_ports_key(&other);
    same += i > 1087 && (keys[i] == keys[i - 1] || keys[i] == keys[i - 63]);
  }
  is_int(same, 0, "... and others have another one");

  natpasv_ports_parse(&other, "1024,61000,65535", 1024);
  ok(natpasv_ports_have(&other, 65535), "which is one of them");
  ok(!natpasv_ports_have(&other, 65536), "... and the one after it is not");

  natpasv_ports_parse(&other, "61001-61100", 1024);
  is_int(natpasv_ports_overlap(&ports, &other), 61001, "an overlap is found");
  natpasv_ports_parse(&other, "61002-61199,65535", 1024);
  is_int(natpasv_ports_overlap(&ports, &other), 0, "no overlap is none");

  bitmap[natpasv_word(61199)] |= natpasv_bit(61199);
  is_int(natpasv_ports_marked(&ports, bitmap), 0,
    "nor is a port that is marked in a bitmap, between two ranges");
  bitmap[natpasv_word(61204)] |= natpasv_bit(61204);
  is_int(natpasv_ports_marked(&ports, bitmap), 61204, "one in a range is found");

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

  for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    int res = natpasv_ports_parse(&ports, texts[i].text, NATPASV_MIN_PORT);

    if (texts[i].error == 0) {
      ok(res == 0 && ports.count == texts[i].count, "'%s' is %u ports",
        texts[i].text, texts[i].count);
    } else {
      ok(res < 0 && errno == texts[i].error, "'%s' is refused: %s",
        texts[i].text, strerror(texts[i].error));
    }
  }

  for (unsigned int i = 0; i < 65; i++) {
    snprintf(many + strlen(many), 7, "%s%u", i ? "," : "", 20000 + 2 * i);
  }
  ok(natpasv_ports_parse(&ports, many, 1024) < 0 && errno == E2BIG,
    "65 ranges are too many");
  *strrchr(many, ',') = '\0';
  is_int(natpasv_ports_parse(&ports, many, 1024), 0, "64 are not");

  test_pending();
  test_order();
  return done_testing();
}
