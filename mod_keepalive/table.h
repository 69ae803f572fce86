/*
 * mod_keepalive - what all sessions tell the daemon, in shared memory
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_TABLE_H
#define KEEPALIVE_TABLE_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "method.h"
#include "rule.h"

#define KEEPALIVE_SLOTS      1024
#define KEEPALIVE_DEATHS     8
#define KEEPALIVE_CLIENT_LEN 46 /* INET6_ADDRSTRLEN */
#define KEEPALIVE_WHEN_LEN   16

/* A session in transfer.  Only the session itself writes, but for pid. */
struct keepalive_slot {
  _Atomic int32_t pid; /* 0: free */
  uint32_t interval;
  int64_t began; /* time_t */
  _Atomic uint32_t sent;
  _Atomic uint32_t skipped[KEEPALIVE_RESULTS];
  char client[KEEPALIVE_CLIENT_LEN];
  char command[KEEPALIVE_WHEN_LEN];
  char method[KEEPALIVE_WHEN_LEN];
};

/* A control connection whose path died. */
struct keepalive_death {
  int64_t when;      /* time_t */
  uint32_t silent;   /* seconds without a sign of the peer when given up */
  uint32_t idle;     /* the path was gone after at most so many idle seconds */
  uint32_t survived; /* and had survived so many before; 0: not known */
  uint32_t advice;   /* the interval to try; 0: none would have helped */
  char client[KEEPALIVE_CLIENT_LEN];
  char during[KEEPALIVE_WHEN_LEN];
};

struct keepalive_table {
  _Atomic uint32_t magic;
  int64_t since;                             /* time_t */
  _Atomic uint64_t transfers;                /* commands that were kept alive */
  _Atomic uint64_t sent[KEEPALIVE_NONE + 1]; /* by enum keepalive_method */
  _Atomic uint64_t skipped[KEEPALIVE_RESULTS];
  _Atomic uint64_t broken; /* replies that could not be kept: see reply.h */
  _Atomic uint64_t deaths; /* all of them; the last few are kept */
  struct keepalive_death death[KEEPALIVE_DEATHS];
  struct keepalive_slot slot[KEEPALIVE_SLOTS];
};

/* The table in this file, shared by a daemon and all its sessions; made if it
 * is not there.  Returns NULL with errno.
 */
struct keepalive_table *keepalive_table_open(const char *path);

void keepalive_table_close(struct keepalive_table *table);

/* A slot for this process, zeroed; NULL when there is none left.  A slot whose
 * owner is gone counts as free.
 */
struct keepalive_slot *keepalive_table_claim(
  struct keepalive_table *table, pid_t pid);

void keepalive_table_release(struct keepalive_slot *slot);

/* Is a live process in this slot? */
int keepalive_table_in_use(struct keepalive_slot *slot);

void keepalive_table_bury(
  struct keepalive_table *table, const struct keepalive_death *death);

#endif
