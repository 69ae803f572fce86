/*
 * mod_extip - time that has passed, and changes of the wall clock
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_CLOCK_H
#define EXTIP_CLOCK_H

#include <stdint.h>

/* Milliseconds since the boot, of a clock that cannot be set and that runs
 * while the host is suspended. All durations are measured with it. */
int64_t extip_now(void);

/* A time that is recorded: when a round last confirmed an address, for
 * example. */
struct extip_moment {
  int64_t wall; /* seconds since the epoch, for people; 0: never */
  int64_t up;   /* extip_now() in seconds */
  uint64_t
    boot; /* a hash that identifies the boot; 0: the host does not tell */
};

struct extip_moment extip_moment_now(void);

/* Seconds since a time of this boot. Setting the wall clock does not change
 * it. */
int64_t extip_moment_age(const struct extip_moment *moment);

/* Converts a time that was read from a file to one of this boot. For a time of
 * another boot, the wall clock is used, only here. If the time then is in the
 * future, the time since this boot is used instead. */
void extip_moment_adopt(struct extip_moment *moment);

/* A descriptor that becomes readable when the wall clock is set, or the host
 * was suspended; -1 with errno. */
int extip_clock_watch(void);

/* The seconds by which the wall clock was set forward (below 0: back) since the
 * last call; 0 if it was not set, or by less than two seconds. FD is the
 * descriptor above, or -1. */
int64_t extip_clock_step(int fd);

#endif
