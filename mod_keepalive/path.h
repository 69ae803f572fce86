/*
 * mod_keepalive - what the kernel knows of a TCP connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_PATH_H
#define KEEPALIVE_PATH_H

#include <stdint.h>

struct keepalive_path {
  int closed;              /* TCP gave it up, or the peer reset it */
  unsigned int silent_ms;  /* since anything came from the peer, ACKs too */
  unsigned int unanswered; /* segments and probes without an ACK */
  unsigned int sent_ms;    /* since bytes were last sent to it */
  uint64_t acked;          /* bytes that reached it so far */
};

/* Returns -1 with errno; ENOSYS where the kernel does not tell. */
int keepalive_path_look(int fd, struct keepalive_path *path);

/* Can a byte be written without waiting? */
int keepalive_path_writable(int fd);

/* Seconds on a clock that nobody sets. */
double keepalive_now(void);

#endif
