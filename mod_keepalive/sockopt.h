/*
 * mod_keepalive - the TCP options of a connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_SOCKOPT_H
#define KEEPALIVE_SOCKOPT_H

enum keepalive_sockopt {
  KEEPALIVE_IDLE,         /* TCP_KEEPIDLE: seconds of silence before a probe */
  KEEPALIVE_BETWEEN,      /* TCP_KEEPINTVL: seconds between unanswered ones */
  KEEPALIVE_COUNT,        /* TCP_KEEPCNT: unanswered ones that end it */
  KEEPALIVE_USER_TIMEOUT, /* TCP_USER_TIMEOUT: milliseconds, 0: the system's */
  KEEPALIVE_ON,           /* SO_KEEPALIVE */
  KEEPALIVE_SOCKOPTS
};

struct keepalive_sockopts {
  int value[KEEPALIVE_SOCKOPTS];
};

/* The options of a socket as they are now. Returns -1 with errno. */
int keepalive_sockopts_get(int fd, struct keepalive_sockopts *opts);

/* Changes a socket from one set of options to another, and sets only those that
 * differ. Tries all, and returns -1 with the errno of the last failure. */
int keepalive_sockopts_change(int fd, const struct keepalive_sockopts *from,
  const struct keepalive_sockopts *to);

/* Makes PLAN send a probe after IDLE seconds of silence. If it is not answered,
 * further ones follow each BETWEEN seconds for PATIENCE seconds: at least 9,
 * and at most 127, the kernel's limit. Then TCP gives up the peer. */
void keepalive_sockopts_probe(struct keepalive_sockopts *plan,
  unsigned int idle, unsigned int between, unsigned int patience);

/* Makes PLAN send probes after INTERVAL seconds at the latest, and give up a
 * dead peer after DEADLINE seconds. Only for a connection whose peer has
 * received everything that was sent: with a closed window, a peer that answers
 * would be given up, too. */
void keepalive_sockopts_deadline(struct keepalive_sockopts *plan,
  unsigned int interval, unsigned int deadline);

#endif
