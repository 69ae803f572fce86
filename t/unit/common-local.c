/*
 * common-local.c - which addresses are local: the edges of each block, for
 * both families and for IPv4 within IPv6; and when one of them looks like a
 * proxy.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/common_local.h"
#include "tap.h"

#include <arpa/inet.h>

static const struct {
  const char *text;
  bool local;
} addresses[] = {
  { "126.255.255.255", false },
  { "127.0.0.0", true },
  { "127.255.255.255", true },
  { "128.0.0.0", false },
  { "169.253.255.255", false },
  { "169.254.0.0", true },
  { "169.254.255.255", true },
  { "169.255.0.0", false },
  { "9.255.255.255", false },
  { "10.0.0.0", true },
  { "10.255.255.255", true },
  { "11.0.0.0", false },
  { "172.15.255.255", false },
  { "172.16.0.0", true },
  { "172.31.255.255", true },
  { "172.32.0.0", false },
  { "192.167.255.255", false },
  { "192.168.0.0", true },
  { "192.168.255.255", true },
  { "192.169.0.0", false },
  { "100.63.255.255", false },
  { "100.64.0.0", true },
  { "100.127.255.255", true },
  { "100.128.0.0", false },
  { "0.0.0.0", false },
  { "203.0.113.1", false },
  { "255.255.255.255", false },
  { "::", false },
  { "::1", true },
  { "::2", false },
  { "1::1", false },
  { "fe7f::1", false },
  { "fe80::", true },
  { "febf:ffff::1", true },
  { "fec0::1", false },
  { "fbff::1", false },
  { "fc00::", true },
  { "fdff:ffff::1", true },
  { "fe00::1", false },
  { "2001:db8::1", false },
  { "ff02::1", false },
};

/* Sessions: r and s are clients with local addresses, - another one; a capital
 * letter is the session at which the notice is due. */
static void test_runs(void) {
  static const unsigned char r[4] = { 10, 0, 0, 1 }, s[4] = { 10, 0, 0, 2 };
  static const char *const runs[] = {
    "rrrrrrrrrrrrrrrrrrrRrrrrr",
    "rrrrrrrrrrrrrrrrrrr-rrrrrrrrrrrrrrrrrrrRr",
    "rrrrrrrrrrrrrrrrrrrsrrrrrrrrrrrrrrrrrrrRr",
    "rrrrrrrrrrrrrrrrrrrR-rrrrrrrrrrrrrrrrrrrrrr",
    "rrrrrrrrrrrrrrrrrrrRsssssssssssssssssssSs",
  };

  for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
    struct local_run run = { 0 };
    char seen[64] = "";

    for (size_t j = 0; runs[i][j] != '\0'; j++) {
      char client = runs[i][j] | 0x20;
      const unsigned char *address = client == 'r' ? r
                                     : client == 's' ? s
                                                     : NULL;
      bool due = local_run_add(&run, AF_INET, address);

      seen[j] = address == NULL ? '-' : due ? client & ~0x20 : client;
    }
    is_str(seen, runs[i], "when a proxy is suspected");
  }
}

int main(void) {
  unsigned char bytes[16];

  for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
    const char *text = addresses[i].text;
    int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    char mapped[64];

    ok(inet_pton(family, text, bytes) == 1 &&
         local_address(family, bytes) == addresses[i].local,
      "%s is %slocal", text, addresses[i].local ? "" : "not ");
    if (family == AF_INET6) {
      continue;
    }

    snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
    ok(inet_pton(AF_INET6, mapped, bytes) == 1 &&
         local_address(AF_INET6, bytes) == addresses[i].local,
      "... and so is %s", mapped);
    snprintf(mapped, sizeof(mapped), "::fffe:%s", text);
    ok(inet_pton(AF_INET6, mapped, bytes) == 1 &&
         !local_address(AF_INET6, bytes),
      "%s is no IPv4 address, and not local", mapped);
  }

  ok(!local_address(AF_INET, NULL), "no address is not local");
  ok(!local_address(AF_UNIX, bytes), "nor is one of another family");
  test_runs();
  return done_testing();
}
