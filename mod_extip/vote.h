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
#include <stdint.h>

/* What one source contributes to a round. */
struct extip_vote {
  const char *key;         /* names the endpoint: equal keys are one vote */
  struct sockaddr_in peer; /* who answered: equal peers are one vote, too;
                            * sin_family 0 when there is none */
  struct in_addr addr;     /* network order */
  bool settled;            /* answered or failed; false: still to come */
  bool valid;              /* addr may be counted */

  /* Of one that is still to come: whom it is asked of, as far as is known. It
   * may yet turn out to be the endpoint of another vote, and contradict it.
   * That somebody sends it on to a third party is not foreseen. */
  uint16_t port;               /* host order; 0: it will have no peer */
  const struct in_addr *addrs; /* that the source's name stands for */
  size_t addr_count;           /* 0: not known yet */
};

/* What the votes are measured by. */
struct extip_vote_rule {
  unsigned int quorum;    /* endpoints that must agree; at least 1 */
  struct in_addr known;   /* address in use; INADDR_ANY: none yet */
  struct in_addr pending; /* change that one source gave in the round before;
                             INADDR_ANY: none */
};

enum extip_verdict {
  EXTIP_VOTE_NONE,    /* nobody answered usably */
  EXTIP_VOTE_SPLIT,   /* answers, but below the quorum or without a winner */
  EXTIP_VOTE_OPEN,    /* votes still to come can change the result */
  EXTIP_VOTE_SAME,    /* the known address is confirmed */
  EXTIP_VOTE_CONFIRM, /* a change that only one source gives: ask again */
  EXTIP_VOTE_ADOPT    /* a new address, or the first one */
};

struct extip_tally {
  enum extip_verdict verdict;
  struct in_addr addr;    /* the address with most votes; INADDR_ANY: none */
  unsigned int votes;     /* endpoints that gave it */
  unsigned int rival;     /* most votes that any other address got */
  unsigned int endpoints; /* how many there are, as far as is known */
};

/*
 * Counts one vote for each endpoint. An endpoint that contradicts itself has
 * none. An address wins with at least the quorum and more votes than any other.
 * Pure: the same arguments, the same result. COUNT is at most
 * EXTIP_VOTES_MAX; further votes are not counted.
 */
#define EXTIP_VOTES_MAX 64

struct extip_tally extip_vote_count(const struct extip_vote_rule *rule,
  const struct extip_vote *votes, size_t count);

/* Says of an EXTIP_VOTE_SPLIT why there is no winner. */
void extip_vote_describe_split(const struct extip_tally *tally,
  unsigned int quorum, char *buf, size_t bufsz);

/* How many different endpoints these keys are, as far as keys tell. */
unsigned int extip_vote_endpoints(const char *const *keys, size_t count);

/* The quorum that holds when none is configured: 1 for one or two different
 * endpoints, else 2. */
unsigned int extip_vote_quorum(const char *const *keys, size_t count);

/* True when ADDR can be the address of a server at all, wherever: neither in
 * 0.0.0.0/8 nor multicast, reserved or broadcast. What AllowReserved accepts.
 */
bool extip_vote_usable(struct in_addr addr);

#endif
