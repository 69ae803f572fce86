/*
 * extip-stun.c - the STUN messages of mod_extip: RFC 5769's vectors, and every
 * way in which a reply can be wrong.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/printable.c"
#include "../../mod_extip/stun.c"
#include "../../mod_extip/stun_message.c"
#include "tap.h"

/* RFC 5769: the transaction id of 2.1, 2.2 and 2.3. */
static const unsigned char rfc_id[] =
  "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

static const unsigned char rfc_request[] =
  "\x00\x01\x00\x58\x21\x12\xa4\x42"
  "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
  "\x80\x22\x00\x10" "STUN test client"
  "\x00\x24\x00\x04\x6e\x00\x01\xff"
  "\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36"
  "\x00\x06\x00\x09\x65\x76\x74\x6a\x3a\x68\x36\x76\x59\x20\x20\x20"
  "\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5"
  "\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2"
  "\x80\x28\x00\x04\xe5\x7a\x3b\xcf";

static const unsigned char rfc_ipv4[] =
  "\x01\x01\x00\x3c\x21\x12\xa4\x42"
  "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
  "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
  "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
  "\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9"
  "\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7"
  "\x80\x28\x00\x04\xc0\x7d\x4c\x96";

static const unsigned char rfc_ipv6[] =
  "\x01\x01\x00\x48\x21\x12\xa4\x42"
  "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
  "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
  "\x00\x20\x00\x14\x00\x02\xa1\x47"
  "\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9"
  "\x00\x08\x00\x14\xa3\x82\x95\x4e\x4b\xe6\x7b\xf1\x17\x84\xc9\x7c"
  "\x82\x92\xc2\x75\xbf\xe3\xed\x41"
  "\x80\x28\x00\x04\xc8\xfb\x0b\x4c";

