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

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "behind_nat.h"
#include "verdict.h"

/* What is true of a port. */
enum state { REACHED, BUSY, DROPPED, CLOSED, ELSEWHERE, UNTOLD, STATES };

/* How many ports of a kind are in which state. */
struct sums {
  unsigned int passive[STATES], control[STATES];
  unsigned int all;
};

struct output {
  void (*line)(void *user, const char *line);
  void *user;
};

__attribute__((format(printf, 2, 3))) static void say(
  const struct output *output, const char *fmt, ...) {
  char text[EXTIP_VERDICT_WIDTH + 1];
  va_list args;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  output->line(output->user, text);
}

static enum state state_of(const struct extip_tried *tried) {
  if (tried->accepted) {
    return REACHED;
  }
  if (tried->busy) {
    return BUSY;
  }
  if (tried->arrived && tried->word == EXTIP_WORD_CLOSED) {
    return DROPPED;
  }
  switch (tried->word) {
    case EXTIP_WORD_CLOSED:
      return CLOSED;
    case EXTIP_WORD_REACHED:
      return ELSEWHERE;
    default:
      return UNTOLD;
  }
}

static struct sums count(const struct extip_verdict *verdict) {
  struct sums sums = { .all = 0 };

  for (size_t i = 0; i < verdict->count; i++) {
    const struct extip_tried *tried = &verdict->tried[i];

    if (tried->pool != NULL) {
      sums.passive[state_of(tried)]++;
      sums.all++;
    } else {
      sums.control[state_of(tried)]++;
    }
  }
  return sums;
}

static const char *dotted(struct in_addr addr, char text[INET_ADDRSTRLEN]) {
  return inet_ntop(AF_INET, &addr, text, INET_ADDRSTRLEN);
}

/* Nothing was tried, or the probe could not be asked. */
static bool print_untried(
  const struct extip_verdict *verdict, const struct output *output) {
  if (verdict->announced.s_addr == INADDR_ANY) {
    say(output, "cannot tell: no external address is known");
    say(output, "  see 'ftpdctl extip status' for what the sources answer");
  } else if (verdict->probe == NULL) {
    say(output,
      "cannot tell: there is no ExtIPProbe, so the ports cannot be tried from outside");
    say(output,
      "  configure ExtIPProbe turn:<host> credentials <file>, or a checker's URL");
  } else if (*verdict->failed != '\0') {
    say(output, "cannot tell: the probe cannot be asked: %s", verdict->failed);
    say(output,
      "  configure another ExtIPProbe, or try 'extip-helper probe' by hand");
  } else if (verdict->count == 0) {
    say(output,
      "cannot tell: there is no port to try: no NATPasvPool, no PassivePorts");
  } else {
    return false;
  }
  return true;
}

static int print_verdict(const struct extip_verdict *verdict,
  const struct sums *sums, const struct output *output) {
  char addr[INET_ADDRSTRLEN], from[INET_ADDRSTRLEN];
  const char *nat = extip_nat_before(verdict->router);
  const unsigned int *passive = sums->passive;
  unsigned int tried = sums->all - passive[BUSY] - passive[UNTOLD];

  (void) dotted(verdict->announced, addr);
  if (tried > 0 && passive[REACHED] == tried) {
    say(output, "reachable: %u of %u passive ports tried at %s%s%s", tried,
      tried, addr, verdict->from.s_addr != INADDR_ANY ? ", from " : "",
      verdict->from.s_addr != INADDR_ANY ? dotted(verdict->from, from) : "");
    return 0;
  }

  if (passive[REACHED] > 0) {
    say(output, "not reachable: %u of %u passive ports tried at %s",
      tried - passive[REACHED], tried, addr);
    return 1;
  }

  if (passive[DROPPED] > 0 || sums->control[DROPPED] > 0) {
    say(output, "not reachable: this host drops what comes to %s", addr);
    return 1;
  }

  if (nat != NULL && sums->control[REACHED] == 0) {
    say(output, "not reachable: the router is behind %s itself, at %s", nat,
      dotted(verdict->router, from));
    return 1;
  }

  if (passive[ELSEWHERE] > 0) {
    say(output,
      "cannot tell: the probe says it reached %s, but nothing came here", addr);
    return 2;
  }

  if (passive[CLOSED] > 0 && sums->control[REACHED] > 0) {
    say(output,
      "not reachable: no passive port at %s, though the control port is", addr);
    return 1;
  }

  say(output,
    "cannot tell: nothing at %s answers the probe, nor does the control port",
    addr);
  return 2;
}

