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

#ifndef KEEPALIVE_NETWORK_H
#define KEEPALIVE_NETWORK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define KEEPALIVE_NETWORKS 1024

/* An IPv4 /24 or an IPv6 /48 and what is known about it, each fact in one word,
 * so that sessions need no lock. All 0: free. */
struct keepalive_network {
  _Atomic uint64_t key;
  _Atomic uint32_t facts;
  _Atomic uint32_t used; /* when it was last used, in seconds since 1970 */
};

struct keepalive_facts {
  unsigned int survived; /* seconds of silence that were survived; 0: unknown */
  unsigned int forgotten; /* seconds that were too long; 0: unknown */
};

/* "198.51.100.0/24", "2001:db8:1::/48" */
#define KEEPALIVE_NETWORK_TEXT 24

/* The network of an IPv4 address (4 bytes) or an IPv6 address (16 bytes; a
 * mapped one counts as IPv4). Never 0. */
uint64_t keepalive_network_key(const unsigned char *address, unsigned int len);

void keepalive_network_print(uint64_t key, char text[KEEPALIVE_NETWORK_TEXT]);

/* The entry of a network among KEEPALIVE_NETWORKS. It is created if necessary,
 * in the place of the one that was not used for the longest time. */
struct keepalive_network *keepalive_network_find(
  struct keepalive_network *networks, uint64_t key, uint32_t now);

struct keepalive_facts keepalive_network_facts(
  const struct keepalive_network *network);

/* Records that a session of network KEY has seen SURVIVED and FORGOTTEN (0:
 * nothing). Former facts that contradict them are dropped, because the path has
 * changed. Does nothing if the entry belongs to another network now. Returns
 * the present facts. */
struct keepalive_facts keepalive_network_learn(
  struct keepalive_network *network, uint64_t key, unsigned int survived,
  unsigned int forgotten);

/* The interval for a new session, at most INTERVAL. */
unsigned int keepalive_network_interval(
  struct keepalive_facts facts, unsigned int interval);

/* Prints the log line, at most 160 characters, for a path that has forgotten
 * the control connection, with the INTERVAL for sessions of that network. */
void keepalive_network_print_forgotten(char *text, size_t size,
  const char *client, const char *command, uint64_t key,
  struct keepalive_facts facts, unsigned int interval);

#endif
