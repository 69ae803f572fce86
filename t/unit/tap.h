/*
 * tap.h - Test Anything Protocol for the C tests: one function per kind of
 * comparison, each test named by a sentence. A program that hangs or eats
 * memory is ended after five minutes, at a gigabyte, and its children end with
 * it: a thousand that wait for a dead parent make a machine useless.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TAP_H
#define TAP_H

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define TAP_SECONDS 300
#define TAP_MEMORY (1UL << 30)

static void tap_hangs(int signo) {
  static const char told[] = "# the test is not done after five minutes\n";

  (void) signo;
  (void) !write(STDOUT_FILENO, told, sizeof(told) - 1);
  _exit(124);
}

static void tap_child(void) {
  (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

__attribute__((constructor)) static void tap_limit(void) {
#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes */
  const struct rlimit memory = { TAP_MEMORY, TAP_MEMORY };

  setrlimit(RLIMIT_DATA, &memory);
#endif
  setvbuf(stdout, NULL, _IOLBF, 0); /* what was told is not lost */
  signal(SIGALRM, tap_hangs);
  alarm(TAP_SECONDS);
  (void) pthread_atfork(NULL, NULL, tap_child);
}

static int tap_count = 0, tap_failed = 0;

static inline int tap_result(int passed, const char *fmt, va_list args) {
  printf("%sok %d - ", passed ? "" : "not ", ++tap_count);
  vprintf(fmt, args);
  putchar('\n');
  tap_failed += !passed;
  return passed;
}

__attribute__((format(printf, 2, 3), unused)) static int ok(int cond,
  const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  tap_result(cond, fmt, args);
  va_end(args);
  return cond;
}

__attribute__((format(printf, 3, 4), unused)) static int is_int(long long got,
  long long want, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  if (!tap_result(got == want, fmt, args)) {
    printf("#   got %lld, want %lld\n", got, want);
  }
  va_end(args);
  return got == want;
}

__attribute__((format(printf, 3, 4), unused)) static int is_str(
  const char *got, const char *want, const char *fmt, ...) {
  int same = got == want || (got && want && strcmp(got, want) == 0);
  va_list args;

  va_start(args, fmt);
  if (!tap_result(same, fmt, args)) {
    printf("#   got  \"%s\"\n#   want \"%s\"\n", got ? got : "(null)",
      want ? want : "(null)");
  }
  va_end(args);
  return same;
}

/* The plan comes last; the return value is the program's exit status. */
__attribute__((unused)) static int done_testing(void) {
  printf("1..%d\n", tap_count);
  return tap_failed != 0;
}

#endif
