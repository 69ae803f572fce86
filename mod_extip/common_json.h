/*
 * common_json.h - JSON in lines that ftpdctl takes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* The daemon of ProFTPD 1.3.9 aborts on a line that is not UTF-8, also on one
 * that it has cut at 1,023 bytes. So this writes ASCII, in shorter lines. Needs
 * no ProFTPD. */

#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define JSON_LINE_SIZE 960 /* with its NUL */

typedef void (*json_line)(void *user, const char *line);

/* Set line and user, and the rest to 0. */
struct json {
  json_line line;
  void *user;
  bool comma; /* the next value follows another one */
  size_t len;
  char text[JSON_LINE_SIZE];
};

/* Writes the line that has been collected. To be called after the last value,
 * too. */
static inline void json_flush(struct json *json) {
  if (json->len > 0) {
    json->text[json->len] = '\0';
    json->line(json->user, json->text);
    json->len = 0;
  }
}

__attribute__((noinline, unused)) static void json_put(
  struct json *json, const char *text, size_t len) {
  if (json->len + len >= sizeof(json->text)) {
    json_flush(json);
  }
  memcpy(json->text + json->len, text, len);
  json->len += len;
}

/* Adds a word; a line ends after a word, never within one. A text that does not
 * fit into a line is cut. A byte outside ASCII becomes a question mark. */
__attribute__((noinline, unused)) static void json_put_text(
  struct json *json, const char *text) {
  char quoted[JSON_LINE_SIZE - 16];
  size_t len = 0;

  quoted[len++] = '"';
  for (; *text != '\0' && len < sizeof(quoted) - 8; text++) {
    unsigned char c = (unsigned char) *text;

    if (c == '"' || c == '\\') {
      quoted[len++] = '\\';
      quoted[len++] = (char) c;
    } else if (c < ' ' || c == 0x7f) {
      len += (size_t) snprintf(quoted + len, 8, "\\u%04x", c);
    } else {
      quoted[len++] = c < 0x80 ? (char) c : '?';
    }
  }
  quoted[len++] = '"';
  json_put(json, quoted, len);
}

/* Adds what precedes a value: a comma, and in an object the key. In an array,
 * KEY is NULL. */
__attribute__((noinline, unused)) static void json_begin(
  struct json *json, const char *key) {
  if (json->comma) {
    json_put(json, ", ", 2);
  }
  json->comma = true;
  if (key != NULL) {
    json_put_text(json, key);
    json_put(json, ": ", 2);
  }
}

/* BRACKET is '{' or '[', and that of json_close() is '}' or ']'. */
static inline void json_open(struct json *json, const char *key, char bracket) {
  json_begin(json, key);
  json_put(json, &bracket, 1);
  json->comma = false;
}

static inline void json_close(struct json *json, char bracket) {
  json_put(json, &bracket, 1);
  json->comma = true;
}

static inline void json_text(
  struct json *json, const char *key, const char *text) {
  json_begin(json, key);
  json_put_text(json, text);
}

static inline void json_number(
  struct json *json, const char *key, int64_t number) {
  char text[24];
  int len = snprintf(text, sizeof(text), "%lld", (long long) number);

  json_begin(json, key);
  json_put(json, text, (size_t) len);
}

/* Seconds with three decimals; the key ends in "_s". */
static inline void json_milliseconds(
  struct json *json, const char *key, uint32_t number) {
  char text[24];
  int len =
    snprintf(text, sizeof(text), "%u.%03u", number / 1000, number % 1000);

  json_begin(json, key);
  json_put(json, text, (size_t) len);
}

static inline void json_bool(struct json *json, const char *key, bool value) {
  json_begin(json, key);
  json_put(json, value ? "true" : "false", value ? 4 : 5);
}

static inline void json_null(struct json *json, const char *key) {
  json_begin(json, key);
  json_put(json, "null", 4);
}

/* A time as RFC 3339 has it, in UTC; null for 0 and for what is no year of four
 * digits. */
__attribute__((noinline, unused)) static void json_time(
  struct json *json, const char *key, int64_t when) {
  time_t seconds = (time_t) when;
  char text[32];
  struct tm tm;

  if (when == 0 || gmtime_r(&seconds, &tm) == NULL || tm.tm_year < -900 ||
      tm.tm_year > 8099 ||
      strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
    json_null(json, key);
  } else {
    json_text(json, key, text);
  }
}

/* Opens the object that a module answers with: WHO it is ("mod_x/1.0"), and
 * since when it counts. */
__attribute__((noinline, unused)) static void json_report(
  struct json *json, const char *who, int64_t since) {
  const char *slash = strchr(who, '/');
  char module[32];

  (void) snprintf(module, sizeof(module), "%.*s", (int) (slash - who), who);
  json_open(json, NULL, '{');
  json_text(json, "module", module);
  json_text(json, "version", slash + 1);
  json_time(json, "since", since);
}

static inline void json_report_end(struct json *json) {
  json_close(json, '}');
  json_flush(json);
}

#endif