#define ID     "ABCDEFGHIJKL"
#define HEAD   "\x21\x12\xa4\x42" ID
#define XOR_1  "\x00\x20\x00\x08\x00\x01\x33\x26\xea\x12\xd5\x45" /* 203.0.113.7:8756 */
#define MAP_2  "\x00\x01\x00\x08\x00\x01\x22\x34\xc6\x33\x64\x09" /* 198.51.100.9:8756 */
#define ALT    "\x80\x23\x00\x08\x00\x01\x0d\x97\xc0\x00\x02\x05" /* 192.0.2.5:3479 */
#define INTEGRITY "\x00\x08\x00\x14" "01234567890123456789"

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
  const char *name;
  const char *bytes;
  size_t len;
  enum extip_stun_result result;
  const char *addr; /* NULL: none */
  const char *reason;  /* part of it */
} replies[] = {
  { "XOR-MAPPED-ADDRESS", BYTES("\x01\x01\x00\x0c" HEAD XOR_1),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "MAPPED-ADDRESS of an old server", BYTES("\x01\x01\x00\x0c" HEAD MAP_2),
    EXTIP_STUN_ADDRESS, "198.51.100.9", "" },
  { "XOR-MAPPED-ADDRESS goes before MAPPED-ADDRESS",
    BYTES("\x01\x01\x00\x18" HEAD MAP_2 XOR_1), EXTIP_STUN_ADDRESS,
    "203.0.113.7", "" },
  { "the first of two counts",
    BYTES("\x01\x01\x00\x18" HEAD XOR_1
          "\x00\x20\x00\x08\x00\x01\x33\x26\x11\x11\x11\x11"),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "padding may have any value",
    BYTES("\x01\x01\x00\x14" HEAD "\x80\x22\x00\x01\x41\xff\xff\xff" XOR_1),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "unknown optional attribute",
    BYTES("\x01\x01\x00\x14" HEAD "\x80\xff\x00\x04\x41\xff\xff\xff" XOR_1),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "attributes of RFC 3489",
    BYTES("\x01\x01\x00\x18" HEAD
          "\x00\x05\x00\x08\x00\x01\x0d\x97\xc0\x00\x02\x05" MAP_2),
    EXTIP_STUN_ADDRESS, "198.51.100.9", "" },
  { "an unknown attribute behind MESSAGE-INTEGRITY",
    BYTES("\x01\x01\x00\x28" HEAD XOR_1 INTEGRITY "\x7f\xff\x00\x00"),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "an address behind MESSAGE-INTEGRITY",
    BYTES("\x01\x01\x00\x24" HEAD INTEGRITY XOR_1), EXTIP_STUN_BAD, NULL,
    "no mapped address" },
  { "no address", BYTES("\x01\x01\x00\x00" HEAD), EXTIP_STUN_BAD, NULL,
    "no mapped address" },
  { "unknown required attribute",
    BYTES("\x01\x01\x00\x10" HEAD XOR_1 "\x7a\xbc\x00\x00"), EXTIP_STUN_BAD,
    NULL, "unknown required attribute 0x7abc" },
  { "required attribute 0",
    BYTES("\x01\x01\x00\x10" HEAD XOR_1 "\x00\x00\x00\x00"), EXTIP_STUN_BAD,
    NULL, "unknown required attribute 0x0000" },
  { "two unknown required attributes, of which 0 is the first",
    BYTES("\x01\x01\x00\x14" HEAD XOR_1 "\x00\x00\x00\x00\x7a\xbc\x00\x00"),
    EXTIP_STUN_BAD, NULL, "unknown required attribute 0x0000" },
  { "the last optional attribute of all is optional",
    BYTES("\x01\x01\x00\x10" HEAD XOR_1 "\xff\xff\x00\x00"),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "the first optional one too",
    BYTES("\x01\x01\x00\x10" HEAD XOR_1 "\x80\x00\x00\x00"),
    EXTIP_STUN_ADDRESS, "203.0.113.7", "" },
  { "unknown family",
    BYTES("\x01\x01\x00\x0c" HEAD
          "\x00\x20\x00\x08\x00\x03\x33\x26\xea\x12\xd5\x45"),
    EXTIP_STUN_BAD, NULL, "unknown address family 3" },
  { "IPv4 address of 16 bytes",
    BYTES("\x01\x01\x00\x18" HEAD "\x00\x20\x00\x14\x00\x01\x33\x26"
          "\xea\x12\xd5\x45\xea\x12\xd5\x45\xea\x12\xd5\x45\xea\x12\xd5\x45"),
    EXTIP_STUN_BAD, NULL, "address of 20 bytes" },
  { "address of 3 bytes",
    BYTES("\x01\x01\x00\x08" HEAD "\x00\x20\x00\x03\x00\x01\x33\x26"),
    EXTIP_STUN_BAD, NULL, "address family 0" },

  { "nothing", BYTES(""), EXTIP_STUN_STRAY, NULL, "shorter" },
  { "19 bytes", BYTES("\x01\x01\x00\x00\x21\x12\xa4\x42" "ABCDEFGHIJK"),
    EXTIP_STUN_STRAY, NULL, "shorter" },
  { "the two top bits", BYTES("\x81\x01\x00\x0c" HEAD XOR_1),
    EXTIP_STUN_STRAY, NULL, "not a STUN message" },
  { "wrong cookie",
    BYTES("\x01\x01\x00\x0c\x21\x12\xa4\x43" ID XOR_1), EXTIP_STUN_STRAY, NULL,
    "wrong magic cookie" },
  { "wrong id", BYTES("\x01\x01\x00\x0c\x21\x12\xa4\x42" "ABCDEFGHIJKM" XOR_1),
    EXTIP_STUN_STRAY, NULL, "wrong transaction id" },
  { "length too small", BYTES("\x01\x01\x00\x08" HEAD XOR_1),
    EXTIP_STUN_STRAY, NULL, "wrong message length" },
  { "length too large", BYTES("\x01\x01\x00\x10" HEAD XOR_1),
    EXTIP_STUN_STRAY, NULL, "wrong message length" },
  { "length no multiple of 4", BYTES("\x01\x01\x00\x0d" HEAD XOR_1 "\x00"),
    EXTIP_STUN_STRAY, NULL, "wrong message length" },
  { "a request", BYTES("\x00\x01\x00\x0c" HEAD XOR_1), EXTIP_STUN_STRAY, NULL,
    "not a response" },
  { "an indication", BYTES("\x00\x11\x00\x0c" HEAD XOR_1), EXTIP_STUN_STRAY,
    NULL, "not a response" },
  { "another method", BYTES("\x01\x03\x00\x0c" HEAD XOR_1), EXTIP_STUN_STRAY,
    NULL, "wrong method" },
  { "a method of high bits", BYTES("\x21\x01\x00\x0c" HEAD XOR_1),
    EXTIP_STUN_STRAY, NULL, "wrong method" },
  { "attribute past the end",
    BYTES("\x01\x01\x00\x0c" HEAD
          "\x00\x20\x00\x0c\x00\x01\x33\x26\xea\x12\xd5\x45"),
    EXTIP_STUN_STRAY, NULL, "past the end" },
  { "padding past the end",
    BYTES("\x01\x01\x00\x10" HEAD XOR_1 "\x80\x22\x00\x01"), EXTIP_STUN_STRAY,
    NULL, "past the end" },
  { "attribute of 65535 bytes",
    BYTES("\x01\x01\x00\x0c" HEAD
          "\x00\x20\xff\xff\x00\x01\x33\x26\xea\x12\xd5\x45"),
    EXTIP_STUN_STRAY, NULL, "past the end" },
  { "wrong FINGERPRINT",
    BYTES("\x01\x01\x00\x14" HEAD XOR_1 "\x80\x28\x00\x04" "ABCD"),
    EXTIP_STUN_STRAY, NULL, "wrong FINGERPRINT" },
  { "FINGERPRINT of 8 bytes",
    BYTES("\x01\x01\x00\x18" HEAD XOR_1 "\x80\x28\x00\x08" "ABCDEFGH"),
    EXTIP_STUN_STRAY, NULL, "malformed FINGERPRINT" },
  { "FINGERPRINT that is not the last",
    BYTES("\x01\x01\x00\x14" HEAD "\x80\x28\x00\x04" "ABCD" XOR_1),
    EXTIP_STUN_STRAY, NULL, "malformed FINGERPRINT" },

  { "error 420",
    BYTES("\x01\x11\x00\x14" HEAD "\x00\x09\x00\x0d\x00\x00\x04\x14"
          "no\x1b such\xff" "pad"),
    EXTIP_STUN_ERROR, NULL, "error 420 no? such?" },
  { "error 500 without a phrase",
    BYTES("\x01\x11\x00\x08" HEAD "\x00\x09\x00\x04\x00\x00\x05\x00"),
    EXTIP_STUN_ERROR, NULL, "error 500" },
  { "error reply without a code", BYTES("\x01\x11\x00\x0c" HEAD XOR_1),
    EXTIP_STUN_BAD, NULL, "without a valid error code" },
  { "error class 2",
    BYTES("\x01\x11\x00\x08" HEAD "\x00\x09\x00\x04\x00\x00\x02\x00"),
    EXTIP_STUN_BAD, NULL, "without a valid error code" },
  { "error number 100",
    BYTES("\x01\x11\x00\x08" HEAD "\x00\x09\x00\x04\x00\x00\x04\x64"),
    EXTIP_STUN_BAD, NULL, "without a valid error code" },
  { "error code of 3 bytes",
    BYTES("\x01\x11\x00\x08" HEAD "\x00\x09\x00\x03\x00\x00\x04\x14"),
    EXTIP_STUN_BAD, NULL, "without a valid error code" },
  { "error with an unknown required attribute",
    BYTES("\x01\x11\x00\x0c" HEAD "\x00\x09\x00\x04\x00\x00\x04\x14"
          "\x7f\xff\x00\x00"),
    EXTIP_STUN_BAD, NULL, "0x7fff" },
  { "error 300 with ALTERNATE-SERVER",
    BYTES("\x01\x11\x00\x14" HEAD "\x00\x09\x00\x04\x00\x00\x03\x00" ALT),
    EXTIP_STUN_ALTERNATE, "192.0.2.5", "error 300" },
  { "error 300 without ALTERNATE-SERVER",
    BYTES("\x01\x11\x00\x08" HEAD "\x00\x09\x00\x04\x00\x00\x03\x00"),
    EXTIP_STUN_ERROR, NULL, "without an alternate server" },
  { "error 300 with an alternate server of IPv6",
    BYTES("\x01\x11\x00\x20" HEAD "\x00\x09\x00\x04\x00\x00\x03\x00"
          "\x80\x23\x00\x14\x00\x02\x0d\x97" "0123456789abcdef"),
    EXTIP_STUN_BAD, NULL, "IPv6 address" },
  { "ALTERNATE-SERVER without error 300",
    BYTES("\x01\x11\x00\x14" HEAD "\x00\x09\x00\x04\x00\x00\x03\x01" ALT),
    EXTIP_STUN_ERROR, NULL, "error 301" },
};

