/*
 * extip-pcp.c - the PCP messages of mod_extip: as RFC 6887 draws them, and
 * every way in which an answer can be wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/pcp.c"
#include "tap.h"

#include <sys/mman.h>
#include <unistd.h>

#define BYTES(literal) literal, sizeof(literal) - 1

#define LIFE   "\x00\x00\x0e\x10" /* an hour */
#define EPOCH  "\x00\x01\x51\x80" /* 86,400 */
#define ZERO3  "\x00\x00\x00"
#define ZERO4  "\x00\x00\x00\x00"
#define ZERO12 ZERO4 ZERO4 ZERO4
#define NONCE  "ABCDEFGHIJKL"
#define PORTS  "\xee\x48\xee\x49" /* 61000, 61001 */
#define V4     ZERO4 ZERO4 "\x00\x00\xff\xff"
#define ADDR   V4 "\xc6\x33\x64\x07" /* 198.51.100.7 */
#define V6     "\x20\x01\x0d\xb8" ZERO4 ZERO4 "\x00\x00\x00\x01"
#define MAP    NONCE "\x06" ZERO3 PORTS ADDR

/* A header with this result, and one with this lifetime. */
#define FAILED(result) "\x02\x81\x00" result LIFE EPOCH ZERO12
#define LASTS(life)    "\x02\x81\x00\x00" life EPOCH ZERO12

