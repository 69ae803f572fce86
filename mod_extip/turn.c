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

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "turn.h"

#define HEADER EXTIP_STUN_HEADER_SIZE

#define TRANSPORT_TCP 6 /* RFC 6062 4.1: the protocol number */
#define FAMILY_IPV4   0x01

#define INTEGRITY_SIZE 20 /* HMAC-SHA1 */

#define UNAUTHENTICATED 401
#define STALE_NONCE     438

/* The attributes that matter. */
enum { RELAYED, MAPPED, ERROR, REALM, NONCE, INTEGRITY, ATTRS };

/* Writing. A request has room for the longest attributes. */

static size_t put_attr(unsigned char *out, size_t at, unsigned int type,
  const void *value, size_t len) {
  size_t padded = (len + 3) / 4 * 4;

  put16(out + at, type);
  put16(out + at + 2, (unsigned int) len);
  memset(out + at + EXTIP_STUN_ATTR_HEADER, 0, padded);
  memcpy(out + at + EXTIP_STUN_ATTR_HEADER, value, len);
  return at + EXTIP_STUN_ATTR_HEADER + padded;
}

/* RFC 8489 14.5: the HMAC of what comes before, with the length in the header
 * as if the message ended with this attribute. */
static bool integrity(const struct extip_turn_login *login,
  const unsigned char *message, size_t at, unsigned char *out) {
  unsigned char before[EXTIP_TURN_REQUEST_MAX];
  unsigned int len = 0;

  memcpy(before, message, at);
  put16(before + 2,
    (unsigned int) (at + EXTIP_STUN_ATTR_HEADER + INTEGRITY_SIZE - HEADER));
  return HMAC(EVP_sha1(), login->key, sizeof(login->key), before, at, out,
           &len) != NULL &&
         len == INTEGRITY_SIZE;
}

static size_t finish(unsigned char *out, size_t len, unsigned int method,
  const unsigned char id[EXTIP_STUN_ID_SIZE],
  const struct extip_turn_login *login) {
  unsigned char code[INTEGRITY_SIZE];

  if (*login->realm == '\0') {
    extip_stun_put_header(out, method, len - HEADER, id);
    return len;
  }

  len =
    put_attr(out, len, EXTIP_STUN_USERNAME, login->user, strlen(login->user));
  len =
    put_attr(out, len, EXTIP_STUN_REALM, login->realm, strlen(login->realm));
  len =
    put_attr(out, len, EXTIP_STUN_NONCE, login->nonce, strlen(login->nonce));
  extip_stun_put_header(
    out, method, len + EXTIP_STUN_ATTR_HEADER + INTEGRITY_SIZE - HEADER, id);
  if (!integrity(login, out, len, code)) {
    return 0;
  }
  return put_attr(out, len, EXTIP_STUN_MESSAGE_INTEGRITY, code, sizeof(code));
}

size_t extip_turn_put_allocate(unsigned char out[EXTIP_TURN_REQUEST_MAX],
  const unsigned char id[EXTIP_STUN_ID_SIZE],
  const struct extip_turn_login *login) {
  static const unsigned char tcp[4] = { TRANSPORT_TCP };
  size_t len =
    put_attr(out, HEADER, EXTIP_STUN_REQUESTED_TRANSPORT, tcp, sizeof(tcp));

  return finish(out, len, EXTIP_TURN_ALLOCATE, id, login);
}

size_t extip_turn_put_connect(unsigned char out[EXTIP_TURN_REQUEST_MAX],
  const unsigned char id[EXTIP_STUN_ID_SIZE],
  const struct extip_turn_login *login, struct in_addr addr, uint16_t port) {
  unsigned char peer[8] = { 0, FAMILY_IPV4 };
  size_t len;

  put16(peer + 2, port ^ (EXTIP_STUN_COOKIE >> 16));
  put32(peer + 4, ntohl(addr.s_addr) ^ EXTIP_STUN_COOKIE);
  len = put_attr(out, HEADER, EXTIP_STUN_XOR_PEER_ADDRESS, peer, sizeof(peer));
  return finish(out, len, EXTIP_TURN_CONNECT, id, login);
}

/* Reading */

static bool read_text(
  const struct extip_stun_attr *attr, char *out, size_t size) {
  if (attr->value == NULL || attr->len == 0 || attr->len >= size ||
      memchr(attr->value, '\0', attr->len) != NULL) {
    return false;
  }
  memcpy(out, attr->value, attr->len);
  out[attr->len] = '\0';
  return true;
}

/* RFC 8489 18.5.1.1: the key is the MD5 of user, realm and password. */
static bool make_key(struct extip_turn_login *login) {
  EVP_MD_CTX *md5 = EVP_MD_CTX_new();
  bool made =
    md5 != NULL && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1 &&
    EVP_DigestUpdate(md5, login->user, strlen(login->user)) == 1 &&
    EVP_DigestUpdate(md5, ":", 1) == 1 &&
    EVP_DigestUpdate(md5, login->realm, strlen(login->realm)) == 1 &&
    EVP_DigestUpdate(md5, ":", 1) == 1 &&
    EVP_DigestUpdate(md5, login->password, strlen(login->password)) == 1 &&
    EVP_DigestFinal_ex(md5, login->key, NULL) == 1;

  EVP_MD_CTX_free(md5);
  return made;
}

