/*
 * mod_extip - finds the address in an HTTP reply
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_EXTRACT_H
#define EXTIP_EXTRACT_H

#include <netinet/in.h>
#include <stddef.h>

enum extip_extract_kind {
  EXTIP_EXTRACT_BODY,  /* body: nothing but the address */
  EXTIP_EXTRACT_JSON,  /* json:/pointer: a string in a JSON text (RFC 6901) */
  EXTIP_EXTRACT_LINE,  /* line:prefix: rest of the one line that starts so */
  EXTIP_EXTRACT_HEADER /* header:name: value of the one such header */
};

/* Zeroed, it means "body". */
struct extip_extract {
  enum extip_extract_kind kind;
  char *arg; /* what follows the colon; NULL for body */
};

/*
 * Reads "body", "json:/pointer", "line:prefix" or "header:name". Returns 0, or
 * -1 with a sentence for the operator in REASON (errno EINVAL or ENOMEM). The
 * result owns memory: extip_extract_free().
 */
int extip_extract_parse(const char *text, struct extip_extract *extract,
  char *reason, size_t reason_size);

/* Frees what the struct holds, not the struct. A zeroed one is fine. */
void extip_extract_free(struct extip_extract *extract);

/* One HTTP reply. Neither part needs to end in NUL. */
struct extip_extract_input {
  const char *headers; /* the header lines, each with its line end */
  size_t headers_len;
  const char *body;
  size_t body_len;
};

/*
 * Reads exactly one IPv4 address from a reply. Blanks and line ends around it
 * and one byte order mark before the body are skipped, and its IPv6 form
 * (::ffff:192.0.2.1) is accepted. Anything else beside it is an error: this
 * never searches for something that looks like an address. Returns 0 with ADDR
 * in network order; or -1 with errno EINVAL and the reason in REASON, printable
 * ASCII, bounded, with a quotation of what was found.
 */
int extip_extract_run(const struct extip_extract *extract,
  const struct extip_extract_input *input, struct in_addr *addr, char *reason,
  size_t reason_size);

#endif
