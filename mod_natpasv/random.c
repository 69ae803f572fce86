/*
 * mod_natpasv - numbers that nobody can guess
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "random.h"

#include <unistd.h>

/* One system call fetches this much: getentropy(3) gives at most 256 bytes. */
#define RESERVE 64

static uint32_t reserve[RESERVE];
static unsigned int left = 0;
static pid_t owner; /* whose reserve it is */

static int next(uint32_t *number) {
  /* Sessions inherit what the daemon has not used, and would all draw the same
   * ports. */
  if (left == 0 || owner != getpid()) {
    owner = getpid();
    left = 0;
    if (getentropy(reserve, sizeof(reserve)) < 0) {
      return -1;
    }
    left = RESERVE;
  }

  *number = reserve[--left];
  reserve[left] = 0;
  return 0;
}

int natpasv_random(uint32_t below, uint32_t *number) {
  /* Lemire's method: the high half of the product is the result. The low half
   * shows which of the 2^32 numbers have to be rejected, so that all results
   * are equally likely. */
  uint32_t uneven = -below % below;
  uint64_t product;

  do {
    uint32_t drawn;

    if (next(&drawn) < 0) {
      return -1;
    }
    product = (uint64_t) drawn * below;
  } while ((uint32_t) product < uneven);

  *number = (uint32_t) (product >> 32);
  return 0;
}
