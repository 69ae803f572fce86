/*
 * extip-turn.c - the TURN messages of mod_extip: RFC 5769's vector for
 * long-term credentials, and what a server may answer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>

#include "../../mod_extip/printable.c"
#include "../../mod_extip/stun_message.c"
#include "../../mod_extip/turn.c"
#include "tap.h"

/* RFC 5769 2.4, up to its MESSAGE-INTEGRITY. */
static const unsigned char vector[] =
  "\x00\x01\x00\x60\x21\x12\xa4\x42"
  "\x78\xad\x34\x33\xc6\xad\x72\xc0\x29\xda\x41\x2e"
  "\x00\x06\x00\x12\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82"
  "\xaf\xe3\x82\xb9\x00\x00"
  "\x00\x15\x00\x1c" "f//499k954d6OL34oL9FSTvy64sA"
  "\x00\x14\x00\x0b" "example.org" "\x00";
static const unsigned char vector_integrity[] =
  "\xf6\x70\x24\x65\x6d\xd6\x4a\x3e\x02\xb8\xe0\x71\x2e\x85\xc9\xa2\x8c\xa8"
  "\x96\x66";

static const unsigned char id[] = "ABCDEFGHIJKL";

#define HEAD      "\x21\x12\xa4\x42" "ABCDEFGHIJKL"
#define CHALLENGE "\x00\x09\x00\x04\x00\x00\x04\x01" \
  "\x00\x14\x00\x04" "home" "\x00\x15\x00\x03" "one" "\xff"
#define RELAYED "\x00\x16\x00\x08\x00\x01\x33\x26\xea\x12\xd5\x45" /* 203.0.113.7 */
#define MAPPED  "\x00\x20\x00\x08\x00\x01\x33\x26\xe7\x21\xc0\x4b" /* 198.51.100.9 */

static struct extip_turn_login fresh(void) {
  return (struct extip_turn_login){ .user = "joe", .password = "secret" };
}

static struct extip_turn_login challenged_once(void) {
  struct extip_turn_login login = fresh();

  memcpy(login.realm, "home", sizeof("home"));
  memcpy(login.nonce, "one", sizeof("one"));
  (void) make_key(&login);
  return login;
}

/* Appends a MESSAGE-INTEGRITY to a reply without one. */
static size_t sign(unsigned char *out, const char *bytes, size_t len,
  const struct extip_turn_login *login) {
  unsigned char code[INTEGRITY_SIZE];

  memcpy(out, bytes, len);
  put16(out + 2, (unsigned int) (len + 24 - HEADER));
  (void) integrity(login, out, len, code);
  return put_attr(out, len, EXTIP_STUN_MESSAGE_INTEGRITY, code, sizeof(code));
}

static void test_vector(void) {
  struct extip_turn_login login = {
    .user = "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9",
    .password = "TheMatrIX",
    .realm = "example.org",
  };
  unsigned char code[INTEGRITY_SIZE];

  ok(make_key(&login) && integrity(&login, vector, sizeof(vector) - 1, code),
    "RFC 5769 2.4: a key of user, realm and password");
  ok(memcmp(code, vector_integrity, sizeof(code)) == 0,
    "... and the integrity of the message");
}

static void test_requests(void) {
  static const char first[] =
    "\x00\x03\x00\x08" HEAD "\x00\x19\x00\x04\x06\x00\x00\x00";
  static const unsigned char peer[] =
    "\x00\x12\x00\x08\x00\x01\xcf\x72\xea\x12\xd5\x45";
  struct extip_turn_login login = fresh();
  unsigned char out[EXTIP_TURN_REQUEST_MAX], code[INTEGRITY_SIZE];
  struct in_addr addr;
  size_t len = extip_turn_put_allocate(out, id, &login);

  ok(len == sizeof(first) - 1 && memcmp(out, first, len) == 0,
    "the first request asks for TCP, without credentials");

  login = challenged_once();
  (void) inet_pton(AF_INET, "203.0.113.7", &addr);
  len = extip_turn_put_connect(out, id, &login, addr, 61024);
  ok(get16(out) == EXTIP_TURN_CONNECT && get16(out + 2) == len - HEADER,
    "after the challenge: the length of the header is right");
  ok(memcmp(out + HEADER, peer, sizeof(peer) - 1) == 0,
    "... the peer is XORed with the cookie");
  ok(len > 24 && integrity(&login, out, len - 24, code) &&
       memcmp(code, out + len - INTEGRITY_SIZE, sizeof(code)) == 0,
    "... and the integrity is that of all before it");
}

