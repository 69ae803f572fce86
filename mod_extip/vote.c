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

#include <arpa/inet.h>
#include <string.h>

#include "vote.h"

static bool same_endpoint(
  const struct extip_ballot *a, const struct extip_ballot *b) {
  if (strcmp(a->key, b->key) == 0) {
    return true;
  }

  /* Two names for one server are still one server. */
  return a->peer.sin_family == AF_INET && b->peer.sin_family == AF_INET &&
         a->peer.sin_port == b->peer.sin_port &&
         a->peer.sin_addr.s_addr == b->peer.sin_addr.s_addr;
}

/* Gives every ballot the number of its endpoint. Sameness is followed through
 * third ballots: A may share its name with B and B its address with C. */
static void number_endpoints(
  const struct extip_ballot *ballots, size_t count, size_t *endpoint) {
  for (size_t i = 0; i < count; i++) {
    endpoint[i] = i;
    for (size_t j = 0; j < i; j++) {
      if (!same_endpoint(&ballots[i], &ballots[j])) {
        continue;
      }

      size_t from = endpoint[i], to = endpoint[j];

      for (size_t k = 0; k <= i; k++) {
        if (endpoint[k] == from) {
          endpoint[k] = to;
        }
      }
    }
  }
}

/* What one endpoint says in all its ballots together. */
struct voter {
  struct in_addr addr;
  bool speaks;   /* it has a valid ballot */
  bool disputes; /* and another one that says something else */
  bool awaited;  /* a ballot of it is still to come */
};

static void hear_voters(
  const struct extip_ballot *ballots, size_t count, struct voter *voters) {
  size_t endpoint[EXTIP_BALLOTS_MAX];

  number_endpoints(ballots, count, endpoint);
  memset(voters, 0, count * sizeof(*voters));

  for (size_t i = 0; i < count; i++) {
    struct voter *voter = &voters[endpoint[i]];

    if (!ballots[i].settled) {
      voter->awaited = true;

    } else if (ballots[i].valid) {
      voter->disputes |=
        voter->speaks && voter->addr.s_addr != ballots[i].addr.s_addr;
      voter->speaks = true;
      voter->addr = ballots[i].addr;
    }
  }
}

static unsigned votes_for(
  const struct voter *voters, size_t count, struct in_addr addr) {
  unsigned votes = 0;

  for (size_t i = 0; i < count; i++) {
    votes += voters[i].speaks && !voters[i].disputes &&
             voters[i].addr.s_addr == addr.s_addr;
  }

  return votes;
}

/* The two addresses with most votes. */
static void count_votes(
  const struct voter *voters, size_t count, struct extip_outcome *outcome) {
  for (size_t i = 0; i < count; i++) {
    struct in_addr addr = voters[i].addr;
    unsigned votes = votes_for(voters, count, addr);

    if (votes == 0 || addr.s_addr == outcome->addr.s_addr) {
      continue;
    }

    if (votes > outcome->votes) {
      outcome->rival = outcome->votes;
      outcome->votes = votes;
      outcome->addr = addr;

    } else if (votes > outcome->rival) {
      outcome->rival = votes;
    }
  }
}

struct extip_outcome extip_vote(const struct extip_motion *motion,
  const struct extip_ballot *ballots, size_t count) {
  struct extip_outcome outcome = { .verdict = EXTIP_VOTE_NONE };
  struct voter voters[EXTIP_BALLOTS_MAX];
  unsigned silent = 0, wavering = 0;
  bool heard = false;

  count = count < EXTIP_BALLOTS_MAX ? count : EXTIP_BALLOTS_MAX;
  hear_voters(ballots, count, voters);
  count_votes(voters, count, &outcome);

  /* Of those still to come, the silent can join a rival, and those that have
   * voted for the winner can yet contradict themselves. */
  for (size_t i = 0; i < count; i++) {
    heard |= voters[i].speaks;
    silent += voters[i].awaited && !voters[i].speaks;
    wavering += voters[i].awaited && voters[i].speaks && !voters[i].disputes &&
                voters[i].addr.s_addr == outcome.addr.s_addr;
  }

  unsigned sure = outcome.votes - wavering;
  bool won = sure >= motion->quorum && sure > outcome.rival + silent;
  bool change = motion->known.s_addr != INADDR_ANY &&
                outcome.addr.s_addr != motion->known.s_addr;
  bool vouched =
    !change || sure > 1 || outcome.addr.s_addr == motion->pending.s_addr;

  if (silent + wavering > 0 && !(won && vouched)) {
    outcome.verdict = EXTIP_VOTE_OPEN;

  } else if (!heard) {
    outcome.verdict = EXTIP_VOTE_NONE;

  } else if (!won) {
    outcome.verdict = EXTIP_VOTE_SPLIT;

  } else if (!vouched) {
    outcome.verdict = EXTIP_VOTE_CONFIRM;

  } else if (outcome.addr.s_addr == motion->known.s_addr) {
    outcome.verdict = EXTIP_VOTE_SAME;

  } else {
    outcome.verdict = EXTIP_VOTE_ADOPT;
  }

  return outcome;
}

unsigned extip_vote_quorum(const char *const *keys, size_t count) {
  size_t different = 0;

  for (size_t i = 0; i < count; i++) {
    size_t j = 0;

    while (j < i && strcmp(keys[i], keys[j]) != 0) {
      j++;
    }
    different += j == i;
  }

  return different > 2 ? 2 : 1;
}

bool extip_vote_usable(struct in_addr addr) {
  unsigned first = ntohl(addr.s_addr) >> 24;

  return first != 0 && first < 224;
}
