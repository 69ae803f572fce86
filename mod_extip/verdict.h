/*
 * mod_extip - ftpdctl extip check: what follows from what was seen
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_VERDICT_H
#define EXTIP_VERDICT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the probe says of a port. It is never believed that it has reached us
 * if nobody has come. */
enum extip_word {
  EXTIP_WORD_NONE,
  EXTIP_WORD_REACHED,
  EXTIP_WORD_CLOSED,
  EXTIP_WORD_UNTOLD
};

struct extip_tried {
  const char *pool; /* NULL: a control port */
  uint16_t inside, outside;
  bool busy;     /* another program listens there, so it was not tried */
  bool accepted; /* our listener has accepted a stranger */
  bool arrived;  /* the first packet of a connection came to this host */
  enum extip_word word;
  char why[96]; /* the probe's words, printable */
};

/* What real clients of a pool have met since the daemon started. */
struct extip_evidence {
  const char *pool;
  unsigned long granted, unreached; /* listeners */
};

#define EXTIP_TRIED_MAX    32
#define EXTIP_EVIDENCE_MAX 16

struct extip_verdict {
  const char *probe;         /* NULL: none is configured */
  char failed[256];          /* why the probe could not be asked; "" */
  struct in_addr announced;  /* INADDR_ANY: unknown */
  struct in_addr seen;       /* where the probe sees this host, if it told */
  struct in_addr from;       /* where its connections come from, likewise */
  struct in_addr router;     /* its private address, if it says it has one */
  unsigned int ephemeral[2]; /* the kernel's ports for outgoing connections */
  struct extip_tried tried[EXTIP_TRIED_MAX];
  size_t count;
  struct extip_evidence evidence[EXTIP_EVIDENCE_MAX];
  size_t evidence_count;
};

/* Prints the verdict and then each finding with its remedy, a LINE each, of at
 * most EXTIP_VERDICT_WIDTH characters. Returns 0 if the server is reachable, 1
 * if not, 2 if that cannot be told. */
#define EXTIP_VERDICT_WIDTH 91 /* a hundred with ftpdctl's prefix */
int extip_verdict_print(const struct extip_verdict *verdict,
  void (*line)(void *user, const char *line), void *user);

#endif