static enum extip_turn_result parse(unsigned int method, const char *bytes,
  size_t len, bool authentic, struct extip_turn_login *login,
  struct extip_turn_reply *reply) {
  unsigned char out[EXTIP_STUN_REPLY_MAX];

  if (authentic) {
    len = sign(out, bytes, len, login);
  } else {
    memcpy(out, bytes, len);
  }
  return extip_turn_parse(out, len, method, id, login, reply);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
  const char *name;
  unsigned int method;
  const char *bytes;
  size_t len;
  bool known, authentic; /* the challenge; the reply */
  enum extip_turn_result result;
  const char *reason;
} replies[] = {
  { "a challenge", EXTIP_TURN_ALLOCATE, BYTES("\x01\x13\x00\x18" HEAD CHALLENGE),
    false, false, EXTIP_TURN_CHALLENGE, "" },
  { "a second challenge", EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x13\x00\x18" HEAD CHALLENGE), true, false, EXTIP_TURN_ERROR,
    "refuses the credentials" },
  { "a challenge without a nonce", EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x13\x00\x10" HEAD "\x00\x09\x00\x04\x00\x00\x04\x01"
          "\x00\x14\x00\x04" "home"),
    false, false, EXTIP_TURN_BAD, "without realm or nonce" },
  { "a challenge with an empty realm", EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x13\x00\x14" HEAD "\x00\x09\x00\x04\x00\x00\x04\x01"
          "\x00\x14\x00\x00" "\x00\x15\x00\x03" "one" "\xff"),
    false, false, EXTIP_TURN_BAD, "without realm or nonce" },
  { "a new nonce", EXTIP_TURN_CONNECT,
    BYTES("\x01\x1a\x00\x10" HEAD "\x00\x09\x00\x04\x00\x00\x04\x26"
          "\x00\x15\x00\x03" "two" "\xff"),
    true, false, EXTIP_TURN_CHALLENGE, "" },
  { "the old nonce as a new one", EXTIP_TURN_CONNECT,
    BYTES("\x01\x1a\x00\x10" HEAD "\x00\x09\x00\x04\x00\x00\x04\x26"
          "\x00\x15\x00\x03" "one" "\xff"),
    true, false, EXTIP_TURN_ERROR, "error 438" },
  { "an allocation", EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x03\x00\x18" HEAD RELAYED MAPPED), true, true, EXTIP_TURN_OK,
    "" },
  { "an allocation without a relayed address", EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x03\x00\x0c" HEAD MAPPED), true, true, EXTIP_TURN_BAD,
    "no relayed address" },
  { "an allocation that anybody could have sent", EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x03\x00\x18" HEAD RELAYED MAPPED), true, false, EXTIP_TURN_BAD,
    "not authenticated" },
  { "a connection", EXTIP_TURN_CONNECT,
    BYTES("\x01\x0a\x00\x08" HEAD "\x00\x2a\x00\x04\x00\x00\x00\x01"), true,
    true, EXTIP_TURN_OK, "" },
  { "no connection", EXTIP_TURN_CONNECT,
    BYTES("\x01\x1a\x00\x0c" HEAD "\x00\x09\x00\x08\x00\x00\x04\x2f" "nope"),
    true, true, EXTIP_TURN_ERROR, "error 447 nope" },
  { "the reply to another request", EXTIP_TURN_CONNECT,
    BYTES("\x01\x03\x00\x18" HEAD RELAYED MAPPED), true, true, EXTIP_TURN_BAD,
    "wrong method" },
};

static void test_replies(void) {
  for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
    struct extip_turn_login login =
      replies[i].known ? challenged_once() : fresh();
    struct extip_turn_reply reply;

    ok(parse(replies[i].method, replies[i].bytes, replies[i].len,
         replies[i].authentic, &login, &reply) == replies[i].result,
      "%s", replies[i].name);
    ok(strstr(reply.reason, replies[i].reason) != NULL &&
         (*replies[i].reason != '\0' || *reply.reason == '\0'),
      "... in words: '%s'", reply.reason);
  }
}

static void test_details(void) {
  struct extip_turn_login login = fresh();
  struct extip_turn_reply reply;
  char text[INET_ADDRSTRLEN];

  (void) parse(EXTIP_TURN_ALLOCATE, BYTES("\x01\x13\x00\x18" HEAD CHALLENGE),
    false, &login, &reply);
  ok(strcmp(login.realm, "home") == 0 && strcmp(login.nonce, "one") == 0,
    "a challenge names realm and nonce");

  (void) parse(EXTIP_TURN_ALLOCATE,
    BYTES("\x01\x03\x00\x18" HEAD RELAYED MAPPED), true, &login, &reply);
  ok(strcmp(inet_ntop(AF_INET, &reply.relayed, text, sizeof(text)),
       "203.0.113.7") == 0,
    "an allocation names where connections come from");
  ok(strcmp(inet_ntop(AF_INET, &reply.mapped, text, sizeof(text)),
       "198.51.100.9") == 0,
    "... and where ours comes from");
}

int main(void) {
  test_vector();
  test_requests();
  test_replies();
  test_details();
  return done_testing();
}
