/*
 * mod_keepalive - what is known about the paths to client networks
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Needs no ProFTPD. */

#include "network.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

/* A network can be in WAYS consecutive places. */
#define WAYS 8
#define SETS (KEEPALIVE_NETWORKS / WAYS)

#define KEY_IPV4 (UINT64_C(4) << 56)
#define KEY_IPV6 (UINT64_C(6) << 56)

uint64_t keepalive_network_key(const unsigned char *address, unsigned int len) {
  static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
  uint64_t key = KEY_IPV6;
  unsigned int bytes = 6;

  if (len == 16 && memcmp(address, mapped, sizeof(mapped)) == 0) {
    address += sizeof(mapped);
    len = 4;
  }

  if (len == 4) {
    key = KEY_IPV4;
    bytes = 3;
  }

  for (unsigned int i = 0; i < bytes; i++) {
    key |= (uint64_t) address[i] << (40 - 8 * i);
  }

  return key;
}

void keepalive_network_print(uint64_t key, char text[KEEPALIVE_NETWORK_TEXT]) {
  bool ipv4 = key >> 56 == KEY_IPV4 >> 56;
  unsigned char address[16] = { 0 };

  for (unsigned int i = 0; i < 6; i++) {
    address[i] = (unsigned char) (key >> (40 - 8 * i));
  }

  if (inet_ntop(ipv4 ? AF_INET : AF_INET6, address, text,
        KEEPALIVE_NETWORK_TEXT - 3) == NULL) {
    text[0] = '\0';
  }
  memcpy(text + strlen(text), ipv4 ? "/24" : "/48", 4);
}

static unsigned int set_of(uint64_t key) {
  /* Fibonacci hashing: the upper bits depend on all bits of the key. */
  return (unsigned int) ((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % SETS;
}

struct keepalive_network *keepalive_network_find(
  struct keepalive_network *networks, uint64_t key, uint32_t now) {
  struct keepalive_network *set = networks + set_of(key) * WAYS, *oldest = set;
  uint64_t was;

  for (unsigned int i = 0; i < WAYS; i++) {
    if (atomic_load(&set[i].key) == key) {
      atomic_store(&set[i].used, now);
      return &set[i];
    }

    if (atomic_load(&set[i].used) < atomic_load(&oldest->used)) {
      oldest = &set[i];
    }
  }

  was = atomic_load(&oldest->key);
  if (atomic_compare_exchange_strong(&oldest->key, &was, key)) {
    atomic_store(&oldest->facts, 0);
    atomic_store(&oldest->used, now);
  }

  return oldest;
}

static struct keepalive_facts unpack(uint32_t word) {
  return (struct keepalive_facts){ word >> 16, word & 0xffff };
}

static uint32_t pack(struct keepalive_facts facts) {
  return (uint32_t) facts.survived << 16 | (uint32_t) facts.forgotten;
}

struct keepalive_facts keepalive_network_facts(
  const struct keepalive_network *network) {
  return unpack(atomic_load(&network->facts));
}

static struct keepalive_facts merge(
  struct keepalive_facts facts, unsigned int survived, unsigned int forgotten) {
  if (survived > facts.survived) {
    facts.survived = survived;
  }

  if (facts.forgotten != 0 && facts.survived >= facts.forgotten) {
    facts.forgotten = 0;
  }

  if (forgotten != 0 && (facts.forgotten == 0 || forgotten < facts.forgotten)) {
    facts.forgotten = forgotten;
    if (facts.survived >= forgotten) {
      facts.survived = survived < forgotten ? survived : 0;
    }
  }

  return facts;
}

struct keepalive_facts keepalive_network_learn(
  struct keepalive_network *network, uint64_t key, unsigned int survived,
  unsigned int forgotten) {
  uint32_t word = atomic_load(&network->facts);
  struct keepalive_facts facts;

  do {
    facts = merge(unpack(word), survived, forgotten);
  } while (atomic_load(&network->key) == key && pack(facts) != word &&
           !atomic_compare_exchange_weak(&network->facts, &word, pack(facts)));

  return facts;
}

unsigned int keepalive_network_interval(
  struct keepalive_facts facts, unsigned int interval) {
  unsigned int safe = facts.survived;

  if (facts.forgotten == 0 || interval <= facts.survived) {
    return interval;
  }

  /* No silence was survived yet: try half of the one that was too long. */
  if (safe == 0) {
    safe = facts.forgotten > 1 ? facts.forgotten / 2 : 1;
  }

  return safe < interval ? safe : interval;
}

void keepalive_network_print_forgotten(char *text, size_t size,
  const char *client, const char *command, uint64_t key,
  struct keepalive_facts facts, unsigned int interval) {
  char network[KEEPALIVE_NETWORK_TEXT], survived[24] = "";

  keepalive_network_print(key, network);
  if (facts.survived > 0) {
    snprintf(survived, sizeof(survived), " (%us survived)", facts.survived);
  }

  snprintf(text, size,
    "%s by %s: path forgets idle connections within %us%s: %s now has interval %us",
    command, client, facts.forgotten, survived, network, interval);
}