#define MAPPED(result, lifetime, addr)                                     \
  {                                                                        \
    EXTIP_PCP_VERSION, EXTIP_PCP_MAP, result, lifetime, 86400, true,       \
      { 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L' }, 61000, \
      61001, { addr }                                                      \
  }
#define NO_MAP(version, op, result, lifetime, epoch)                  \
  { version, op, result, lifetime, epoch, false, { 0 }, 0, 0, { 0 } }
#define NONE NO_MAP(0, 0, 0, 0, 0)

/* What is read of an answer; without a reason, of one that counts. */
static const struct {
  const char *name;
  const char *bytes;
  size_t len;
  const char *reason;
  struct extip_pcp_answer answer; /* outer_addr in host order */
} answers[] = {
  { "a mapping", BYTES(LASTS(LIFE) MAP), NULL, MAPPED(0, 3600, 0xc6336407) },
  { "a mapping with PREFER_FAILURE echoed",
    BYTES(LASTS(LIFE) MAP "\x02\x00\x00\x00"), NULL,
    MAPPED(0, 3600, 0xc6336407) },
  { "a mapping with an option of 5 bytes, padded to 8",
    BYTES(LASTS(LIFE) MAP "\x81\x00\x00\x05" "12345678"), NULL,
    MAPPED(0, 3600, 0xc6336407) },
  { "a mapping whose reserved bytes are not 0",
    BYTES("\x02\x81\xff\x00" LIFE EPOCH "............" NONCE "\x06..." PORTS
            ADDR),
    NULL, MAPPED(0, 3600, 0xc6336407) },
  { "a deleted mapping", BYTES(LASTS(ZERO4) MAP), NULL,
    MAPPED(0, 0, 0xc6336407) },
  { "a deleted mapping without outside port and address",
    BYTES(LASTS(ZERO4) NONCE "\x06" ZERO3 "\xee\x48\x00\x00" V4 ZERO4), NULL,
    { EXTIP_PCP_VERSION, EXTIP_PCP_MAP, 0, 0, 86400, true,
      { 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L' }, 61000, 0,
      { 0 } } },
  { "a router behind another NAT",
    BYTES(FAILED("\x08") NONCE "\x06" ZERO3 PORTS V4 "\x64\x40\x03\x03"), NULL,
    MAPPED(8, 3600, 0x64400303) },
  { "a refusal without an outside address of IPv4",
    BYTES(FAILED("\x02") NONCE "\x06" ZERO3 PORTS V6), NULL,
    MAPPED(2, 3600, 0) },
  { "a refusal that ends after the header", BYTES(FAILED("\x02")), NULL,
    NO_MAP(2, EXTIP_PCP_MAP, 2, 3600, 86400) },
  { "a refusal that ends within the mapping",
    BYTES(FAILED("\x02") NONCE "\x06" ZERO3 PORTS V4), NULL,
    NO_MAP(2, EXTIP_PCP_MAP, 2, 3600, 86400) },
  { "a refusal that echoes an option without its end",
    BYTES(FAILED("\x06") MAP "\x02\x00\xff\xff"), NULL,
    MAPPED(6, 3600, 0xc6336407) },
  { "a result beyond all that there are", BYTES(FAILED("\xff") MAP), NULL,
    MAPPED(255, 3600, 0xc6336407) },
  { "an announcement", BYTES("\x02\x80\x00\x00" ZERO4 EPOCH ZERO12), NULL,
    NO_MAP(2, EXTIP_PCP_ANNOUNCE, 0, 0, 86400) },
  { "an announcement with an option",
    BYTES("\x02\x80\x00\x00" ZERO4 EPOCH ZERO12 "\x80\x00\x00\x00"), NULL,
    NO_MAP(2, EXTIP_PCP_ANNOUNCE, 0, 0, 86400) },
  { "a router that makes no announcements",
    BYTES("\x02\x80\x00\x04" LIFE EPOCH ZERO12 "\x80\x00\xff\xff"), NULL,
    NO_MAP(2, EXTIP_PCP_ANNOUNCE, 4, 3600, 86400) },
  { "a router that speaks NAT-PMP", BYTES("\x00\x81\x00\x01" EPOCH), NULL,
    NO_MAP(0, 0, 1, 0, 0) },
  { "a router that speaks version 1 of PCP",
    BYTES("\x01\x81\x00\x01" LIFE EPOCH ZERO12 MAP), NULL,
    NO_MAP(1, 0, 1, 0, 0) },

  { "nothing", "", 0, "shorter than a PCP answer", NONE },
  { "7 bytes", BYTES("\x00\x81\x00\x01" ZERO3), "shorter than a PCP answer",
    NONE },
  { "23 bytes", BYTES("\x02\x80\x00\x00" ZERO4 EPOCH ZERO4 ZERO4 ZERO3),
    "shorter than a PCP answer", NONE },
  { "another version with a success", BYTES("\x03\x81\x00\x00" LIFE EPOCH
      ZERO12 MAP), "another version", NONE },
  { "an address by NAT-PMP", BYTES("\x00\x80\x00\x00" EPOCH "\xc6\x33\x64\x07"),
    "another version", NONE },
  { "a request", BYTES("\x02\x01\x00\x00" LIFE EPOCH ZERO12 MAP), "a request",
    NONE },
  { "a request of NAT-PMP", BYTES("\x00\x02\x00\x01" PORTS LIFE), "a request",
    NONE },
  { "a length that is no multiple of 4",
    BYTES(LASTS(LIFE) MAP "\x02\x00\x00"), "multiple of 4", NONE },
  { "opcode 2, which is PEER", BYTES("\x02\x82\x00\x00" LIFE EPOCH ZERO12 MAP),
    "never made", NONE },
  { "opcode 127", BYTES("\x02\xff\x00\x00" LIFE EPOCH ZERO12 MAP),
    "never made", NONE },
  { "a mapping that ends after the header", BYTES(LASTS(LIFE)),
    "shorter than an answer with a mapping", NONE },
  { "a mapping of 56 bytes",
    BYTES(LASTS(LIFE) NONCE "\x06" ZERO3 PORTS V4),
    "shorter than an answer with a mapping", NONE },
  { "a mapping of UDP", BYTES(LASTS(LIFE) NONCE "\x11" ZERO3 PORTS ADDR),
    "another protocol", NONE },
  { "a mapping of all protocols",
    BYTES(LASTS(LIFE) NONCE ZERO4 PORTS ADDR), "another protocol", NONE },
  { "a mapping of inner port 0",
    BYTES(LASTS(LIFE) NONCE "\x06" ZERO3 "\x00\x00\xee\x49" ADDR), "port 0",
    NONE },
  { "a mapping of outer port 0 for a second",
    BYTES(LASTS("\x00\x00\x00\x01") NONCE "\x06" ZERO3 "\xee\x48\x00\x00" ADDR), "port 0",
    NONE },
  { "an outside address of IPv6",
    BYTES(LASTS(LIFE) NONCE "\x06" ZERO3 PORTS V6), "not IPv4", NONE },
  { "an outside address of 4 bytes at the wrong end",
    BYTES(LASTS(LIFE) NONCE "\x06" ZERO3 PORTS "\xc6\x33\x64\x07" ZERO12),
    "not IPv4", NONE },
  { "a mapping at 0.0.0.0 for a second",
    BYTES(LASTS("\x00\x00\x00\x01") NONCE "\x06" ZERO3 PORTS V4 ZERO4),
    "without an outside address", NONE },
  { "an option that runs past the end",
    BYTES(LASTS(LIFE) MAP "\x02\x00\x00\x01"), "past the end", NONE },
  { "an option of 65535 bytes",
    BYTES(LASTS(LIFE) MAP "\x02\x00\xff\xff" ZERO12), "past the end", NONE },
  { "padding that runs past the end",
    BYTES(LASTS(LIFE) MAP "\x02\x00\x00\x05" ZERO4), "past the end", NONE },
  { "a second option that runs past the end",
    BYTES(LASTS(LIFE) MAP "\x02\x00\x00\x00" "\x81\x00\x00\x04"),
    "past the end", NONE },
  { "an announcement with an option that runs past the end",
    BYTES("\x02\x80\x00\x00" ZERO4 EPOCH ZERO12 "\x80\x00\x00\x04"),
    "past the end", NONE },
};

static bool same(
  const struct extip_pcp_answer *got, const struct extip_pcp_answer *want) {
  return got->version == want->version && got->op == want->op &&
         got->result == want->result && got->lifetime == want->lifetime &&
         got->epoch == want->epoch && got->has_map == want->has_map &&
         memcmp(got->nonce, want->nonce, sizeof(got->nonce)) == 0 &&
         got->inner == want->inner && got->outer == want->outer &&
         ntohl(got->outer_addr.s_addr) == want->outer_addr.s_addr;
}

static void test_answers(void) {
  for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
    struct extip_pcp_answer got;
    const char *reason;
    /* Of its own size, so that a sanitizer sees a byte too much read. */
    unsigned char *copy = malloc(answers[i].len + (answers[i].len == 0));

    memcpy(copy, answers[i].bytes, answers[i].len);
    int res = extip_pcp_get(copy, answers[i].len, &got, &reason);

    if (res == -1) {
      ok(answers[i].reason != NULL &&
           strstr(reason, answers[i].reason) != NULL,
        "%s: %s", answers[i].name, reason);
    } else {
      ok(res == 0 && reason == NULL && answers[i].reason == NULL &&
           same(&got, &answers[i].answer),
        "%s is read", answers[i].name);
    }
    free(copy);
  }
}

static void test_length(void) {
  static unsigned char bytes[EXTIP_PCP_ANSWER_MAX + 4] = LASTS(LIFE) MAP
    "\x81\x00\x04\x0c";
  struct extip_pcp_answer answer;
  const char *reason;

  is_int(extip_pcp_get(bytes, EXTIP_PCP_ANSWER_MAX, &answer, &reason), 0,
    "1,100 bytes are read");
  is_int(extip_pcp_get(bytes, EXTIP_PCP_ANSWER_MAX + 4, &answer, &reason), -1,
    "1,104 bytes are not");
  ok(reason != NULL && strstr(reason, "longer") != NULL, "... : %s", reason);
}

/* What is behind an answer is not read: there is no memory. */
static void test_end(void) {
  static const unsigned char options[] = LASTS(LIFE) MAP "\x02\x00\x00\x00";
  size_t page = (size_t) sysconf(_SC_PAGESIZE), len = sizeof(options) - 1;
  unsigned char *bytes = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct extip_pcp_answer answer;
  const char *reason;

  (void) mprotect(bytes + page, page, PROT_NONE);
  memcpy(bytes + page - len, options, len);
  is_int(extip_pcp_get(bytes + page - len, len, &answer, &reason), 0,
    "an answer is read to its end");
  memcpy(bytes + page - len + 4, options, len - 4);
  is_int(extip_pcp_get(bytes + page - len + 4, len - 4, &answer, &reason), 0,
    "... also without options, and no further");
  (void) munmap(bytes, 2 * page);
}

static const struct {
  const char *name;
  struct extip_pcp_map map; /* addresses in host order */
  const char *bytes;
  size_t len;
} requests[] = {
  { "a mapping of a certain port and no other",
    { NONCE, { 0xc0a8010a }, 61000, 61001, { 0 }, 3600, true },
    BYTES("\x02\x01\x00\x00" LIFE V4 "\xc0\xa8\x01\x0a" NONCE "\x06" ZERO3
            PORTS V4 ZERO4 "\x02\x00\x00\x00") },
  { "a mapping of a certain port, or another",
    { NONCE, { 0xc0a8010a }, 61000, 61001, { 0xc6336407 }, 3600, false },
    BYTES("\x02\x01\x00\x00" LIFE V4 "\xc0\xa8\x01\x0a" NONCE "\x06" ZERO3
            PORTS ADDR) },
  { "a mapping of any port, without PREFER_FAILURE",
    { NONCE, { 0xc0a8010a }, 61000, 0, { 0 }, 3600, true },
    BYTES("\x02\x01\x00\x00" LIFE V4 "\xc0\xa8\x01\x0a" NONCE "\x06" ZERO3
            "\xee\x48\x00\x00" V4 ZERO4) },
  { "to delete a mapping, without PREFER_FAILURE",
    { NONCE, { 0xc0a8010a }, 61000, 61001, { 0 }, 0, true },
    BYTES("\x02\x01\x00\x00" ZERO4 V4 "\xc0\xa8\x01\x0a" NONCE "\x06" ZERO3
            PORTS V4 ZERO4) },
};

static void test_requests(void) {
  unsigned char out[EXTIP_PCP_MAP_REQUEST_MAX];

  for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
    struct extip_pcp_map map = requests[i].map;
    size_t len;

    map.client.s_addr = htonl(map.client.s_addr);
    map.outer_addr.s_addr = htonl(map.outer_addr.s_addr);
    memset(out, 0xff, sizeof(out));
    len = extip_pcp_put_map(out, &map);
    ok(len == requests[i].len && memcmp(out, requests[i].bytes, len) == 0,
      "request: %s", requests[i].name);
  }

  memset(out, 0xff, sizeof(out));
  extip_pcp_put_announce(out, (struct in_addr){ htonl(0xc0a8010a) });
  ok(memcmp(out, "\x02\x00\x00\x00" ZERO4 V4 "\xc0\xa8\x01\x0a",
       EXTIP_PCP_ANNOUNCE_REQUEST_SIZE) == 0,
    "request: the epoch");
}

static void test_matching(void) {
  struct extip_pcp_map map = { NONCE, { 0 }, 61000, 61001, { 0 }, 3600, true };
  struct extip_pcp_answer answer = MAPPED(0, 3600, 0), other = answer;

  ok(extip_pcp_answers(&answer, &map), "an answer belongs to its request");
  other.outer = 61002;
  ok(extip_pcp_answers(&other, &map), "... with another outer port, too");
  other.inner = 61001;
  ok(!extip_pcp_answers(&other, &map), "... and not with another inner port");
  other = answer;
  other.nonce[11] ^= 1;
  ok(!extip_pcp_answers(&other, &map), "... nor with another nonce");
  other = answer;
  other.has_map = false;
  ok(!extip_pcp_answers(&other, &map), "... nor without a mapping");
}

static void test_nonces(void) {
  unsigned char one[EXTIP_PCP_NONCE_SIZE] = { 0 };
  unsigned char two[EXTIP_PCP_NONCE_SIZE] = { 0 };

  ok(extip_pcp_new_nonce(one) && extip_pcp_new_nonce(two) &&
       memcmp(one, two, sizeof(one)) != 0,
    "no nonce is like another");
}

static void test_texts(void) {
  unsigned int alike = 0, printable = 1;

  for (unsigned int a = 0; a <= EXTIP_PCP_RESULTS; a++) {
    const char *text = extip_pcp_result_text(a);

    for (unsigned int b = 0; b < a; b++) {
      alike += strcmp(text, extip_pcp_result_text(b)) == 0;
    }
    for (const char *c = text; *c != '\0'; c++) {
      printable &= *c >= 0x20 && *c <= 0x7e;
    }
    ok(a == 0 || strstr(text, ": ") != NULL, "result %u: %s", a, text);
  }
  ok(alike == 0 && printable, "each result has a text of its own, in ASCII");
  is_str(extip_pcp_result_text(255), extip_pcp_result_text(EXTIP_PCP_RESULTS),
    "all that there are not have the same");
}

int main(void) {
  test_answers();
  test_length();
  test_end();
  test_requests();
  test_matching();
  test_nonces();
  test_texts();
  return done_testing();
}
