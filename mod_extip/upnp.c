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

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "ipv4.h"
#include "upnp.h"

/* A line of each kind: its first word, and a letter for each field. */
static const struct {
  const char *word;
  const char *fields;
} forms[] = {
  [EXTIP_UPNP_WHERE] = { "where", "" },
  [EXTIP_UPNP_MAP] = { "map", "oil" },
  [EXTIP_UPNP_UNMAP] = { "unmap", "oi" },
  [EXTIP_UPNP_GET] = { "get", "o" },
  [EXTIP_UPNP_ADDRESS] = { "address", "a" },
  [EXTIP_UPNP_MAPPED] = { "mapped", "oil" },
  [EXTIP_UPNP_UNMAPPED] = { "unmapped", "oi" },
  [EXTIP_UPNP_ENTRY] = { "entry", "oila" },
  [EXTIP_UPNP_NONE] = { "none", "o" },
  [EXTIP_UPNP_ERROR] = { "error", "c" },
};

_Static_assert(
  sizeof(forms) / sizeof(forms[0]) == EXTIP_UPNP_KINDS, "a form each");

#define PORT_MAX 65535
#define CODE_MAX 999

static uint32_t get_number(char field, const struct extip_upnp_line *line) {
  switch (field) {
    case 'o':
      return line->outer;
    case 'i':
      return line->inner;
    case 'l':
      return line->lifetime;
    default:
      return line->code;
  }
}

size_t extip_upnp_print(
  char buf[EXTIP_UPNP_LINE_SIZE], const struct extip_upnp_line *line) {
  const size_t size = EXTIP_UPNP_LINE_SIZE;
  size_t len = (size_t) snprintf(buf, size, "%s", forms[line->kind].word);

  for (const char *field = forms[line->kind].fields; *field != '\0'; field++) {
    char addr[INET_ADDRSTRLEN];

    if (*field == 'a') {
      inet_ntop(AF_INET, &line->addr, addr, sizeof(addr));
      len += (size_t) snprintf(buf + len, size - len, " %s", addr);
    } else {
      len += (size_t) snprintf(buf + len, size - len, " %lu",
        (unsigned long) get_number(*field, line));
    }
  }
  buf[len++] = '\n';
  buf[len] = '\0';
  return len;
}

/* Decimal digits without a leading zero, from MIN to MAX. */
static bool read_number(
  const char *text, size_t len, uint32_t min, uint32_t max, uint32_t *number) {
  uint64_t value = 0;

  if (len == 0 || len > 10 || (text[0] == '0' && len > 1)) {
    return false;
  }
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') {
      return false;
    }
    value = value * 10 + (uint64_t) (text[i] - '0');
  }
  *number = (uint32_t) value;
  return value >= min && value <= max;
}

/* NULL, or what is wrong with this field. */
static const char *read_field(
  char field, const char *text, size_t len, struct extip_upnp_line *line) {
  uint32_t number;

  switch (field) {
    case 'a':
      return extip_ipv4_parse(text, len, &line->addr) ? NULL
                                                      : "not an IPv4 address";
    case 'l':
      return read_number(text, len, 0, UINT32_MAX, &line->lifetime)
               ? NULL
               : "not a lifetime";
    case 'c':
      if (!read_number(text, len, 1, CODE_MAX, &number)) {
        return "not an error code";
      }
      line->code = number;
      return NULL;
    default:
      if (!read_number(text, len, 1, PORT_MAX, &number)) {
        return "not a port";
      }
      *(field == 'o' ? &line->outer : &line->inner) = (uint16_t) number;
      return NULL;
  }
}

/* Takes the next word off the front; its end is a blank or that of the text. */
static size_t word_length(const char *text, size_t len) {
  const char *blank = memchr(text, ' ', len);

  return blank != NULL ? (size_t) (blank - text) : len;
}

static bool find_kind(
  const char *word, size_t len, enum extip_upnp_kind *kind) {
  for (unsigned int i = 0; i < EXTIP_UPNP_KINDS; i++) {
    if (strlen(forms[i].word) == len && memcmp(forms[i].word, word, len) == 0) {
      *kind = (enum extip_upnp_kind) i;
      return true;
    }
  }
  return false;
}

int extip_upnp_parse(const char *text, size_t len, struct extip_upnp_line *line,
  const char **reason) {
  size_t pos = word_length(text, len);

  memset(line, 0, sizeof(*line));
  *reason = NULL;
  if (!find_kind(text, pos, &line->kind)) {
    *reason = "an unknown word";
    return -1;
  }

  for (const char *field = forms[line->kind].fields; *field != '\0'; field++) {
    size_t word;

    if (pos == len) {
      *reason = "too few words";
      return -1;
    }
    pos++; /* the blank */
    word = word_length(text + pos, len - pos);
    *reason = read_field(*field, text + pos, word, line);
    if (*reason != NULL) {
      return -1;
    }
    pos += word;
  }
  if (pos != len) {
    *reason = "too many words";
    return -1;
  }
  return 0;
}

const char *extip_upnp_code_text(unsigned int code) {
  static const struct {
    unsigned int code;
    const char *text;
  } texts[] = {
    { EXTIP_UPNP_NO_ROUTER,
      "the router does not answer to UPnP: switch it on in its settings, or leave upnp out of ExtIPGateway" },
    { EXTIP_UPNP_NO_SERVICE,
      "the router's description names no connection to the Internet at its own address: leave upnp out of ExtIPGateway" },
    { EXTIP_UPNP_NO_REPLY,
      "the router gave no answer: it may be restarting, and is looked for again" },
    { EXTIP_UPNP_BAD_REPLY,
      "the router's answer is malformed: name pcp or natpmp in ExtIPGateway" },
    { EXTIP_UPNP_NOT_MADE,
      "the router agreed and made no forward: name pcp or natpmp in ExtIPGateway" },
    { EXTIP_UPNP_BAD_REQUEST,
      "the request was malformed: extip-helper and extip-upnp are of different releases" },
    { 402,
      "the router does not understand the request: name pcp or natpmp in ExtIPGateway" },
    { EXTIP_UPNP_ACTION_FAILED,
      "the router failed: check that its line is up and that it has a public address" },
    { 606,
      "the router refuses: allow this host to forward ports by UPnP in its settings" },
    { EXTIP_UPNP_NO_SUCH_ENTRY,
      "the router has no such forward: somebody else has deleted it" },
    { 716,
      "the router wants to choose the outside port: name natpmp or pcp in ExtIPGateway" },
    { EXTIP_UPNP_CONFLICT,
      "another host or program holds this port: choose other ports, or name any-port in ExtIPForward" },
    { 724,
      "the router wants the same port inside and outside: leave external out of NATPasvPool" },
    { EXTIP_UPNP_ONLY_PERMANENT,
      "the router takes no lifetime: it keeps forwards until they are deleted" },
    { 728,
      "the router's table of forwards is full: delete some in its settings or lower max in ExtIPForward" },
    { 729,
      "this port is forwarded in the router's own settings: delete that entry there, or leave the port to it" },
  };

  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    if (texts[i].code == code) {
      return texts[i].text;
    }
  }
  return "the router returned an unknown error: name pcp or natpmp in ExtIPGateway";
}
