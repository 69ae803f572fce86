/*
 * extip-verdict.c - what 'ftpdctl extip check' concludes from what was seen,
 * and how ExtIPProbe is read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>

#include "../../mod_extip/behind_nat.c"
#include "../../mod_extip/percent.c"
#include "../../mod_extip/printable.c"
#include "../../mod_extip/uri.c"
#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/json.c"
#include "../../mod_extip/extract.c"
#include "../../mod_extip/probe.c"
#include "../../mod_extip/verdict.c"
#include "tap.h"

static char said[4096];
static size_t longest;

static void keep(void *user, const char *line) {
  (void) user;
  longest = strlen(line) > longest ? strlen(line) : longest;
  strncat(said, line, sizeof(said) - strlen(said) - 1);
  strncat(said, "\n", sizeof(said) - strlen(said) - 1);
}

/* Each letter is a passive port, an upper-case one the control port:
 * r reached, b busy, d dropped here, c closed, e elsewhere, u untold. */
static struct extip_verdict facts(const char *ports) {
  struct extip_verdict verdict = { .probe = "turn:turn.example.net" };

  (void) inet_pton(AF_INET, "192.0.2.7", &verdict.announced);
  for (; *ports != '\0'; ports++) {
    struct extip_tried *tried = &verdict.tried[verdict.count];
    int letter = *ports | 0x20;

    *tried = (struct extip_tried){ .pool = *ports == letter ? "public" : NULL,
      .inside = (uint16_t) (61000 + verdict.count),
      .outside = (uint16_t) (61000 + verdict.count),
      .busy = letter == 'b',
      .accepted = letter == 'r',
      .arrived = letter == 'r' || letter == 'd',
      .word = letter == 'r' || letter == 'e'   ? EXTIP_WORD_REACHED
              : letter == 'c' || letter == 'd' ? EXTIP_WORD_CLOSED
              : letter == 'u'                  ? EXTIP_WORD_UNTOLD
                                               : EXTIP_WORD_NONE };
    verdict.count++;
  }
  return verdict;
}

static const struct {
  const char *ports;
  int res;
  const char *first;
  const char *more;
} verdicts[] = {
  { "Rrrr", 0, "reachable: 3 of 3 passive ports tried at 192.0.2.7\n", "" },
  { "Crrr", 0, "reachable: 3 of 3", "  61000: not reachable from outside\n" },
  { "Rrbr", 0, "reachable: 2 of 2", "  61002: another program listens there\n" },
  { "Rrur", 0, "reachable: 2 of 2", "  61002: the probe did not tell\n" },
  { "Rrcc", 1, "not reachable: 2 of 3",
    "  61002, 61003: not reachable from outside\n    forward these TCP ports" },
  { "Rccc", 1, "not reachable: no passive port", "though the control port is" },
  { "Cccc", 2, "cannot tell: nothing at 192.0.2.7", "forward these TCP ports" },
  { "Rddd", 1, "not reachable: this host drops", "in this host's firewall" },
  { "Dddd", 1, "not reachable: this host drops", "in this host's firewall" },
  { "Eeee", 2, "cannot tell: the probe says it reached",
    "another host or program answers" },
  { "Reec", 2, "cannot tell: the probe says it reached", "61003: not reach" },
  { "Uuuu", 2, "cannot tell: nothing at", "the probe did not tell" },
  { "Rb", 2, "cannot tell: ", "another program listens" },
  { "Rrcccccccc", 1, "not reachable: 8 of 9",
    "  61002, 61003, 61004, 61005, 61006 and 3 more: not reachable" },
};

static void test_verdicts(void) {
  for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
    struct extip_verdict verdict = facts(verdicts[i].ports);

    *said = '\0';
    is_int(extip_verdict_print(&verdict, keep, NULL), verdicts[i].res,
      "%s: %s", verdicts[i].ports, verdicts[i].first);
    ok(strncmp(said, verdicts[i].first, strlen(verdicts[i].first)) == 0 &&
         strstr(said, verdicts[i].more) != NULL,
      "... in words");
  }
}

static void test_untried(void) {
  struct extip_verdict verdict = facts("Rr");

  verdict.probe = NULL;
  *said = '\0';
  is_int(extip_verdict_print(&verdict, keep, NULL), 2, "no probe");
  ok(strstr(said, "cannot tell: there is no ExtIPProbe") == said, "... is said");

  verdict = facts("Rr");
  snprintf(verdict.failed, sizeof(verdict.failed), "%0200d", 1);
  *said = '\0';
  is_int(extip_verdict_print(&verdict, keep, NULL), 2,
    "a probe that cannot be asked");

  verdict = facts("");
  *said = '\0';
  is_int(extip_verdict_print(&verdict, keep, NULL), 2, "no port");

  verdict = facts("Rr");
  verdict.announced.s_addr = INADDR_ANY;
  *said = '\0';
  is_int(extip_verdict_print(&verdict, keep, NULL), 2, "no address");
  ok(strstr(said, "no external address is known") != NULL, "... is said");
}

