/*
 * mod_extip - which address the answers of one round amount to
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_VOTE_H
#define EXTIP_VOTE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

/* What one source contributes to a round. */
struct extip_ballot {
  const char *key;         /* names the endpoint: equal keys are one vote */
  struct sockaddr_in peer; /* who answered: equal peers are one vote, too;
                            * sin_family 0 when there is none */
  struct in_addr addr;     /* network order */
  bool settled;            /* answered or failed; false: still to come */
  bool valid;              /* addr may be counted */
};

struct extip_motion {
  unsigned quorum;        /* endpoints that must agree; at least 1 */
  struct in_addr known;   /* address in use; INADDR_ANY: none yet */
  struct in_addr pending; /* change that one source vouched for in the round
                           * before; INADDR_ANY: none */
};

enum extip_verdict {
  EXTIP_VOTE_NONE,  /* nobody answered usably */
  EXTIP_VOTE_SPLIT, /* answers, but below the quorum or without a winner */
  EXTIP_VOTE_OPEN,  /* ballots that are still to come can change the outcome */
  EXTIP_VOTE_SAME,  /* the known address is confirmed */
  EXTIP_VOTE_CONFIRM, /* a change that one source vouches for: ask again */
  EXTIP_VOTE_ADOPT    /* a new address, or the first one */
};

struct extip_outcome {
  enum extip_verdict verdict;
  struct in_addr addr; /* the address with most votes; INADDR_ANY: none */
  unsigned votes;      /* endpoints that gave it */
  unsigned rival;      /* most votes that any other address got */
};

/*
 * Counts one vote for each endpoint. An endpoint that contradicts itself has
 * none. An address wins with at least the quorum and more votes than any other.
 * Pure: the same arguments, the same outcome. COUNT is at most
 * EXTIP_BALLOTS_MAX; what is beyond is not counted.
 */
#define EXTIP_BALLOTS_MAX 64

struct extip_outcome extip_vote(const struct extip_motion *motion,
  const struct extip_ballot *ballots, size_t count);

/* The quorum that holds when none is configured: 1 for one or two different
 * endpoints, else 2. */
unsigned extip_vote_quorum(const char *const *keys, size_t count);

/* True when ADDR can be the address of a server at all, wherever: neither in
 * 0.0.0.0/8 nor multicast, reserved or broadcast. What AllowReserved accepts.
 */
bool extip_vote_usable(struct in_addr addr);

#endif
