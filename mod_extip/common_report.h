/*
 * common_report.h - what ftpdctl shows to people
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Needs no ProFTPD. */

#ifndef COMMON_REPORT_H
#define COMMON_REPORT_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define REPORT_WIDTH 91 /* 100 columns, less the "ftpdctl: " of each line */

/* Called with each line, without its end. */
typedef void (*report_line)(void *user, const char *line);

struct report {
  report_line line;
  void *user;
};

/* Where to break a text that is longer than ROOM: at the last blank, or within
 * a word that has none. */
static inline size_t report_break(const char *text, size_t room) {
  size_t at = room;

  while (at > room / 2 && text[at] != ' ') {
    at--;
  }
  return text[at] == ' ' ? at : room;
}

/* Writes a line. What is too long for one goes on in the next, behind INDENT
 * blanks. */
__attribute__((format(printf, 3, 4), noinline, unused)) static void report_put(
  const struct report *report, int indent, const char *fmt, ...) {
  char text[480], line[REPORT_WIDTH + 1], *rest = text;
  int before = 0;
  va_list args;

  va_start(args, fmt);
  (void) vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);

  do {
    size_t room = (size_t) (REPORT_WIDTH - before), len = strlen(rest);

    len = len <= room ? len : report_break(rest, room);
    (void) snprintf(line, sizeof(line), "%*s%.*s", before, "", (int) len, rest);
    report->line(report->user, line);
    rest += len;
    rest += strspn(rest, " ");
    before = indent;
  } while (*rest != '\0');
}

#define REPORT_TIME_SIZE 80

/* "2026-11-21 03:04:05 (1h 2m 5s ago)", in local time; "never" for 0. */
__attribute__((noinline, unused)) static const char *report_time(
  int64_t when, int64_t now, char buf[REPORT_TIME_SIZE]) {
  int64_t away = when > now ? when - now : now - when;
  time_t seconds = (time_t) when;
  char date[24], hours[24] = "", minutes[8] = "";
  struct tm tm;

  if (when == 0 || localtime_r(&seconds, &tm) == NULL ||
      strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm) == 0) {
    return "never";
  }

  if (away >= 3600) {
    (void) snprintf(hours, sizeof(hours), "%lldh ", (long long) (away / 3600));
  }
  if (away >= 60) {
    (void) snprintf(minutes, sizeof(minutes), "%dm ", (int) (away / 60 % 60));
  }
  (void) snprintf(buf, REPORT_TIME_SIZE, "%s (%s%s%s%ds%s)", date,
    when > now ? "in " : "", hours, minutes, (int) (away % 60),
    when > now ? "" : " ago");
  return buf;
}

#endif
