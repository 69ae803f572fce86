/*
 * extip-natpmp.c - the NAT-PMP messages of mod_extip: as RFC 6886 draws them,
 * and every way in which an answer can be wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/natpmp.c"
#include "tap.h"

#define BYTES(literal) literal, sizeof(literal) - 1

#define EPOCH "\x00\x01\x51\x80" /* 86,400 */
#define PORTS "\xee\x48\xee\x49" /* 61000, 61001 */
#define HOUR  "\x00\x00\x0e\x10"

/* What is read of an answer; without a reason, of one that counts. */
static const struct {
  const char *name;
  const char *bytes;
  size_t len;
  const char *reason;
  struct extip_natpmp_answer answer; /* addr in host order */
} answers[] = {
  { "an address", BYTES("\x00\x80\x00\x00" EPOCH "\xc6\x33\x64\x07"), NULL,
    { EXTIP_NATPMP_ADDRESS, 0, 86400, { 0xc6336407 }, 0, 0, 0 } },
  { "the address of a line that is down",
    BYTES("\x00\x80\x00\x00" EPOCH "\x00\x00\x00\x00"), NULL,
    { EXTIP_NATPMP_ADDRESS, 0, 86400, { 0 }, 0, 0, 0 } },
  { "a mapping", BYTES("\x00\x82\x00\x00" EPOCH PORTS HOUR), NULL,
    { EXTIP_NATPMP_MAP_TCP, 0, 86400, { 0 }, 61000, 61001, 3600 } },
  { "a deleted mapping",
    BYTES("\x00\x82\x00\x00" EPOCH "\xee\x48\x00\x00\x00\x00\x00\x00"), NULL,
    { EXTIP_NATPMP_MAP_TCP, 0, 86400, { 0 }, 61000, 0, 0 } },
  { "all mappings deleted",
    BYTES("\x00\x82\x00\x00" EPOCH "\x00\x00\x00\x00\x00\x00\x00\x00"), NULL,
    { EXTIP_NATPMP_MAP_TCP, 0, 86400, { 0 }, 0, 0, 0 } },
  { "a refusal, which echoes port and lifetime",
    BYTES("\x00\x82\x00\x02" EPOCH PORTS HOUR), NULL,
    { EXTIP_NATPMP_MAP_TCP, 2, 86400, { 0 }, 61000, 0, 0 } },
  { "no address, with one in it",
    BYTES("\x00\x80\x00\x03" EPOCH "\x64\x40\x03\x03"), NULL,
    { EXTIP_NATPMP_ADDRESS, 3, 86400, { 0 }, 0, 0, 0 } },
  { "an unsupported version, the header alone",
    BYTES("\x00\x82\x00\x01" EPOCH), NULL,
    { EXTIP_NATPMP_MAP_TCP, 1, 86400, { 0 }, 0, 0, 0 } },
  { "a failure of a length in between",
    BYTES("\x00\x82\x00\x04" EPOCH PORTS), NULL,
    { EXTIP_NATPMP_MAP_TCP, 4, 86400, { 0 }, 0, 0, 0 } },
  { "a result beyond all that there are",
    BYTES("\x00\x80\xff\xff" EPOCH "\x00\x00\x00\x00"), NULL,
    { EXTIP_NATPMP_ADDRESS, 65535, 86400, { 0 }, 0, 0, 0 } },
  { "a result in the upper byte",
    BYTES("\x00\x80\x01\x00" EPOCH "\xc6\x33\x64\x07"), NULL,
    { EXTIP_NATPMP_ADDRESS, 256, 86400, { 0 }, 0, 0, 0 } },

  { "nothing", "", 0, "shorter than a NAT-PMP answer", { 0 } },
  { "7 bytes", BYTES("\x00\x80\x00\x03\x00\x00\x00"),
    "shorter than a NAT-PMP answer", { 0 } },
  { "version 1", BYTES("\x01\x80\x00\x00" EPOCH "\xc6\x33\x64\x07"),
    "not version 0", { 0 } },
  { "version 2, which is PCP",
    BYTES("\x02\x80\x00\x00" EPOCH "\xc6\x33\x64\x07"), "not version 0",
    { 0 } },
  { "a request for the address",
    BYTES("\x00\x00\x00\x00" EPOCH "\xc6\x33\x64\x07"), "a request", { 0 } },
  { "a request for a mapping", BYTES("\x00\x02\x00\x00" PORTS HOUR),
    "a request", { 0 } },
  { "a mapping of UDP", BYTES("\x00\x81\x00\x00" EPOCH PORTS HOUR),
    "never made", { 0 } },
  { "opcode 3", BYTES("\x00\x83\x00\x00" EPOCH PORTS HOUR), "never made",
    { 0 } },
  { "opcode 127", BYTES("\x00\xff\x00\x00" EPOCH PORTS HOUR), "never made",
    { 0 } },
  { "an address of 11 bytes", BYTES("\x00\x80\x00\x00" EPOCH "\xc6\x33\x64"),
    "not the 12 bytes", { 0 } },
  { "an address of 13 bytes",
    BYTES("\x00\x80\x00\x00" EPOCH "\xc6\x33\x64\x07\x00"), "longer",
    { 0 } },
  { "no address of 13 bytes",
    BYTES("\x00\x80\x00\x03" EPOCH "\xc6\x33\x64\x07\x00"), "longer",
    { 0 } },
  { "a mapping of 12 bytes", BYTES("\x00\x82\x00\x00" EPOCH PORTS),
    "not the 16 bytes", { 0 } },
  { "a mapping of 17 bytes", BYTES("\x00\x82\x00\x00" EPOCH PORTS HOUR "\x00"),
    "longer", { 0 } },
  { "a mapping of inner port 0",
    BYTES("\x00\x82\x00\x00" EPOCH "\x00\x00\xee\x49" HOUR), "port 0", { 0 } },
  { "a mapping of outer port 0 for a second",
    BYTES("\x00\x82\x00\x00" EPOCH "\xee\x48\x00\x00\x00\x00\x00\x01"), "port 0", { 0 } },
};

