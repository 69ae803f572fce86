/*
 * What is known of client networks: which network an address is in, what two
 * facts say together, who makes room, and the line of the log.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/network.c"

static uint64_t key_of(const char *text) {
  unsigned char address[16];
  bool ipv6 = strchr(text, ':') != NULL;

  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, text, address) != 1) {
    return 0;
  }

  return keepalive_network_key(address, ipv6 ? 16 : 4);
}

static void test_keys(void) {
  static const struct {
    const char *address, *network;
  } cases[] = {
    { "192.0.2.1", "192.0.2.0/24" },
    { "192.0.2.255", "192.0.2.0/24" },
    { "255.255.255.255", "255.255.255.0/24" },
    { "0.0.0.0", "0.0.0.0/24" },
    { "::ffff:192.0.2.1", "192.0.2.0/24" },
    { "2001:db8:1:2::3", "2001:db8:1::/48" },
    { "2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111::/48" },
    { "::1", "::/48" },
  };
  char text[KEEPALIVE_NETWORK_TEXT];

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    uint64_t key = key_of(cases[i].address);

    ok(key != 0, "%s has a network", cases[i].address);
    keepalive_network_print(key, text);
    is_str(text, cases[i].network, "... %s", cases[i].network);
  }
}

/* Each byte of the network counts, and none after it. */
static void test_bytes(void) {
  unsigned char address[16] = { 0x20, 1 };
  unsigned int counted = 0;

  for (unsigned int len = 4; len <= 16; len += 12) {
    uint64_t key = keepalive_network_key(address, len), seen[16] = { 0 };

    counted = 0;
    for (unsigned int i = 0; i < len; i++) {
      address[i] ^= 0x81;
      seen[i] = keepalive_network_key(address, len);
      address[i] ^= 0x81;
      if (seen[i] != key) {
        ok(i == counted++ && (i == 0 || seen[i] != seen[i - 1]),
          "byte %u of %u is one of the network", i, len);
      }
    }
    is_int(counted, len == 4 ? 3 : 6, "no other is");
  }
  ok(key_of("32.1.0.0") != key_of("2001::"),
    "a network of IPv4 is none of IPv6 with the same bytes");
}

static void test_facts(void) {
  static const struct {
    const char *what;
    unsigned int seen[3][2]; /* survived, forgotten */
    unsigned int survived, forgotten, interval;
  } cases[] = {
    { "nothing is known", { { 0, 0 } }, 0, 0, 25 },
    { "all was survived", { { 25, 0 } }, 25, 0, 25 },
    { "a path that forgets", { { 8, 16 } }, 8, 16, 8 },
    { "nothing was survived: half of it", { { 0, 25 } }, 0, 25, 12 },
    { "a path that forgets within a second", { { 0, 1 } }, 0, 1, 1 },
    { "the narrower bounds of two", { { 8, 20 }, { 10, 16 } }, 10, 16, 10 },
    { "a death that says less", { { 8, 16 }, { 4, 25 } }, 8, 16, 8 },
    { "ordinary sessions wipe out nothing",
      { { 8, 16 }, { 0, 0 }, { 1, 0 } }, 8, 16, 8 },
    { "a path that has become better", { { 8, 16 }, { 20, 0 } }, 20, 0, 25 },
    { "a path that has become worse", { { 25, 0 }, { 4, 8 } }, 4, 8, 4 },
    { "survived for as long as it was forgotten", { { 0, 16 }, { 16, 0 } }, 16,
      0, 25 },
    { "... also for a second", { { 0, 1 }, { 1, 0 } }, 1, 0, 25 },
    { "forgotten for as long as it survived", { { 16, 0 }, { 0, 16 } }, 0, 16,
      8 },
    { "it only forgets what is longer than the interval",
      { { 30, 60 } }, 30, 60, 25 },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct keepalive_network network = { .key = 1 };
    struct keepalive_facts facts = { 0, 0 };

    for (unsigned int j = 0; j < 3; j++) {
      facts = keepalive_network_learn(
        &network, 1, cases[i].seen[j][0], cases[i].seen[j][1]);
    }
    is_int(facts.survived, cases[i].survived, "%s: survived %u", cases[i].what,
      cases[i].survived);
    is_int(facts.forgotten, cases[i].forgotten, "... forgotten %u",
      cases[i].forgotten);
    is_int(keepalive_network_interval(facts, 25), cases[i].interval,
      "... the next session gets %u s", cases[i].interval);
  }
}

static void test_room(void) {
  static struct keepalive_network networks[KEEPALIVE_NETWORKS];
  struct keepalive_network *first, *other;
  uint64_t key = key_of("192.0.2.1");
  unsigned int kept = 0;

  first = keepalive_network_find(networks, key, 1000000);
  (void) keepalive_network_learn(first, key, 8, 16);
  other = keepalive_network_find(networks, key_of("192.0.3.1"), 1);
  ok(other != first, "another network has another entry");
  ok(keepalive_network_find(networks, key, 1000000) == first,
    "the same has the same");

  for (unsigned int i = 0; i < 1000000; i++) {
    unsigned char address[4] = { 10, (unsigned char) (i >> 8),
      (unsigned char) i, (unsigned char) (i >> 16) };

    (void) keepalive_network_find(
      networks, keepalive_network_key(address, 4), i / 2);
  }
  for (unsigned int i = 0; i < KEEPALIVE_NETWORKS; i++) {
    kept += networks[i].key != 0;
  }
  is_int(kept, KEEPALIVE_NETWORKS, "a million others fill what there is");
  is_int(keepalive_network_facts(first).forgotten, 16,
    "the one that was asked for last stays");

  for (unsigned int i = 0; i < KEEPALIVE_NETWORKS; i++) {
    atomic_store(&networks[i].facts, 0x00080010);
  }
  other = keepalive_network_find(networks, key_of("192.0.77.1"), 1000002);
  ok(keepalive_network_facts(other).survived == 0 &&
       keepalive_network_facts(other).forgotten == 0,
    "nothing is known of a network that takes the place of another");

  (void) keepalive_network_find(networks, key_of("192.0.2.1"), 1000001);
  (void) keepalive_network_learn(first, key_of("198.51.100.1"), 1, 2);
  is_int(keepalive_network_facts(first).forgotten, 16,
    "an entry that is another network's now is left alone");
}

static void test_line(void) {
  static const char address[] = "2001:1111:2222:3333:4444:5555:6666:7777";
  struct keepalive_facts facts = { 8, 16 }, largest = { 32767, 32767 };
  char text[400];

  keepalive_network_print_forgotten(
    text, sizeof(text), "192.0.2.1", "RETR", key_of("192.0.2.1"), facts, 8);
  is_str(text,
    "RETR by 192.0.2.1: path forgets idle connections within 16s (8s "
    "survived): 192.0.2.0/24 now has interval 8s",
    "the log says what is known");
  facts.survived = 0;
  keepalive_network_print_forgotten(
    text, sizeof(text), "192.0.2.1", "LIST", key_of("192.0.2.1"), facts, 8);
  is_str(text,
    "LIST by 192.0.2.1: path forgets idle connections within 16s: "
    "192.0.2.0/24 now has interval 8s",
    "and nothing that was not seen");
  keepalive_network_print_forgotten(
    text, sizeof(text), address, "COMMAND", key_of(address), largest, 32767);
  ok(strlen(text) <= 160, "in at most 160 characters: %zu", strlen(text));
}

int main(void) {
  test_keys();
  test_bytes();
  test_facts();
  test_room();
  test_line();
  return done_testing();
}
