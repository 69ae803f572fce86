/*
 * mod_natpasv - sleeping on a word of shared memory
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "futex.h"

#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The kernel reads the word itself. On a 32-bit machine, an atomic of 64 bits
 * may use a lock of libatomic, which other processes do not see. */
_Static_assert(sizeof(_Atomic uint32_t) == 4, "a futex has 32 bits");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2,
  "atomics that processes share are lock-free");

/* On systems whose time_t is longer than that of the older system call. */
#if !defined(SYS_futex)
#define SYS_futex SYS_futex_time64
#endif
#if !defined(SYS_futex_time64)
#define SYS_futex_time64 SYS_futex
#endif
#define FUTEX_CALL \
  (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)

static void sleep_on(
  _Atomic uint32_t *word, uint32_t seen, volatile struct timespec *limit) {
  (void) syscall(FUTEX_CALL, word, FUTEX_WAIT, seen, limit, NULL, 0);
}

static void set_limit(volatile struct timespec *limit, unsigned int ms) {
  limit->tv_sec = ms / 1000;
  limit->tv_nsec = (long) (ms % 1000) * 1000000;
}

void natpasv_futex_wait(
  _Atomic uint32_t *word, uint32_t seen, unsigned int ms) {
  struct timespec limit;

  set_limit(&limit, ms);
  sleep_on(word, seen, &limit);
}

/* A signal ends a sleep, but not one that is just about to begin. So its
 * handler sets the time limit to zero, which the kernel reads afterwards; and
 * for a handler that ran before there was a limit, it leaves a note. ProFTPD's
 * own handlers do neither, but its alarm, which comes every five seconds, ends
 * the sleep, so that SIGTERM is seen then. */
static volatile struct timespec nap;
static volatile sig_atomic_t interrupted = 0;

void natpasv_futex_attend(void) {
  interrupted = 0;
}

void natpasv_futex_interrupt(void) {
  interrupted = 1;
  set_limit(&nap, 0);
}

void natpasv_futex_nap(_Atomic uint32_t *word, uint32_t seen, unsigned int ms) {
  set_limit(&nap, ms);
  if (!interrupted) {
    sleep_on(word, seen, &nap);
  }
}

void natpasv_futex_wake(_Atomic uint32_t *word) {
  (void) syscall(FUTEX_CALL, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

uint64_t natpasv_now_ms(void) {
  struct timespec now;

  (void) clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}
