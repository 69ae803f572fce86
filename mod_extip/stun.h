/*
 * mod_extip - asking a STUN server for the reflexive address (RFC 8489)
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_STUN_H
#define EXTIP_STUN_H

#include "stun_message.h"

#define EXTIP_STUN_REQUEST_SIZE EXTIP_STUN_HEADER_SIZE

/* Writes a binding request without attributes. */
void extip_stun_request(unsigned char out[EXTIP_STUN_REQUEST_SIZE],
  const unsigned char id[EXTIP_STUN_ID_SIZE]);

enum extip_stun_result {
  EXTIP_STUN_ADDRESS,   /* success: addr is the reflexive address */
  EXTIP_STUN_ALTERNATE, /* error 300: ask addr:port instead, once */
  EXTIP_STUN_ERROR,     /* any other error: code */
  EXTIP_STUN_BAD,  /* our transaction, but the answer is unusable: it ends */
  EXTIP_STUN_STRAY /* not an answer to us: discard silently, keep waiting
                    * (RFC 8489 6.3, 14.7) */
};

struct extip_stun_reply {
  struct in_addr addr; /* network order; for _ADDRESS and _ALTERNATE */
  uint16_t port;       /* host order; the same */
  unsigned int code;   /* 300-699; for _ERROR and _ALTERNATE, else 0 */
  char reason[96];     /* printable ASCII; "" for _ADDRESS */
};

/* Judges the message of LEN bytes at BUF as reply to the request with this ID.
 * Always fills REPLY. */
enum extip_stun_result extip_stun_parse(const unsigned char *buf, size_t len,
  const unsigned char id[EXTIP_STUN_ID_SIZE], struct extip_stun_reply *reply);

#endif
