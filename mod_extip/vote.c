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
#include <stdio.h>
#include <string.h>

#include "vote.h"

static bool same_endpoint(
  const struct extip_vote *a, const struct extip_vote *b) {
  if (strcmp(a->key, b->key) == 0) {
    return true;
  }

  /* Two names for one server are still one server. */
  return a->peer.sin_family == AF_INET && b->peer.sin_family == AF_INET &&
         a->peer.sin_port == b->peer.sin_port &&
         a->peer.sin_addr.s_addr == b->peer.sin_addr.s_addr;
}

/* Gives every vote the number of its endpoint. Sameness is followed through
 * third votes: A may share its name with B and B its address with C. */
static void number_endpoints(
  const struct extip_vote *votes, size_t count, size_t *endpoint) {
  for (size_t i = 0; i < count; i++) {
    endpoint[i] = i;
    for (size_t j = 0; j < i; j++) {
      if (!same_endpoint(&votes[i], &votes[j])) {
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

/* Whether the vote OPEN, which is still to come, may be answered by PEER. */
static bool may_answer(
  const struct extip_vote *open, const struct sockaddr_in *peer) {
  if (peer->sin_family != AF_INET || open->port == 0 ||
      open->port != ntohs(peer->sin_port)) {
    return false;
  }
  for (size_t i = 0; i < open->addr_count; i++) {
    if (open->addrs[i].s_addr == peer->sin_addr.s_addr) {
      return true;
    }
  }
  return open->addr_count == 0;
}

/* What one endpoint says in all its votes together. */
struct voter {
  struct in_addr addr;
  bool speaks;   /* it has a valid vote */
  bool disputes; /* and another one that says something else */
  bool awaited;  /* a vote of it is still to come, or may turn out to be */
};

/* Returns how many endpoints there are. */
static unsigned int hear_voters(
  const struct extip_vote *votes, size_t count, struct voter *voters) {
  size_t endpoint[EXTIP_VOTES_MAX];
  unsigned int endpoints = 0;

  number_endpoints(votes, count, endpoint);
  memset(voters, 0, count * sizeof(*voters));

  for (size_t i = 0; i < count; i++) {
    struct voter *voter = &voters[endpoint[i]];

    if (!votes[i].settled) {
      voter->awaited = true;

    } else if (votes[i].valid) {
      voter->disputes |=
        voter->speaks && voter->addr.s_addr != votes[i].addr.s_addr;
      voter->speaks = true;
      voter->addr = votes[i].addr;
    }

    for (size_t j = 0; j < count && votes[i].settled; j++) {
      voter->awaited |=
        !votes[j].settled && may_answer(&votes[j], &votes[i].peer);
    }
    endpoints += endpoint[i] == i;
  }
  return endpoints;
}

static unsigned int votes_for(
  const struct voter *voters, size_t count, struct in_addr addr) {
  unsigned int votes = 0;

  for (size_t i = 0; i < count; i++) {
    votes += voters[i].speaks && !voters[i].disputes &&
             voters[i].addr.s_addr == addr.s_addr;
  }

  return votes;
}

/* The two addresses with most votes. */
static void count_votes(
  const struct voter *voters, size_t count, struct extip_tally *tally) {
  for (size_t i = 0; i < count; i++) {
    struct in_addr addr = voters[i].addr;
    unsigned int votes = votes_for(voters, count, addr);

    if (votes == 0 || addr.s_addr == tally->addr.s_addr) {
      continue;
    }

    if (votes > tally->votes) {
      tally->rival = tally->votes;
      tally->votes = votes;
      tally->addr = addr;

    } else if (votes > tally->rival) {
      tally->rival = votes;
    }
  }
}

struct extip_tally extip_vote_count(const struct extip_vote_rule *rule,
  const struct extip_vote *votes, size_t count) {
  struct extip_tally tally = { .verdict = EXTIP_VOTE_NONE };
  struct voter voters[EXTIP_VOTES_MAX];
  unsigned int silent = 0, wavering = 0;
  bool heard = false;

  count = count < EXTIP_VOTES_MAX ? count : EXTIP_VOTES_MAX;
  tally.endpoints = hear_voters(votes, count, voters);
  count_votes(voters, count, &tally);

  /* Endpoints that have not answered can join a rival, and those that gave the
   * winner can still contradict themselves. */
  for (size_t i = 0; i < count; i++) {
    heard |= voters[i].speaks;
    silent += voters[i].awaited && !voters[i].speaks;
    wavering += voters[i].awaited && voters[i].speaks && !voters[i].disputes &&
                voters[i].addr.s_addr == tally.addr.s_addr;
  }

  unsigned int sure = tally.votes - wavering;
  bool won = sure >= rule->quorum && sure > tally.rival + silent;
  bool change =
    rule->known.s_addr != INADDR_ANY && tally.addr.s_addr != rule->known.s_addr;
  bool vouched =
    !change || sure > 1 || tally.addr.s_addr == rule->pending.s_addr;

  if (silent + wavering > 0 && !(won && vouched)) {
    tally.verdict = EXTIP_VOTE_OPEN;

  } else if (!heard) {
    tally.verdict = EXTIP_VOTE_NONE;

  } else if (!won) {
    tally.verdict = EXTIP_VOTE_SPLIT;

  } else if (!vouched) {
    tally.verdict = EXTIP_VOTE_CONFIRM;

  } else if (tally.addr.s_addr == rule->known.s_addr) {
    tally.verdict = EXTIP_VOTE_SAME;

  } else {
    tally.verdict = EXTIP_VOTE_ADOPT;
  }

  return tally;
}

void extip_vote_describe_split(const struct extip_tally *tally,
  unsigned int quorum, char *buf, size_t bufsz) {
  char addr[INET_ADDRSTRLEN];

  inet_ntop(AF_INET, &tally->addr, addr, sizeof(addr));
  if (tally->votes == 0) {
    snprintf(buf, bufsz, "every source contradicts itself");

  } else if (tally->votes == tally->rival) {
    snprintf(buf, bufsz, "sources disagree: %u say %s and as many say another",
      tally->votes, addr);

  } else if (tally->endpoints < quorum) {
    snprintf(buf, bufsz,
      "%u say %s and the quorum is %u, but all sources are %u endpoint%s",
      tally->votes, addr, quorum, tally->endpoints,
      tally->endpoints == 1 ? "" : "s");

  } else {
    snprintf(
      buf, bufsz, "%u say %s and the quorum is %u", tally->votes, addr, quorum);
  }
}

unsigned int extip_vote_endpoints(const char *const *keys, size_t count) {
  unsigned int different = 0;

  for (size_t i = 0; i < count; i++) {
    size_t j = 0;

    while (j < i && strcmp(keys[i], keys[j]) != 0) {
      j++;
    }
    different += j == i;
  }

  return different;
}

unsigned int extip_vote_quorum(const char *const *keys, size_t count) {
  return extip_vote_endpoints(keys, count) > 2 ? 2 : 1;
}

bool extip_vote_usable(struct in_addr addr) {
  unsigned int first = ntohl(addr.s_addr) >> 24;

  return first != 0 && first < 224;
}
