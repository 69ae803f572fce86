/*
 * mod_extip - the TURN messages that ask for a TCP connection (RFC 8656, RFC
 * 6062)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * A TURN server that connects to us tries from outside whether a port is
 * reachable: Allocate with TCP as transport, which it first answers with a
 * challenge, then Connect with the address and port to try.
 */

#ifndef EXTIP_TURN_H
#define EXTIP_TURN_H

#include "stun_message.h"

#define EXTIP_TURN_ALLOCATE 0x0003
#define EXTIP_TURN_CONNECT  0x000a

/* Bytes, with the NUL (RFC 8489 14.3, 14.9, 14.10). */
#define EXTIP_TURN_USER_MAX  510
#define EXTIP_TURN_REALM_MAX 764

#define EXTIP_TURN_REQUEST_MAX 2400

/* The long-term credentials (RFC 8489 9.2). */
struct extip_turn_login {
  const char *user;
  const char *password;
  char realm[EXTIP_TURN_REALM_MAX]; /* "": not challenged yet */
  char nonce[EXTIP_TURN_REALM_MAX];
  unsigned char key[16];
};

/* Write a request, with credentials once LOGIN has been challenged. Return its
 * length; 0 if it cannot be authenticated. */
size_t extip_turn_put_allocate(unsigned char out[EXTIP_TURN_REQUEST_MAX],
  const unsigned char id[EXTIP_STUN_ID_SIZE],
  const struct extip_turn_login *login);
size_t extip_turn_put_connect(unsigned char out[EXTIP_TURN_REQUEST_MAX],
  const unsigned char id[EXTIP_STUN_ID_SIZE],
  const struct extip_turn_login *login, struct in_addr addr, uint16_t port);

enum extip_turn_result {
  EXTIP_TURN_OK,        /* of Allocate: relayed, mapped */
  EXTIP_TURN_CHALLENGE, /* LOGIN has what the same request needs now */
  EXTIP_TURN_ERROR,     /* code and reason */
  EXTIP_TURN_BAD        /* reason */
};

struct extip_turn_reply {
  struct in_addr relayed; /* where its connections come from */
  struct in_addr mapped;  /* where ours comes from; INADDR_ANY: unknown */
  unsigned int code;      /* 300-699 */
  char reason[96];        /* printable ASCII; "" for _OK and _CHALLENGE */
};

/* Judges the message of LEN bytes at BUF as reply to the request with this
 * METHOD and ID. Always fills REPLY. */
enum extip_turn_result extip_turn_parse(const unsigned char *buf, size_t len,
  unsigned int method, const unsigned char id[EXTIP_STUN_ID_SIZE],
  struct extip_turn_login *login, struct extip_turn_reply *reply);

#endif