static void test_findings(void) {
  struct extip_verdict verdict = facts("Rr");

  verdict.tried[1].pool = "a pool with a name longer than anybody needs";
  verdict.ephemeral[0] = 32768;
  verdict.ephemeral[1] = 61001;
  verdict.evidence[0] =
    (struct extip_evidence){ verdict.tried[1].pool, 12345678, 1234567 };
  verdict.evidence_count = 1;
  (void) inet_pton(AF_INET, "198.51.100.100", &verdict.seen);
  *said = '\0';
  (void) extip_verdict_print(&verdict, keep, NULL);
  ok(strstr(said, "sees this host at 198.51.100.100, and clients are told 192.0.2.7") != NULL,
    "the probe sees another address");
  ok(strstr(said, "ports of outgoing connections (32768-61001)") != NULL,
    "the pool lies in the kernel's range");
  ok(strstr(said, "12345678 ports given to clients, 1234567 never reached") != NULL,
    "what real clients have met");
  ok(longest <= EXTIP_VERDICT_WIDTH, "no line is longer than its limit");

  verdict.ephemeral[1] = 61000;
  verdict.seen = verdict.announced;
  *said = '\0';
  (void) extip_verdict_print(&verdict, keep, NULL);
  ok(strstr(said, "outgoing") == NULL && strstr(said, "sees this host") == NULL,
    "a port above the kernel's range and the right address are no findings");
}

/* A router that is behind a NAT explains why nothing arrives, but not why
 * something is reached that was not to be. */
static const struct {
  const char *router, *ports;
  int res;
  const char *first;
} routers[] = {
  { "100.64.3.3", "Cccc", 1,
    "not reachable: the router is behind carrier-grade NAT itself, at 100.64.3.3\n" },
  { "192.168.0.2", "Eeee", 1,
    "not reachable: the router is behind another NAT itself, at 192.168.0.2\n" },
  { "192.168.0.2", "Uuuu", 1, "not reachable: the router is behind another" },
  { "192.168.0.2", "Rccc", 1, "not reachable: no passive port at 192.0.2.7" },
  { "192.168.0.2", "Rrrr", 0, "reachable: 3 of 3" },
  { "192.168.0.2", "Dddd", 1, "not reachable: this host drops" },
  { "9.9.9.7", "Cccc", 2, "cannot tell: nothing at 192.0.2.7" },
};

static void test_routers(void) {
  for (size_t i = 0; i < sizeof(routers) / sizeof(routers[0]); i++) {
    struct extip_verdict verdict = facts(routers[i].ports);

    (void) inet_pton(AF_INET, routers[i].router, &verdict.router);
    *said = '\0';
    is_int(extip_verdict_print(&verdict, keep, NULL), routers[i].res,
      "a router at %s, %s", routers[i].router, routers[i].ports);
    ok(strstr(said, routers[i].first) == said, "... in words: %s",
      routers[i].first);
    is_int(strstr(said, "\n  the router itself has ") != NULL,
      strstr(said, " behind ") != NULL, "... and a remedy");
  }
}

static const struct {
  const char *words[4];
  const char *reason; /* NULL: accepted */
} probes[] = {
  { { "turn:turn.example.net", "credentials", "/etc/turn" }, NULL },
  { { "TURN:192.0.2.1:3479", "Credentials", "/etc/turn" }, NULL },
  { { "https://ifconfig.example/port/{port}" }, NULL },
  { { "turn:turn.example.net" }, "expected 'credentials'" },
  { { "turn:turn.example.net", "credentials" }, "expected 'credentials'" },
  { { "turn:turn.example.net", "credentials", "turn" }, "expected 'credentials'" },
  { { "turn:turn.example.net:0", "credentials", "/x" }, "'0' is not a port" },
  { { "turn:turn.example.net:65536", "credentials", "/x" }, "is not a port" },
  { { "turn:turn.example.net:34x", "credentials", "/x" }, "is not a port" },
  { { "turn:-bad", "credentials", "/x" }, "'turn:-bad'" },
  { { "turn:", "credentials", "/x" }, "'turn:'" },
  { { "https://ifconfig.example/" }, "{port} is missing" },
  { { "https://ifconfig.example/{port}", "credentials", "/x" }, "only a TURN" },
  { { "ftp://example.net/{port}" }, "expected turn:" },
  { { NULL }, "expected turn:" },
};

static void test_probes(void) {
  for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
    struct extip_probe probe;
    char reason[256] = "";
    size_t count = 0;
    int res;

    while (probes[i].words[count] != NULL) {
      count++;
    }
    res = extip_probe_parse((char *const *) probes[i].words, count, &probe,
      reason, sizeof(reason));
    ok(probes[i].reason == NULL
         ? res == 0
         : res < 0 && strstr(reason, probes[i].reason) != NULL,
      "ExtIPProbe %s: %s", count > 0 ? probes[i].words[0] : "", reason);
  }
}

int main(void) {
  test_verdicts();
  test_untried();
  test_findings();
  test_routers();
  test_probes();
  return done_testing();
}