static void test_answers(void) {
  for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
    const struct extip_natpmp_answer *want = &answers[i].answer;
    struct extip_natpmp_answer got;
    const char *reason;
    /* Of its own size, so that a sanitizer sees a byte too much read. */
    unsigned char *copy = malloc(answers[i].len + (answers[i].len == 0));

    memcpy(copy, answers[i].bytes, answers[i].len);
    int res = extip_natpmp_get(copy, answers[i].len, &got, &reason);

    if (res == -1) {
      ok(answers[i].reason != NULL &&
           strstr(reason, answers[i].reason) != NULL,
        "%s: %s", answers[i].name, reason);
    } else {
      ok(res == 0 && reason == NULL && answers[i].reason == NULL &&
           got.op == want->op &&
           got.result == want->result && got.epoch == want->epoch &&
           ntohl(got.addr.s_addr) == want->addr.s_addr &&
           got.inner == want->inner && got.outer == want->outer &&
           got.lifetime == want->lifetime,
        "%s is read", answers[i].name);
    }
    free(copy);
  }
}

static void test_requests(void) {
  unsigned char address[EXTIP_NATPMP_ADDRESS_REQUEST_SIZE];
  unsigned char map[EXTIP_NATPMP_MAP_REQUEST_SIZE];

  memset(address, 0xff, sizeof(address));
  extip_natpmp_put_address_request(address);
  ok(memcmp(address, "\x00\x00", 2) == 0, "a request for the address");
  memset(map, 0xff, sizeof(map));
  extip_natpmp_put_map_request(map, 61000, 61001, 3600);
  ok(memcmp(map, "\x00\x02\x00\x00" PORTS HOUR, 12) == 0,
    "a request for a mapping");
  extip_natpmp_put_map_request(map, 61000, 61001, 1);
  ok(memcmp(map, "\x00\x02\x00\x00" PORTS "\x00\x00\x00\x01", 12) == 0,
    "... for a second");
  extip_natpmp_put_map_request(map, 61000, 61001, 0);
  ok(memcmp(map, "\x00\x02\x00\x00\xee\x48\x00\x00\x00\x00\x00\x00", 12) == 0,
    "to delete it, the outer port is 0");
}

static void test_texts(void) {
  unsigned int same = 0, printable = 1;

  for (unsigned int a = 0; a <= EXTIP_NATPMP_RESULTS; a++) {
    const char *text = extip_natpmp_result_text(a);

    for (unsigned int b = 0; b < a; b++) {
      same += strcmp(text, extip_natpmp_result_text(b)) == 0;
    }
    for (const char *c = text; *c != '\0'; c++) {
      printable &= *c >= 0x20 && *c <= 0x7e;
    }
    ok(a == 0 || strstr(text, ": ") != NULL, "result %u: %s", a, text);
  }
  ok(same == 0 && printable, "each result has a text of its own, in ASCII");
  is_str(extip_natpmp_result_text(65535),
    extip_natpmp_result_text(EXTIP_NATPMP_RESULTS),
    "all that there are not have the same");
}

int main(void) {
  test_answers();
  test_requests();
  test_texts();
  return done_testing();
}
