/*
 * extip-extract.c - one address out of an HTTP reply: exactly one, or a reason.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>

#include "../../mod_extip/extract.c"
#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/json.c"
#include "../../mod_extip/printable.c"
#include "tap.h"

#define BYTES(literal) literal, sizeof(literal) - 1
#define NEST_8(inner) "[[[[[[[[" inner "]]]]]]]]"
#define DEEP_31 NEST_8(NEST_8(NEST_8("[[[[[[[\"1.2.3.4\"]]]]]]]")))
#define POINTER_8 "/0/0/0/0/0/0/0/0"

/* ADDR is 1.2.3.4 when REASON is NULL. */
static const struct {
  const char *how;
  const char *input;
  size_t len;
  const char *reason;
} cases[] = {
  { "body", BYTES("1.2.3.4"), NULL },
  { "body", BYTES("1.2.3.4\n"), NULL },
  { "body", BYTES(" \t\r\n1.2.3.4 \t\r\n\r\n"), NULL },
  { "BODY", BYTES("1.2.3.4"), NULL },
  { "body", BYTES(""), "empty" },
  { "body", BYTES(" \n"), "empty" },
  { "body", BYTES("1.2.3.4 1.2.3.4"), "not exactly one IPv4 address" },
  { "body", BYTES("1.2.3.4\n1.2.3.4\n"), "\"1.2.3.4?1.2.3.4\"" },
  { "body", BYTES("1.2.3.4\0"), "\"1.2.3.4?\"" },
  { "body", BYTES("\xef\xbb\xbf" "1.2.3.4"), NULL },
  { "body", BYTES("\xef\xbb\xbf" "\xef\xbb\xbf" "1.2.3.4"),
    "\"???1.2.3.4\"" },
  { "body", BYTES("\n\xef\xbb\xbf" "1.2.3.4"), "not exactly one" },
  { "body", BYTES("1.2.3.4\xef\xbb\xbf"), "not exactly one" },
  { "body", BYTES("\xef\xbb\xbf"), "empty" },
  { "body", BYTES("\xef\xbb"), "not exactly one" },
  { "body", BYTES("\xef\xbb" "x1.2.3.4"), "not exactly one" },
  { "body", BYTES("1.2.3.04"), "not exactly one" },
  { "body", BYTES("1.2.3.4/32"), "not exactly one" },
  { "body", BYTES("ip: 1.2.3.4"), "not exactly one" },
  { "body", BYTES("2001:db8::1"), "IPv6 address instead of IPv4" },
  { "body", BYTES("::ffff:1.2.3.4"), NULL },
  { "body", BYTES("::FFFF:1.2.3.4\n"), NULL },
  { "body", BYTES("::ffff:102:304"), NULL },
  { "body", BYTES("0:0:0:0:0:ffff:1.2.3.4"), NULL },
  { "body", BYTES("::1.2.3.4"), "IPv6 address instead of IPv4" },
  { "body", BYTES("::ffff:1.2.3.04"), "IPv6 address instead of IPv4" },
  { "body", BYTES("::ffff:1.2.3.4\0"), "not exactly one" },
  { "body", BYTES("::ffff:1.2.3.4%eth0"), "not exactly one" },
  { "body", BYTES("[::ffff:1.2.3.4]"), "not exactly one" },
  { "body", BYTES("64:ff9b::1.2.3.4"), "IPv6 address instead of IPv4" },
  { "body", BYTES("0000:0000:0000:0000:0000:ffff:001.002.003.004:0000"),
    "IPv6 address instead of IPv4" },
  { "body", BYTES("<html><body>Your IP is 1.2.3.4</body></html>"),
    "\"<html><body>" },
  { "body", BYTES("<html><body>\x1b[31mAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    "AAAA...\"" },

  { "line:ip=", BYTES("fl=1\nip=1.2.3.4\nts=2\n"), NULL },
  { "line:ip=", BYTES("fl=1\r\nip= 1.2.3.4 \r\n"), NULL },
  { "line:ip=", BYTES("ip=1.2.3.4"), NULL },
  { "line:ip=", BYTES("xip=1.2.3.4\n"), "no line that begins with \"ip=\"" },
  { "line:ip=", BYTES("IP=1.2.3.4\n"), "no line that begins" },
  { "line:ip=", BYTES(""), "no line that begins" },
  { "line:ip=", BYTES("ip=1.2.3.4\nip=1.2.3.4\n"), "more than one line" },
  { "line:ip=", BYTES("ip=\n1.2.3.4\n"), "empty" },
  { "line:ip=", BYTES("ip=1.2.3.4 or so\n"), "not exactly one" },
  { "line:a b: ", BYTES("a b: 1.2.3.4\n"), NULL },
  { "line:ip=", BYTES("\xef\xbb\xbf" "ip=::ffff:1.2.3.4\n"), NULL },

  { "header:X-IP", BYTES("X-IP: ::ffff:1.2.3.4\r\n"), NULL },
  { "header:X-IP", BYTES("\xef\xbb\xbf" "X-IP: 1.2.3.4\r\n"), "no header" },
  { "header:X-IP", BYTES("A: b\r\nx-ip: 1.2.3.4\r\n\r\n"), NULL },
  { "header:x-ip", BYTES("X-IP:1.2.3.4\r\n"), NULL },
  { "header:x-ip", BYTES("X-IP : 1.2.3.4\r\n"), "no header \"x-ip\"" },
  { "header:x-ip", BYTES("X-IP2: 1.2.3.4\r\n"), "no header" },
  { "header:x-ip", BYTES(""), "no header" },
  { "header:x-ip", BYTES("X-IP: 1.2.3.4\r\nX-IP: 1.2.3.4\r\n"),
    "more than one header" },
  { "header:x-ip", BYTES("X-IP: 1.2.3.4\r\n 5.6.7.8\r\n"), "more than one" },
  { "header:x-ip", BYTES("X-IP: 1.2.3.4, 5.6.7.8\r\n"), "not exactly one" },

  { "json:", BYTES("\"1.2.3.4\""), NULL },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\"}"), NULL },
  { "json:/ip", BYTES(" { \"a\" : [ ] , \"ip\" : \"\\n1.2.3.4\\t\" } \n"),
    NULL },
  { "json:/ip", BYTES("{\"\\u0069p\":\"\\u0031.2.3.4\"}"), NULL },
  { "json:/a/1/b", BYTES("{\"a\":[{\"b\":\"x\"},{\"b\":\"1.2.3.4\"}]}"), NULL },
  { "json:/10", BYTES("[0,1,2,3,4,5,6,7,8,9,\"1.2.3.4\"]"), NULL },
  { "json:/", BYTES("{\"\":\"1.2.3.4\"}"), NULL },
  { "json:/a~1b/m~0n", BYTES("{\"a/b\":{\"m~n\":\"1.2.3.4\"}}"), NULL },
  { "json:/\xf0\x9f\x98\x80",
    BYTES("{\"\\ud83d\\ude00\":\"1.2.3.4\",\"\\u00e4\\u20ac\":1}"), NULL },
  { "json:/ip",
    BYTES("{\"n\":[0,-1.5e+3,1E2,0.1e-1,true,false,null,\"\\\"\\\\\\/\\b\\f\"],"
          "\"ip\":\"1.2.3.4\"}"),
    NULL },
  { "json:" POINTER_8 POINTER_8 POINTER_8 "/0/0/0/0/0/0/0", BYTES(DEEP_31),
    NULL },
  { "json:/1", BYTES("[" DEEP_31 "]"), "nested too deeply" },
  { "json:/ip", BYTES("\xef\xbb\xbf" "{\"ip\":\"::ffff:1.2.3.4\"}"), NULL },
  { "json:/ip", BYTES("{\"ip\":\"2001:db8::1\"}"), "IPv6 address" },
  { "json:/ip", BYTES("{\"ip\":\"\"}"), "empty" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\\u0000\"}"), "\"1.2.3.4?\"" },
  { "json:/ip", BYTES("{\"ip\":16909060}"), "the value is not a JSON string" },
  { "json:/ip", BYTES("{\"ip\":[\"1.2.3.4\"]}"), "the value is not a JSON string" },
  { "json:/ip", BYTES("{\"ip\":null}"), "the value is not a JSON string" },
  { "json:/ip", BYTES("{\"IP\":\"1.2.3.4\"}"), "json:/ip: nothing there" },
  { "json:/ip/0", BYTES("{\"ip\":\"1.2.3.4\"}"), "nothing there" },
  { "json:/-", BYTES("[\"1.2.3.4\"]"), "nothing there" },
  { "json:/01", BYTES("[0,\"1.2.3.4\"]"), "nothing there" },
  { "json:/a", BYTES("[]"), "nothing there" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\",\"ip\":\"1.2.3.4\"}"), "twice" },
  { "json:/a/ip", BYTES("{\"a\":{\"ip\":\"1.2.3.4\"},\"a\":1}"), "twice" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\"}}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\"} x"), "not a JSON text" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\""), "not a JSON text" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\",}"), "not a JSON text" },
  { "json:/0", BYTES("[\"1.2.3.4\",]"), "not a JSON text" },
  { "json:/0", BYTES("[\"1.2.3.4\""), "not a JSON text" },
  { "json:/ip", BYTES("{'ip':'1.2.3.4'}"), "not a JSON text" },
  { "json:/ip", BYTES("{ip:\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"ip\" \"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4"), "not a JSON text" },
  { "json:/ip", BYTES("{\"ip\":\"1.2.3.4\n\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"a\":\"\\x\",\"ip\":\"1.2.3.4\"}"), "not a JSON" },
  { "json:/ip", BYTES("{\"a\":\"\\u12\",\"ip\":\"1.2.3.4\"}"), "not a JSON" },
  { "json:/ip", BYTES("{\"a\":\"\\ud800\",\"ip\":\"1.2.3.4\"}"), "not a JSON" },
  { "json:/ip", BYTES("{\"a\":\"\\udc00\",\"ip\":\"1.2.3.4\"}"), "not a JSON" },
  { "json:/ip", BYTES("{\"a\":01,\"ip\":\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"a\":1.,\"ip\":\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"a\":-,\"ip\":\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"a\":1e,\"ip\":\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"a\":+1,\"ip\":\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("{\"a\":nul,\"ip\":\"1.2.3.4\"}"), "not a JSON text" },
  { "json:/ip", BYTES("\xef\xbb\xbf\xef\xbb\xbf{\"ip\":\"1.2.3.4\"}"),
    "not a JSON text" },
  { "json:/ip", BYTES(""), "not a JSON text" },
  { "json:/ip", BYTES("1.2.3.4"), "not a JSON text" },
  { "json:/ip", BYTES("<html>"), "not a JSON text" },
};