static void check(const char *name, const unsigned char *bytes, size_t len,
  const unsigned char *id, enum extip_stun_result wanted, const char *addr,
  const char *reason) {
  struct extip_stun_reply reply;
  /* Of its own size, so that a sanitizer sees a byte too much read. */
  unsigned char *copy = malloc(len);
  enum extip_stun_result result;
  char text[INET_ADDRSTRLEN] = "";

  memcpy(copy, bytes, len);
  result = extip_stun_parse(copy, len, id, &reply);
  free(copy);
  if (addr != NULL) {
    inet_ntop(AF_INET, &reply.addr, text, sizeof(text));
  }
  if (!ok(result == wanted && (addr == NULL || strcmp(text, addr) == 0) &&
            strstr(reply.reason, reason) != NULL && (*reason || !*reply.reason) &&
            (reply.code != 0) == (wanted == EXTIP_STUN_ERROR ||
                                   wanted == EXTIP_STUN_ALTERNATE),
        "%s: %s", name, *reason ? reason : addr)) {
    printf("#   result %d, %s, '%s'\n", result, text, reply.reason);
  }
}

/* Attributes below 0x8000 must be known (RFC 8489 14): those are that it names,
 * and those that RFC 3489 had. */
static void test_required(void) {
  static const unsigned int known[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb,
    0x14, 0x15, 0x1c, 0x1d, 0x1e, 0x1f, 0x20 };
  unsigned int wrong = 0;

  for (unsigned int type = 0; type < 0x8000; type++) {
    unsigned char bytes[] = "\x01\x01\x00\x10" HEAD XOR_1 "\x00\x00\x00\x00";
    struct extip_stun_reply reply;
    bool is_known = false;

    bytes[32] = (unsigned char) (type >> 8);
    bytes[33] = (unsigned char) type;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
      is_known = is_known || known[i] == type;
    }
    wrong += (extip_stun_parse(bytes, sizeof(bytes) - 1,
                (const unsigned char *) ID, &reply) == EXTIP_STUN_ADDRESS) !=
             is_known;
  }
  is_int(wrong, 0, "no other required attribute is taken for known");
}

