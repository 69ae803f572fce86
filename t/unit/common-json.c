/*
 * common-json.c - what is written is JSON, in ASCII, in lines that ProFTPD's
 * controls take.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/common_json.h"
#include "tap.h"

static char out[200000];
static size_t lines, longest;
static bool ascii;

static void add_line(void *user, const char *line) {
  size_t len = strlen(line);

  (void) user;
  for (size_t i = 0; i < len; i++) {
    ascii = ascii && line[i] >= ' ' && line[i] <= '~';
  }
  longest = len > longest ? len : longest;
  lines++;
  strncat(out, line, sizeof(out) - strlen(out) - 1);
}

static struct json start(void) {
  struct json json = { .line = add_line };

  out[0] = '\0';
  lines = longest = 0;
  ascii = true;
  return json;
}

static const char *quoted(const char *text) {
  struct json json = start();

  json_text(&json, NULL, text);
  json_flush(&json);
  return out;
}

static void test_texts(void) {
  char all[256], copy[32] = "12345678";
  size_t len = 0;

  is_str(quoted(""), "\"\"", "an empty text");
  is_str(quoted("a b"), "\"a b\"", "a plain text");
  is_str(quoted("\"\\/"), "\"\\\"\\\\/\"", "quotation mark and backslash");
  is_str(quoted("a\nb\t\x01\x7f"), "\"a\\u000ab\\u0009\\u0001\\u007f\"",
    "control characters");
  is_str(quoted("b\xc3\xbcro \xff"), "\"b??ro ?\"", "bytes outside ASCII");
  is_str(quoted(copy), "\"12345678\"", "digits of a text stay a text");

  for (int c = 1; c < 256; c++) {
    all[len++] = (char) c;
  }
  all[len] = '\0';
  (void) quoted(all);
  ok(ascii, "each byte comes out as ASCII");
}

static void test_values(void) {
  struct json json = start();

  json_open(&json, NULL, '{');
  json_text(&json, "a", "x");
  json_number(&json, "b", INT64_MIN);
  json_number(&json, "c", INT64_MAX);
  json_bool(&json, "d", true);
  json_bool(&json, "e", false);
  json_null(&json, "f");
  json_open(&json, "g", '[');
  json_close(&json, ']');
  json_open(&json, "h", '[');
  json_number(&json, NULL, 1);
  json_open(&json, NULL, '{');
  json_close(&json, '}');
  json_open(&json, NULL, '{');
  json_text(&json, "i\"", "y");
  json_close(&json, '}');
  json_close(&json, ']');
  json_close(&json, '}');
  json_flush(&json);
  is_str(out,
    "{\"a\": \"x\", \"b\": -9223372036854775808, \"c\": 9223372036854775807, "
    "\"d\": true, \"e\": false, \"f\": null, \"g\": [], \"h\": [1, {}, "
    "{\"i\\\"\": \"y\"}]}",
    "all kinds of values");
  is_int(lines, 1, "... in one line");
  json_flush(&json);
  is_int(lines, 1, "an empty line is not sent");
}

static void test_lines(void) {
  static char text[5000];
  struct json json = start();

  memset(text, 'x', sizeof(text) - 1);
  json_open(&json, NULL, '[');
  for (size_t i = 0; i < 100; i++) {
    text[i * 20] = '\0';
    json_text(&json, NULL, text);
    text[i * 20] = 'x';
    json_number(&json, NULL, (int64_t) i);
  }
  json_close(&json, ']');
  json_flush(&json);
  ok(lines > 20, "what is long comes in many lines");
  ok(longest < 1000, "... none of them too long");
  ok(out[0] == '[' && out[strlen(out) - 1] == ']', "... and whole");

  memset(text, 'x', sizeof(text) - 1);
  is_int(strlen(quoted(text)), 937, "a long text is cut at 935 characters");
  memset(text, 1, sizeof(text) - 1);
  (void) quoted(text);
  is_int(strlen(out), 938, "... and one of \\u0001 at the last whole one");
  is_int(lines, 1, "a text that is too long for a line is one line");
  ok(
    longest < 1000 && out[strlen(out) - 1] == '"', "... cut, but still a text");
  ok((strlen(out) - 2) % 6 == 0, "... and not within a character");
}

/* Lines that are full to the last byte: "[", texts of 2 + 98 bytes and commas
 * of 2. */
static void test_full_line(void) {
  for (int more = 0; more <= 1; more++) {
    struct json json = start();
    char text[99] = "";

    memset(text, 'x', 98);
    json_open(&json, NULL, '[');
    for (int i = 0; i < 9; i++) {
      json_text(&json, NULL, text);
    }
    memset(text, 0, sizeof(text));
    memset(text, 'y', (size_t) (JSON_LINE_SIZE - 1 - (1 + 9 * 102) - 2 + more));
    json_text(&json, NULL, text);
    json_flush(&json);
    is_int(lines, 1 + more, "%d bytes: %d lines", JSON_LINE_SIZE - 1 + more,
      1 + more);
    is_int(longest, more ? 1 + 9 * 102 : 959, "... of %zu at most", longest);
  }
}

int main(void) {
  test_full_line();
  test_texts();
  test_values();
  test_lines();
  return done_testing();
}
