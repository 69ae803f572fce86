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
 * -1 with a sentence for the operator in ERR (errno EINVAL or ENOMEM). The
 * result owns memory: extip_extract_free().
 */
int extip_extract_parse(
  const char *text, struct extip_extract *extract, char *err, size_t errsz);

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
 * Takes exactly one IPv4 address out of a reply: blanks and line ends around it
 * are trimmed, anything else beside it is an error; never "the first that looks
 * like one". Returns 0 with ADDR in network order, or -1 with errno EINVAL and
 * the reason in WHY, printable ASCII, bounded, with what was found quoted.
 */
int extip_extract_run(const struct extip_extract *extract,
  const struct extip_extract_input *input, struct in_addr *addr, char *why,
  size_t whysz);

#endif