/* RFC 8489 9.2.5: a second challenge with the same nonce means that the
 * credentials are wrong. */
static enum extip_turn_result challenged(const struct extip_stun_attr *attrs,
  struct extip_turn_login *login, struct extip_turn_reply *reply) {
  char nonce[EXTIP_TURN_REALM_MAX];
  bool first = *login->realm == '\0';

  if (reply->code == UNAUTHENTICATED && !first) {
    snprintf(reply->reason, sizeof(reply->reason),
      "the server refuses the credentials");
    return EXTIP_TURN_ERROR;
  }

  if (!read_text(&attrs[NONCE], nonce, sizeof(nonce)) ||
      (first &&
        !read_text(&attrs[REALM], login->realm, sizeof(login->realm)))) {
    snprintf(
      reply->reason, sizeof(reply->reason), "challenge without realm or nonce");
    return EXTIP_TURN_BAD;
  }

  if (!first && strcmp(nonce, login->nonce) == 0) {
    return EXTIP_TURN_ERROR;
  }

  memcpy(login->nonce, nonce, sizeof(nonce));
  if (first && !make_key(login)) {
    snprintf(reply->reason, sizeof(reply->reason),
      "no MD5 for the credentials in this system's OpenSSL");
    return EXTIP_TURN_BAD;
  }
  *reply->reason = '\0';
  return EXTIP_TURN_CHALLENGE;
}

static enum extip_turn_result failed(const struct extip_stun_attr *attrs,
  struct extip_turn_login *login, struct extip_turn_reply *reply) {
  reply->code =
    extip_stun_read_error(&attrs[ERROR], reply->reason, sizeof(reply->reason));
  if (reply->code == 0) {
    return EXTIP_TURN_BAD;
  }
  return reply->code == UNAUTHENTICATED || reply->code == STALE_NONCE
           ? challenged(attrs, login, reply)
           : EXTIP_TURN_ERROR;
}

/* RFC 8489 9.2.5: a response to an authenticated request that is not
 * authenticated itself is not the server's. */
static bool is_authentic(const unsigned char *buf,
  const struct extip_stun_attr *attr, const struct extip_turn_login *login) {
  unsigned char code[INTEGRITY_SIZE];

  return attr->value != NULL && attr->len == INTEGRITY_SIZE &&
         integrity(login, buf,
           (size_t) (attr->value - buf) - EXTIP_STUN_ATTR_HEADER, code) &&
         CRYPTO_memcmp(code, attr->value, INTEGRITY_SIZE) == 0;
}

static enum extip_turn_result succeeded(unsigned int method,
  const struct extip_stun_attr *attrs, struct extip_turn_reply *reply) {
  uint16_t port;

  if (method == EXTIP_TURN_CONNECT) {
    return EXTIP_TURN_OK;
  }

  if (attrs[RELAYED].value == NULL) {
    snprintf(
      reply->reason, sizeof(reply->reason), "no relayed address in the reply");
    return EXTIP_TURN_BAD;
  }
  if (!extip_stun_read_address(&attrs[RELAYED], EXTIP_STUN_COOKIE,
        &reply->relayed, &port, reply->reason, sizeof(reply->reason))) {
    return EXTIP_TURN_BAD;
  }

  /* It is a hint only, so one that cannot be read is as good as none. */
  if (attrs[MAPPED].value != NULL &&
      !extip_stun_read_address(&attrs[MAPPED], EXTIP_STUN_COOKIE,
        &reply->mapped, &port, reply->reason, sizeof(reply->reason))) {
    *reply->reason = '\0';
  }
  return EXTIP_TURN_OK;
}

enum extip_turn_result extip_turn_parse(const unsigned char *buf, size_t len,
  unsigned int method, const unsigned char id[EXTIP_STUN_ID_SIZE],
  struct extip_turn_login *login, struct extip_turn_reply *reply) {
  struct extip_stun_attr attrs[ATTRS] = {
    [RELAYED] = { .type = EXTIP_STUN_XOR_RELAYED_ADDRESS },
    [MAPPED] = { .type = EXTIP_STUN_XOR_MAPPED_ADDRESS },
    [ERROR] = { .type = EXTIP_STUN_ERROR_CODE },
    [REALM] = { .type = EXTIP_STUN_REALM },
    [NONCE] = { .type = EXTIP_STUN_NONCE },
    [INTEGRITY] = { .type = EXTIP_STUN_MESSAGE_INTEGRITY },
  };
  int unknown;
  const char *reason =
    len > EXTIP_STUN_REPLY_MAX
      ? "too long"
      : extip_stun_read(buf, len, method, id, attrs, ATTRS, &unknown);

  memset(reply, 0, sizeof(*reply));
  if (reason != NULL) {
    snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
    return EXTIP_TURN_BAD;
  }

  if ((get16(buf) & EXTIP_STUN_ERROR_BIT) != 0) {
    return failed(attrs, login, reply);
  }
  if (*login->realm != '\0' && !is_authentic(buf, &attrs[INTEGRITY], login)) {
    snprintf(reply->reason, sizeof(reply->reason),
      "the reply is not authenticated with these credentials");
    return EXTIP_TURN_BAD;
  }
  return succeeded(method, attrs, reply);
}
