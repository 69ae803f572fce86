/*
 * extip-special.c - which addresses can be a server's public one, and what is
 * one address at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/printable.c"
#include "../../mod_extip/special.c"
#include "tap.h"

/* REASON is part of the reason, NULL for an address that is globally reachable. */
static const struct {
  const char *text;
  const char *reason;
} addresses[] = {
  { "0.0.0.0", "this network" },
  { "0.255.255.255", "this network" },
  { "1.0.0.0", NULL },
  { "9.255.255.255", NULL },
  { "10.0.0.0", "RFC 1918 private" },
  { "10.255.255.255", "RFC 1918 private" },
  { "11.0.0.0", NULL },
  { "100.63.255.255", NULL },
  { "100.64.0.0", "carrier-grade NAT" },
  { "100.127.255.255", "carrier-grade NAT" },
  { "100.128.0.0", NULL },
  { "126.255.255.255", NULL },
  { "127.0.0.1", "loopback" },
  { "127.255.255.255", "loopback" },
  { "128.0.0.0", NULL },
  { "169.253.255.255", NULL },
  { "169.254.169.254", "link-local" },
  { "169.255.0.0", NULL },
  { "172.15.255.255", NULL },
  { "172.16.0.0", "RFC 1918 private" },
  { "172.31.255.255", "RFC 1918 private" },
  { "172.32.0.0", NULL },
  { "192.0.0.0", "service continuity" },
  { "192.0.0.7", "service continuity" },
  { "192.0.0.8", "dummy" },
  { "192.0.0.9", NULL }, /* the registry says so: PCP anycast */
  { "192.0.0.10", NULL },
  { "192.0.0.11", "protocol assignment" },
  { "192.0.0.170", "NAT64" },
  { "192.0.0.171", "NAT64" },
  { "192.0.0.255", "protocol assignment" },
  { "192.0.1.0", NULL },
  { "192.0.2.0", "TEST-NET-1" },
  { "192.0.2.255", "TEST-NET-1" },
  { "192.0.3.0", NULL },
  { "192.31.196.1", NULL },
  { "192.52.193.1", NULL },
  { "192.88.98.255", NULL },
  { "192.88.99.0", "6to4" },
  { "192.88.99.1", "6to4" },
  { "192.88.99.2", "6a44" },
  { "192.88.99.255", "6to4" },
  { "192.88.100.0", NULL },
  { "192.167.255.255", NULL },
  { "192.168.0.0", "RFC 1918 private" },
  { "192.168.255.255", "RFC 1918 private" },
  { "192.169.0.0", NULL },
  { "192.175.48.1", NULL },
  { "198.17.255.255", NULL },
  { "198.18.0.0", "benchmarking" },
  { "198.19.255.255", "benchmarking" },
  { "198.20.0.0", NULL },
  { "198.51.99.255", NULL },
  { "198.51.100.0", "TEST-NET-2" },
  { "198.51.100.255", "TEST-NET-2" },
  { "198.51.101.0", NULL },
  { "203.0.112.255", NULL },
  { "203.0.113.0", "TEST-NET-3" },
  { "203.0.113.255", "TEST-NET-3" },
  { "203.0.114.0", NULL },
  { "223.255.255.255", NULL },
  { "224.0.0.1", "multicast" },
  { "239.255.255.255", "multicast" },
  { "240.0.0.0", "reserved" },
  { "255.255.255.254", "reserved" },
  { "255.255.255.255", "broadcast" },
};

static const char *const not_addresses[] = { "", "1", "1.2.3", "1.2.3.4.5",
  "1.2.3.4.", ".1.2.3.4", "1..2.3", "1.2.3.256", "1.2.3.999", "1.2.3.04",
  "01.2.3.4", "1.2.3.00", "1.2.3.-4", "+1.2.3.4", " 1.2.3.4", "1.2.3.4 ",
  "1.2.3.4\n", "1.2.3.4/32", "1.2.3.4:80", "0x1.2.3.4", "1,2,3,4", "1.2.3.a",
  "::1", "::ffff:1.2.3.4", "16909060", "1.2.3.4294967297", "localhost" };

int main(void) {
  struct in_addr addr;

  for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
    const char *text = addresses[i].text;
    const char *wanted = addresses[i].reason;
    const char *reason = NULL;
    bool parsed = extip_ipv4_parse(text, strlen(text), &addr);
    bool global = parsed && extip_is_global(addr, &reason);

    ok(parsed && global == (wanted == NULL) &&
         (wanted == NULL ? reason == NULL : strstr(reason, wanted) != NULL),
      "%s is %s", text, wanted == NULL ? "globally reachable" : wanted);
    is_int(parsed && extip_is_global(addr, NULL), global,
      "... also when nobody asks why");
  }

  for (size_t i = 0; i < sizeof(not_addresses) / sizeof(not_addresses[0]);
       i++) {
    const char *text = not_addresses[i];
    char shown[32];

    extip_printable(shown, sizeof(shown), text, strlen(text));
    addr.s_addr = 42;
    ok(!extip_ipv4_parse(text, strlen(text), &addr) && addr.s_addr == 42,
      "'%s' is not an IPv4 address", shown);
  }

  ok(!extip_ipv4_parse("1.2.3.4\0", 8, &addr),
    "a NUL after an address makes it none");
  ok(extip_ipv4_parse("1.2.3.45", 7, &addr) && addr.s_addr == htonl(0x01020304),
    "no byte behind the given length is read");
  return done_testing();
}