/* Findings: a line about the ports in one state, and one about the remedy. */
static const struct {
  enum state state;
  const char *what;
  const char *remedy;
} findings[] = {
  { CLOSED, "not reachable from outside",
    "forward these TCP ports on the router, or allow them in the provider's firewall" },
  { DROPPED, "packets came to this host and were dropped",
    "allow these TCP ports in this host's firewall" },
  { ELSEWHERE, "the probe reached something, not this host",
    "another host or program answers there: see the forwards on the router" },
  { BUSY, "another program listens there",
    "stop it, or take the ports out of the pool" },
  { UNTOLD, "the probe did not tell",
    "try again, or configure another ExtIPProbe" },
};

static void print_ports(const struct extip_verdict *verdict, enum state state,
  const char *what, const struct output *output) {
  char text[64];
  size_t used = 0;
  unsigned int more = 0;

  for (size_t i = 0; i < verdict->count; i++) {
    const struct extip_tried *tried = &verdict->tried[i];

    if (state_of(tried) != state) {
      continue;
    }
    if (used + sizeof("65535, ") > 36) {
      more++;
      continue;
    }
    used += (size_t) snprintf(text + used, sizeof(text) - used, "%s%u",
      used > 0 ? ", " : "", tried->outside);
  }

  if (used > 0 && more > 0) {
    (void) snprintf(text + used, sizeof(text) - used, " and %u more", more);
  }
  if (used > 0) {
    say(output, "  %s: %s", text, what);
  }
}

static void print_findings(const struct extip_verdict *verdict,
  const struct sums *sums, const struct output *output) {
  for (size_t i = 0; i < sizeof(findings) / sizeof(findings[0]); i++) {
    enum state state = findings[i].state;

    if (sums->passive[state] + sums->control[state] > 0) {
      print_ports(verdict, state, findings[i].what, output);
      say(output, "    %s", findings[i].remedy);
    }
  }
}

static void print_address(
  const struct extip_verdict *verdict, const struct output *output) {
  char addr[INET_ADDRSTRLEN], seen[INET_ADDRSTRLEN];

  if (verdict->seen.s_addr != INADDR_ANY &&
      verdict->seen.s_addr != verdict->announced.s_addr) {
    say(output, "  the probe sees this host at %s, and clients are told %s",
      dotted(verdict->seen, seen), dotted(verdict->announced, addr));
    say(output,
      "    if the first is right, correct MasqueradeAddress or the sources");
  }
}

/* Of no interest where something arrives all the same. */
static void print_router(const struct extip_verdict *verdict,
  const struct sums *sums, const struct output *output) {
  const char *nat = extip_nat_before(verdict->router);
  char addr[INET_ADDRSTRLEN];

  if (nat == NULL || sums->passive[REACHED] + sums->passive[DROPPED] +
                         sums->control[REACHED] + sums->control[DROPPED] >
                       0) {
    return;
  }
  say(output, "  the router itself has %s on its outside: %s",
    dotted(verdict->router, addr), nat);
  say(output,
    "    forward the ports in front of it as well, or ask for a public address");
}

static void print_ephemeral(
  const struct extip_verdict *verdict, const struct output *output) {
  for (size_t i = 0; i < verdict->count; i++) {
    const struct extip_tried *tried = &verdict->tried[i];

    if (tried->pool != NULL && tried->inside >= verdict->ephemeral[0] &&
        tried->inside <= verdict->ephemeral[1]) {
      say(output,
        "  pool %.24s lies in the ports of outgoing connections (%u-%u)",
        tried->pool, verdict->ephemeral[0], verdict->ephemeral[1]);
      say(output,
        "    move it above, or reserve it: net.ipv4.ip_local_reserved_ports");
      return;
    }
  }
}

static void print_evidence(
  const struct extip_verdict *verdict, const struct output *output) {
  for (size_t i = 0; i < verdict->evidence_count; i++) {
    const struct extip_evidence *one = &verdict->evidence[i];

    say(output, "  pool %.24s: %lu ports given to clients, %lu never reached",
      one->pool, one->granted, one->unreached);
  }
}

int extip_verdict_print(const struct extip_verdict *verdict,
  void (*line)(void *user, const char *line), void *user) {
  const struct output output = { line, user };
  struct sums sums = { .all = 0 };
  int res = 2;

  if (!print_untried(verdict, &output)) {
    sums = count(verdict);
    res = print_verdict(verdict, &sums, &output);
  }
  print_router(verdict, &sums, &output);
  print_findings(verdict, &sums, &output);
  print_address(verdict, &output);
  print_ephemeral(verdict, &output);
  print_evidence(verdict, &output);
  return res;
}
