/*
 * mod_extip - what all STUN messages have in common (RFC 8489)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_STUN_MESSAGE_H
#define EXTIP_STUN_MESSAGE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTIP_STUN_ID_SIZE     12 /* bytes of a transaction id */
#define EXTIP_STUN_HEADER_SIZE 20
#define EXTIP_STUN_ATTR_HEADER 4 /* bytes of an attribute's type and length */

/* A longer reply is not read; RFC 8489 6.1 keeps messages below the path MTU.
 */
#define EXTIP_STUN_REPLY_MAX 1500

#define EXTIP_STUN_COOKIE 0x2112a442u

/* RFC 8489 5: the class bits lie between those of the method. */
#define EXTIP_STUN_CLASS_MASK 0x0110
#define EXTIP_STUN_RESPONSE   0x0100
#define EXTIP_STUN_ERROR_BIT  0x0010

/* RFC 8489 18.3; those of TURN: RFC 8656 18. */
enum extip_stun_type {
  EXTIP_STUN_MAPPED_ADDRESS = 0x0001,
  EXTIP_STUN_USERNAME = 0x0006,
  EXTIP_STUN_MESSAGE_INTEGRITY = 0x0008,
  EXTIP_STUN_ERROR_CODE = 0x0009,
  EXTIP_STUN_XOR_PEER_ADDRESS = 0x0012,
  EXTIP_STUN_REALM = 0x0014,
  EXTIP_STUN_NONCE = 0x0015,
  EXTIP_STUN_XOR_RELAYED_ADDRESS = 0x0016,
  EXTIP_STUN_REQUESTED_TRANSPORT = 0x0019,
  EXTIP_STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
  EXTIP_STUN_XOR_MAPPED_ADDRESS = 0x0020,
  EXTIP_STUN_ALTERNATE_SERVER = 0x8023,
  EXTIP_STUN_FINGERPRINT = 0x8028
};

/* An attribute that the caller looks for, and what was found. */
struct extip_stun_attr {
  enum extip_stun_type type;
  const unsigned char *value; /* NULL: not there */
  size_t len;
};

/* Makes the id of a transaction that nobody can guess; false without entropy.
 */
bool extip_stun_new_id(unsigned char id[EXTIP_STUN_ID_SIZE]);

/* Writes the header of a request with LEN bytes of attributes. */
void extip_stun_put_header(unsigned char *out, unsigned int method, size_t len,
  const unsigned char id[EXTIP_STUN_ID_SIZE]);

/*
 * Length of the whole message that starts with the header at BUF (20 bytes),
 * for reading from a stream, where nothing else frames a message (RFC
 * 8489 6.2.2). 0 when it cannot be a STUN message of at most
 * EXTIP_STUN_REPLY_MAX bytes.
 */
size_t extip_stun_length(const unsigned char buf[EXTIP_STUN_HEADER_SIZE]);

/*
 * Reads the message of LEN bytes at BUF as response to the request with this
 * METHOD and ID, and finds the first of each of the COUNT attributes WANTED.
 * UNKNOWN is the type of the first attribute that has to be understood and is
 * not (RFC 8489 14), or -1. NULL, or why this is no such response.
 */
const char *extip_stun_read(const unsigned char *buf, size_t len,
  unsigned int method, const unsigned char id[EXTIP_STUN_ID_SIZE],
  struct extip_stun_attr *wanted, size_t count, int *unknown);

/* Reads an address, XORed with MASK (EXTIP_STUN_COOKIE or 0); false with the
 * reason. */
bool extip_stun_read_address(const struct extip_stun_attr *attr, uint32_t mask,
  struct in_addr *addr, uint16_t *port, char *reason, size_t reason_size);

/* Reads ERROR-CODE, with its phrase in REASON; 0 when it is invalid. */
unsigned int extip_stun_read_error(
  const struct extip_stun_attr *attr, char *reason, size_t reason_size);

#endif
