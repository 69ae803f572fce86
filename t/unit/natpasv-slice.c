/*
 * natpasv-slice.c - the part of the ports that a node of a fleet has: together
 * the parts are all ports, and no port is in two.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/ports.c"
#define parse_number parse_slice_number
#include "../../mod_natpasv/slice.c"
#include "tap.h"

static const struct {
  const char *text, *hostname;
  unsigned int k, n; /* 0: refused */
} slices[] = {
  { "1/1", "", 1, 1 },
  { "2/4", "", 2, 4 },
  { "64/64", "", 64, 64 },
  { "hostname/3", "ftp-0", 1, 3 },
  { "hostname/3", "ftp-2", 3, 3 },
  { "HostName/12", "my-ftp-11.ftp.svc.local", 12, 12 },
  { "hostname/3", "ftp-3", 0, 0 },
  { "hostname/3", "ftp", 0, 0 },
  { "hostname/3", "ftp2", 0, 0 },
  { "hostname/3", "2", 0, 0 },
  { "hostname/3", "", 0, 0 },
  { "hostname/3", "ftp-4294967296", 0, 0 },
  { "hostname", "ftp-0", 0, 0 },
  { "0/4", "", 0, 0 },
  { "5/4", "", 0, 0 },
  { "1/0", "", 0, 0 },
  { "1/65", "", 0, 0 },
  { "/4", "", 0, 0 },
  { "1/", "", 0, 0 },
  { "1", "", 0, 0 },
  { "", "", 0, 0 },
  { "-1/4", "", 0, 0 },
  { "+1/4", "", 0, 0 },
  { " 1/4", "", 0, 0 },
  { "1/4 ", "", 0, 0 },
  { "1/4/4", "", 0, 0 },
  { "4294967297/4", "", 0, 0 },
};

static void test_texts(void) {
  for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
    struct natpasv_slice slice = { 0, 0 };
    char reason[512] = "";

    (void) natpasv_slice_parse(
      &slice, slices[i].text, slices[i].hostname, reason, sizeof(reason));
    ok(slice.k == slices[i].k && slice.n == slices[i].n &&
         (slice.n == 0) == (reason[0] != '\0'),
      "'%s' on host '%s': %u/%u %s", slices[i].text, slices[i].hostname,
      slice.k, slice.n, reason);
  }
}

static void test_parts(const char *text, unsigned int n) {
  static struct natpasv_ports whole, part;
  static unsigned char had[NATPASV_MAX_PORT + 1];
  unsigned int expected = 0, wrong = 0;
  char reason[256];

  memset(had, 0, sizeof(had));
  (void) natpasv_ports_parse(&whole, text, 1024);
  for (unsigned int k = 1; k <= n; k++) {
    struct natpasv_slice slice = { k, n };

    part = whole;
    wrong += natpasv_slice_cut(&slice, &part, reason, sizeof(reason)) < 0;
    wrong += part.count != whole.count / n;
    for (unsigned int port = 0; port <= NATPASV_MAX_PORT; port++) {
      if (natpasv_ports_have(&part, port)) {
        had[port]++;
        wrong +=
          natpasv_ports_index(&whole, port) !=
          natpasv_ports_index(&part, port) + (int) ((k - 1) * part.count);
      }
    }
  }

  for (unsigned int port = 0; port <= NATPASV_MAX_PORT; port++) {
    wrong += had[port] != (natpasv_ports_have(&whole, port) ? 1 : 0);
    expected += had[port];
  }
  is_int(wrong, 0, "%s in %u parts", text, n);
  is_int(expected, whole.count, "... of all ports");
}

static void test_refused(const char *text, unsigned int n, const char *why) {
  struct natpasv_slice slice = { 1, n };
  static struct natpasv_ports ports;
  char reason[256] = "";

  (void) natpasv_ports_parse(&ports, text, 1024);
  is_int(natpasv_slice_cut(&slice, &ports, reason, sizeof(reason)), -1,
    "%s in %u parts is refused", text, n);
  is_str(reason, why, "... with the numbers that can be");
}

int main(void) {
  test_texts();
  test_parts("61000-61999", 4);
  test_parts("61000-61999", 1);
  test_parts("1024-65535", 64);
  test_parts("62000-62009,61000-61004,50000,40000-40003", 5);
  test_parts("62000-62009,61000-61009", 2);
  test_refused("61000-61999", 3,
    "slice 1/3: 1000 ports cannot be divided into 3 equal parts: 999 or 1002 can");
  test_refused("61000", 3,
    "slice 1/3: 1 ports cannot be divided into 3 parts: at least 3 are needed");
  return done_testing();
}
