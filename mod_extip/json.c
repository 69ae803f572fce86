/*
 * mod_extip - finds one string in a JSON text
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <stdint.h>
#include <string.h>

#include "json.h"

#define DEPTH_MAX 32 /* each level is one C stack frame */

struct reader {
  const char *pos;
  const char *end;
  char *out;          /* strings are decoded into it until the one is found */
  long found;         /* length of the one, -1 before */
  const char *reason; /* first fault */
};

static bool read_value(struct reader *reader, const char *pointer, int depth);

static bool fail(struct reader *reader, const char *reason) {
  if (reader->reason == NULL) {
    reader->reason = reason;
  }
  return false;
}

static bool malformed(struct reader *reader) {
  return fail(reader, "not a JSON text");
}

static int peek(const struct reader *reader) {
  return reader->pos < reader->end ? (unsigned char) *reader->pos : -1;
}

static bool take(struct reader *reader, char wanted) {
  if (peek(reader) != wanted) {
    return false;
  }
  reader->pos++;
  return true;
}

static void skip_space(struct reader *reader) {
  while (take(reader, ' ') || take(reader, '\t') || take(reader, '\r') ||
         take(reader, '\n')) {
  }
}

static bool is_digit(int c) {
  return c >= '0' && c <= '9';
}

/* The four hexadecimal digits of "\u", or -1. */
static long read_hex4(struct reader *reader) {
  long value = 0;

  for (int i = 0; i < 4; i++) {
    int c = peek(reader);
    int lower = c | 0x20;

    if (is_digit(c)) {
      value = value << 4 | (c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value << 4 | (lower - 'a' + 10);
    } else {
      return -1;
    }
    reader->pos++;
  }
  return value;
}

/* The character of a "\u" whose "\u" is read, two of them for a surrogate pair.
 * -1 when malformed. */
static long read_unicode(struct reader *reader) {
  long code = read_hex4(reader);
  long low;

  if (code < 0xd800 || code > 0xdfff) {
    return code;
  }
  if (code > 0xdbff || !take(reader, '\\') || !take(reader, 'u')) {
    return -1;
  }
  low = read_hex4(reader);
  if (low < 0xdc00 || low > 0xdfff) {
    return -1;
  }
  return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* Never longer than the escape it came from. */
static char *put_utf8(char *out, long code) {
  if (code < 0x80) {
    *out++ = (char) code;
  } else if (code < 0x800) {
    *out++ = (char) (0xc0 | code >> 6);
    *out++ = (char) (0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *out++ = (char) (0xe0 | code >> 12);
    *out++ = (char) (0x80 | (code >> 6 & 0x3f));
    *out++ = (char) (0x80 | (code & 0x3f));
  } else {
    *out++ = (char) (0xf0 | code >> 18);
    *out++ = (char) (0x80 | (code >> 12 & 0x3f));
    *out++ = (char) (0x80 | (code >> 6 & 0x3f));
    *out++ = (char) (0x80 | (code & 0x3f));
  }
  return out;
}

/* The character of an escape whose backslash is read, or -1. */
static long read_escape(struct reader *reader) {
  static const char from[] = "\"\\/bfnrt";
  static const char to[] = "\"\\/\b\f\n\r\t";
  int c = peek(reader);
  const char *found;

  if (c <= 0) {
    return -1;
  }
  reader->pos++;
  if (c == 'u') {
    return read_unicode(reader);
  }
  found = strchr(from, c);
  return found != NULL ? to[found - from] : -1;
}

/* Decodes a string into OUT, without a NUL. Its length, or -1. */
static long read_string(struct reader *reader, char *out) {
  char *start = out;

  if (!take(reader, '"')) {
    malformed(reader);
    return -1;
  }
  while (!take(reader, '"')) {
    int c = peek(reader);
    long code = -1;

    if (c >= 0x20 && c != '\\') {
      reader->pos++;
      *out++ = (char) c;
      continue;
    }
    if (take(reader, '\\')) {
      code = read_escape(reader);
    }
    if (code < 0) {
      malformed(reader);
      return -1;
    }
    out = put_utf8(out, code);
  }
  return out - start;
}

static bool read_digits(struct reader *reader) {
  if (!is_digit(peek(reader))) {
    return malformed(reader);
  }
  while (is_digit(peek(reader))) {
    reader->pos++;
  }
  return true;
}

static bool read_number(struct reader *reader) {
  take(reader, '-');
  if (!take(reader, '0') && !read_digits(reader)) {
    return false;
  }
  if (take(reader, '.') && !read_digits(reader)) {
    return false;
  }
  if (take(reader, 'e') || take(reader, 'E')) {
    if (!take(reader, '+')) {
      take(reader, '-');
    }
    return read_digits(reader);
  }
  return true;
}

static bool read_word(struct reader *reader, const char *word) {
  size_t len = strlen(word);

  if ((size_t) (reader->end - reader->pos) < len ||
      memcmp(reader->pos, word, len) != 0) {
    return malformed(reader);
  }
  reader->pos += len;
  return true;
}

/*
 * The pointer below the member NAME when POINTER's first token is that name,
 * else NULL. POINTER is NULL off the way.
 */
static const char *descend(const char *pointer, const char *name, size_t len) {
  size_t used = 0;

  if (pointer == NULL || *pointer != '/') {
    return NULL;
  }
  for (pointer++; *pointer != '\0' && *pointer != '/'; pointer++) {
    char c = *pointer;

    if (c == '~') {
      c = *++pointer == '0' ? '~' : '/';
    }
    if (used == len || name[used] != c) {
      return NULL;
    }
    used++;
  }
  return used == len ? pointer : NULL;
}

static bool read_member(
  struct reader *reader, const char *pointer, int depth, bool *matched) {
  const char *below;
  long len = read_string(reader, reader->out);

  if (len < 0) {
    return false;
  }
  below = descend(pointer, reader->out, (size_t) len);
  if (below != NULL && *matched) {
    return fail(reader, "a name in the pointer appears twice in the JSON text");
  }
  *matched = *matched || below != NULL;

  skip_space(reader);
  if (!take(reader, ':')) {
    return malformed(reader);
  }
  return read_value(reader, below, depth);
}

static bool read_object(struct reader *reader, const char *pointer, int depth) {
  bool matched = false;

  skip_space(reader);
  if (take(reader, '}')) {
    return true;
  }
  do {
    skip_space(reader);
    if (!read_member(reader, pointer, depth, &matched)) {
      return false;
    }
    skip_space(reader);
  } while (take(reader, ','));
  return take(reader, '}') || malformed(reader);
}

/* The decimal digits of INDEX at the end of BUF (no NUL); their number. */
static size_t print_index(char *end, size_t index) {
  size_t len = 0;

  do {
    end[-1 - (long) len++] = (char) ('0' + index % 10);
    index /= 10;
  } while (index > 0);
  return len;
}

static bool read_array(struct reader *reader, const char *pointer, int depth) {
  size_t index = 0;

  skip_space(reader);
  if (take(reader, ']')) {
    return true;
  }
  do {
    char digits[24];
    size_t len = print_index(digits + sizeof(digits), index++);

    if (!read_value(reader,
          descend(pointer, digits + sizeof(digits) - len, len), depth)) {
      return false;
    }
    skip_space(reader);
  } while (take(reader, ','));
  return take(reader, ']') || malformed(reader);
}

static bool read_value(struct reader *reader, const char *pointer, int depth) {
  bool target = pointer != NULL && *pointer == '\0';
  long len;

  skip_space(reader);
  if (depth == DEPTH_MAX) {
    return fail(reader, "JSON nested too deeply");
  }
  if (target && peek(reader) >= 0 && peek(reader) != '"') {
    return fail(reader, "the value is not a JSON string");
  }
  switch (peek(reader)) {
    case '"':
      len = read_string(reader, reader->out);
      if (target && len >= 0) {
        reader->found = len;
        reader->out[len] = '\0';
        reader->out += len + 1;
      }
      return len >= 0;
    case '{':
      reader->pos++;
      return read_object(reader, pointer, depth + 1);
    case '[':
      reader->pos++;
      return read_array(reader, pointer, depth + 1);
    case 't':
      return read_word(reader, "true");
    case 'f':
      return read_word(reader, "false");
    case 'n':
      return read_word(reader, "null");
    default:
      return read_number(reader);
  }
}

bool extip_json_pointer_valid(const char *pointer) {
  if (*pointer != '\0' && *pointer != '/') {
    return false;
  }
  for (const char *c = pointer; *c != '\0'; c++) {
    if (*c == '~' && c[1] != '0' && c[1] != '1') {
      return false;
    }
  }
  return true;
}

long extip_json_string(const char *text, size_t len, const char *pointer,
  char *out, const char **reason) {
  struct reader reader = { text, text + len, out, -1, NULL };

  if (read_value(&reader, pointer, 0)) {
    skip_space(&reader);
    if (reader.pos != reader.end) {
      malformed(&reader);
    } else if (reader.found < 0) {
      fail(&reader, "nothing there in the JSON text");
    }
  }
  *reason = reader.reason;
  return reader.reason == NULL ? reader.found : -1;
}
