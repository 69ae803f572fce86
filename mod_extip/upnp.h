/*
 * mod_extip - the lines that extip-upnp reads and writes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_UPNP_H
#define EXTIP_UPNP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define EXTIP_UPNP_NAME "extip-upnp"

/* A request or its answer: one line of words and decimal numbers with one blank
 * between them, of at most so many bytes with the end of the line and a NUL. */
#define EXTIP_UPNP_LINE_SIZE 64

enum extip_upnp_kind {
  /* Requests */
  EXTIP_UPNP_WHERE, /* where */
  EXTIP_UPNP_MAP,   /* map OUTER INNER LIFETIME */
  EXTIP_UPNP_UNMAP, /* unmap OUTER INNER */
  EXTIP_UPNP_GET,   /* get OUTER */

  /* Answers; the first four in the order of their requests */
  EXTIP_UPNP_ADDRESS,  /* address ADDR */
  EXTIP_UPNP_MAPPED,   /* mapped OUTER INNER LIFETIME */
  EXTIP_UPNP_UNMAPPED, /* unmapped OUTER INNER */
  EXTIP_UPNP_ENTRY,    /* entry OUTER INNER LIFETIME ADDR */
  EXTIP_UPNP_NONE,     /* none OUTER: to EXTIP_UPNP_GET */
  EXTIP_UPNP_ERROR,    /* error CODE: to any request */
  EXTIP_UPNP_KINDS
};

struct extip_upnp_line {
  enum extip_upnp_kind kind;
  uint16_t outer, inner; /* ports, never 0 where they are used */
  uint32_t lifetime;     /* seconds; 0: until the router is told otherwise */
  struct in_addr addr;   /* the router's outside address, or who holds a port */
  unsigned int code;     /* see extip_upnp_code_text() */
};

/* Codes of our own; above them are those of UPnP. */
enum extip_upnp_code {
  EXTIP_UPNP_NO_ROUTER = 1,   /* nobody at the gateway's address answered */
  EXTIP_UPNP_NO_SERVICE = 2,  /* it is no router, or has no connection */
  EXTIP_UPNP_NO_REPLY = 3,    /* it did not answer this request */
  EXTIP_UPNP_BAD_REPLY = 4,   /* it answered something else */
  EXTIP_UPNP_NOT_MADE = 5,    /* it agreed and did not do it */
  EXTIP_UPNP_BAD_REQUEST = 6, /* the line was malformed */
  EXTIP_UPNP_ACTION_FAILED = 501,
  EXTIP_UPNP_NO_SUCH_ENTRY = 714,
  EXTIP_UPNP_CONFLICT = 718,
  EXTIP_UPNP_ONLY_PERMANENT = 725
};

/* Writes LINE with its end; returns its length. */
size_t extip_upnp_print(
  char buf[EXTIP_UPNP_LINE_SIZE], const struct extip_upnp_line *line);

/* Reads the LEN bytes of a line without its end. Returns 0, or -1 with the
 * REASON. */
int extip_upnp_parse(const char *text, size_t len, struct extip_upnp_line *line,
  const char **reason);

/* What a code means and what to do, for the operator. */
const char *extip_upnp_code_text(unsigned int code);

#endif
