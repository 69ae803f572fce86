/*
 * extip-upnp.c - the lines between extip-helper and extip-upnp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/upnp.c"
#include "tap.h"

static const struct {
  const char *text;
  struct extip_upnp_line line; /* addr in host order */
} lines[] = {
  { "where", { EXTIP_UPNP_WHERE, 0, 0, 0, { 0 }, 0 } },
  { "map 61001 61000 3600", { EXTIP_UPNP_MAP, 61001, 61000, 3600, { 0 }, 0 } },
  { "map 1 65535 0", { EXTIP_UPNP_MAP, 1, 65535, 0, { 0 }, 0 } },
  { "unmap 61001 61000", { EXTIP_UPNP_UNMAP, 61001, 61000, 0, { 0 }, 0 } },
  { "get 61001", { EXTIP_UPNP_GET, 61001, 0, 0, { 0 }, 0 } },
  { "address 198.51.100.7",
    { EXTIP_UPNP_ADDRESS, 0, 0, 0, { 0xc6336407 }, 0 } },
  { "mapped 61001 61000 4294967295",
    { EXTIP_UPNP_MAPPED, 61001, 61000, 4294967295U, { 0 }, 0 } },
  { "unmapped 61001 61000",
    { EXTIP_UPNP_UNMAPPED, 61001, 61000, 0, { 0 }, 0 } },
  { "entry 65535 65535 4294967295 255.255.255.255",
    { EXTIP_UPNP_ENTRY, 65535, 65535, 4294967295U, { 0xffffffff }, 0 } },
  { "none 61001", { EXTIP_UPNP_NONE, 61001, 0, 0, { 0 }, 0 } },
  { "error 1", { EXTIP_UPNP_ERROR, 0, 0, 0, { 0 }, 1 } },
  { "error 999", { EXTIP_UPNP_ERROR, 0, 0, 0, { 0 }, 999 } },
};

static const struct {
  const char *text;
  const char *reason;
} wrong[] = {
  { "", "unknown word" },
  { " where", "unknown word" },
  { "Where", "unknown word" },
  { "wher", "unknown word" },
  { "wherever", "unknown word" },
  { "where ", "too many words" },
  { "where 1", "too many words" },
  { "map", "too few words" },
  { "map 61000 61000", "too few words" },
  { "map 61000 61000 ", "not a lifetime" },
  { "map 61000  61000 3600", "not a port" },
  { "map 61000 61000 3600 x", "too many words" },
  { "map 61000 61000 3600 ", "too many words" },
  { "map 0 61000 3600", "not a port" },
  { "map 61000 0 3600", "not a port" },
  { "map 65536 61000 3600", "not a port" },
  { "map 061000 61000 3600", "not a port" },
  { "map +61000 61000 3600", "not a port" },
  { "map 6100/ 61000 3600", "not a port" },
  { "map 6100: 61000 3600", "not a port" },
  { "map 61000\t61000 3600", "not a port" },
  { "map 61000 61000 4294967296", "not a lifetime" },
  { "map 61000 61000 9999999999", "not a lifetime" },
  { "map 61000 61000 18446744073709551617", "not a lifetime" },
  { "map 61000 61000 -1", "not a lifetime" },
  { "address 198.51.100", "not an IPv4 address" },
  { "address 198.51.100.7 ", "too many words" },
  { "address 198.51.100.7.1", "not an IPv4 address" },
  { "entry 61001 61000 3600 ", "not an IPv4 address" },
  { "error 0", "not an error code" },
  { "error 1000", "not an error code" },
  { "error", "too few words" },
};

static bool same(
  const struct extip_upnp_line *got, const struct extip_upnp_line *want) {
  return got->kind == want->kind && got->outer == want->outer &&
         got->inner == want->inner && got->lifetime == want->lifetime &&
         ntohl(got->addr.s_addr) == want->addr.s_addr &&
         got->code == want->code;
}

/* The bytes of TEXT in memory of their own size. */
static int parse(const char *text, struct extip_upnp_line *line,
  const char **reason) {
  size_t len = strlen(text);
  char *copy = malloc(len + (len == 0));
  int res;

  memcpy(copy, text, len);
  res = extip_upnp_parse(copy, len, line, reason);
  free(copy);
  return res;
}

int main(void) {
  struct extip_upnp_line line;
  const char *reason;

  for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
    char printed[EXTIP_UPNP_LINE_SIZE + 1], wanted[EXTIP_UPNP_LINE_SIZE];

    is_int(parse(lines[i].text, &line, &reason), 0, "'%s' is a line",
      lines[i].text);
    ok(same(&line, &lines[i].line) && reason == NULL, "... as it is read");
    memset(printed, 'x', sizeof(printed));
    snprintf(wanted, sizeof(wanted), "%s\n", lines[i].text);
    is_int((long long) extip_upnp_print(printed, &line),
      (long long) strlen(wanted), "... and its length");
    is_str(printed, wanted, "... is printed again");
  }

  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    is_int(parse(wrong[i].text, &line, &reason), -1, "'%s' is none",
      wrong[i].text);
    ok(reason != NULL && strstr(reason, wrong[i].reason) != NULL, "... : %s",
      reason);
  }
  is_int(extip_upnp_parse("get 61001\n", 10, &line, &reason), -1,
    "the end of the line is no part of it");
  is_int(extip_upnp_parse("get 61001", 8, &line, &reason), 0,
    "nothing behind the length is read");
  is_int(line.outer, 6100, "... as the port shows");

  for (unsigned int code = 1; code < 1000; code++) {
    const char *text = extip_upnp_code_text(code);

    if (text != extip_upnp_code_text(1000)) {
      ok(strstr(text, ": ") != NULL, "error %u: %s", code, text);
    }
  }
  ok(strstr(extip_upnp_code_text(501), "public address") != NULL &&
       strstr(extip_upnp_code_text(718), "any-port") != NULL &&
       strstr(extip_upnp_code_text(725), "lifetime") != NULL,
    "the common errors have their own");
  return done_testing();
}