int main(void) {
  unsigned char request[EXTIP_STUN_REQUEST_SIZE];
  unsigned char bytes[sizeof(rfc_ipv4)];
  struct extip_stun_reply reply;
  size_t changed = 0;

  test_required();
  check("RFC 5769 2.2", rfc_ipv4, sizeof(rfc_ipv4) - 1, rfc_id,
    EXTIP_STUN_ADDRESS, "192.0.2.1", "");
  extip_stun_parse(rfc_ipv4, sizeof(rfc_ipv4) - 1, rfc_id, &reply);
  is_int(reply.port, 32853, "RFC 5769 2.2: the port");
  check("RFC 5769 2.3", rfc_ipv6, sizeof(rfc_ipv6) - 1, rfc_id,
    EXTIP_STUN_BAD, NULL, "IPv6 address instead of IPv4");
  check("RFC 5769 2.1, which is a request", rfc_request,
    sizeof(rfc_request) - 1, rfc_id, EXTIP_STUN_STRAY, NULL, "not a response");
  memcpy(bytes, rfc_request, 20);
  is_int(crc32(rfc_request, sizeof(rfc_request) - 1 - 8) ^ FINGERPRINT_XOR,
    0xe57a3bcf, "RFC 5769 2.1: its FINGERPRINT");

  memset(request, 0xff, sizeof(request));
  extip_stun_request(request, rfc_id);
  ok(memcmp(request, "\x00\x01\x00\x00", 4) == 0 &&
       memcmp(request + 4, rfc_request + 4, 16) == 0,
    "our request is the header of RFC 5769 2.1 with no attributes");

  /* FINGERPRINT covers all but itself, and it holds no address. */
  for (size_t bit = 0; bit < (sizeof(rfc_ipv4) - 1) * 8; bit++) {
    memcpy(bytes, rfc_ipv4, sizeof(bytes));
    bytes[bit / 8] ^= (unsigned char) (1 << bit % 8);
    if (extip_stun_parse(bytes, sizeof(bytes) - 1, rfc_id, &reply) ==
          EXTIP_STUN_ADDRESS &&
        reply.addr.s_addr != htonl(0xc0000201)) {
      changed++;
    }
  }
  is_int(changed, 0, "no flipped bit of RFC 5769 2.2 gives another address");
  for (size_t len = 0; len < sizeof(rfc_ipv4) - 1; len++) {
    changed += extip_stun_parse(rfc_ipv4, len, rfc_id, &reply) !=
               EXTIP_STUN_STRAY;
  }
  is_int(changed, 0, "cut short anywhere, RFC 5769 2.2 is discarded");

  for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
    check(replies[i].name, (const unsigned char *) replies[i].bytes,
      replies[i].len, (const unsigned char *) ID, replies[i].result,
      replies[i].addr, replies[i].reason);
  }

  is_int(extip_stun_length(rfc_ipv4), sizeof(rfc_ipv4) - 1,
    "a stream's header says how long the message is");
  for (unsigned int len = 20; len <= 32; len++) {
    unsigned char head[EXTIP_STUN_HEADER_SIZE] = "\x01\x01\x00\x00" HEAD;

    head[3] = (unsigned char) (len - 20);
    is_int(extip_stun_length(head), len % 4 == 0 ? len : 0,
      "a message of %u bytes is %s", len, len % 4 == 0 ? "read" : "none");
  }
  is_int(extip_stun_length((const unsigned char *) "\x01\x01\x05\xc8" HEAD),
    1500, "one of 1,500 bytes is read");
  is_int(extip_stun_length((const unsigned char *) "\x01\x01\x05\xcc" HEAD), 0,
    "one of 1,504 bytes is none");
  is_int(extip_stun_length(
           (const unsigned char *) "\x01\x01\xff\xfc" HEAD),
    0, "a message of 64 KiB is not read from a stream");
  is_int(extip_stun_length(
           (const unsigned char *) "HTTP/1.1 400 Bad Request\r\n"),
    0, "an HTTP reply is not a STUN message");
  return done_testing();
}