int main(void) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct extip_extract extract = { 0 };
    struct extip_extract_input input = { 0 };
    struct in_addr addr = { 0 };
    char reason[160] = "";
    char shown[72];
    /* Of its own size, so that a sanitizer sees a byte too much read. */
    char *copy = malloc(cases[i].len);
    int result = extip_extract_parse(cases[i].how, &extract, reason, sizeof(reason));

    memcpy(copy, cases[i].input, cases[i].len);
    if (extract.kind == EXTIP_EXTRACT_HEADER) {
      input.headers = copy;
      input.headers_len = cases[i].len;
    } else {
      input.body = copy;
      input.body_len = cases[i].len;
    }
    if (result == 0) {
      result = extip_extract_run(&extract, &input, &addr, reason, sizeof(reason));
    }
    extip_printable(shown, sizeof(shown), cases[i].input, cases[i].len);
    if (!ok(cases[i].reason == NULL
              ? result == 0 && addr.s_addr == htonl(0x01020304)
              : result == -1 && strstr(reason, cases[i].reason) != NULL,
          "%.24s of '%s': %s", cases[i].how, shown,
          cases[i].reason == NULL ? "the address" : cases[i].reason)) {
      printf("#   %d '%s'\n", result, reason);
    }
    free(copy);
    extip_extract_free(&extract);
  }
  return done_testing();
}
