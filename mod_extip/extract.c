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

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extract.h"
#include "ipv4.h"
#include "json.h"
#include "printable.h"

#define BLANKS " \t\r\n"
#define MARK   "\xef\xbb\xbf" /* U+FEFF in UTF-8 */

#define SHOWN_MAX 56 /* bytes quoted of what came, enough to recognise it */

struct span {
  const char *start;
  size_t len;
};

/* In the order of enum extip_extract_kind. */
static const struct {
  const char *name;
  bool arg;
} kinds[] = {
  { "body", false },
  { "json", true },
  { "line", true },
  { "header", true },
};

__attribute__((format(printf, 3, 4))) static int decline(
  char *reason, size_t reason_size, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  vsnprintf(reason, reason_size, fmt, args);
  va_end(args);
  errno = EINVAL;
  return -1;
}

/* NULL, or what is wrong with the argument. */
static const char *check_arg(enum extip_extract_kind kind, const char *arg) {
  switch (kind) {
    case EXTIP_EXTRACT_JSON:
      return extip_json_pointer_valid(arg)
               ? NULL
               : "json: takes a JSON pointer, such as json:/ip or json:/data/0/address";
    case EXTIP_EXTRACT_LINE:
      return *arg != '\0'
               ? NULL
               : "line: takes what the line begins with, such as line:ip=";
    case EXTIP_EXTRACT_HEADER:
      return *arg != '\0' && strpbrk(arg, ": \t") == NULL
               ? NULL
               : "header: takes the name of a header, such as header:X-Your-IP";
    default:
      return NULL;
  }
}

int extip_extract_parse(const char *text, struct extip_extract *extract,
  char *reason, size_t reason_size) {
  size_t name_len = strcspn(text, ":");
  bool has_arg = text[name_len] == ':';
  char shown[64];

  extip_printable(shown, sizeof(shown), text, strlen(text));
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    const char *detail;

    if (strlen(kinds[i].name) != name_len || has_arg != kinds[i].arg ||
        strncasecmp(text, kinds[i].name, name_len) != 0) {
      continue;
    }
    if (!has_arg) {
      return 0;
    }
    detail = check_arg((enum extip_extract_kind) i, text + name_len + 1);
    if (detail != NULL) {
      return decline(reason, reason_size, "extract '%s': %s", shown, detail);
    }
    extract->kind = (enum extip_extract_kind) i;
    extract->arg = strdup(text + name_len + 1);
    if (extract->arg == NULL) {
      snprintf(reason, reason_size, "out of memory");
      return -1;
    }
    return 0;
  }
  return decline(reason, reason_size,
    "extract '%s': allowed are body, json:/pointer, line:prefix and header:name",
    shown);
}

void extip_extract_free(struct extip_extract *extract) {
  free(extract->arg);
  memset(extract, 0, sizeof(*extract));
}

static struct span trim(struct span text) {
  while (text.len > 0 && memchr(BLANKS, text.start[0], sizeof(BLANKS) - 1)) {
    text.start++;
    text.len--;
  }
  while (text.len > 0 &&
         memchr(BLANKS, text.start[text.len - 1], sizeof(BLANKS) - 1)) {
    text.len--;
  }
  return text;
}

/* Takes the first line, without its line end, off REST; false when REST is
 * empty. */
static bool next_line(struct span *rest, struct span *line) {
  const char *newline;

  if (rest->len == 0) {
    return false;
  }
  newline = memchr(rest->start, '\n', rest->len);
  line->start = rest->start;
  line->len = newline != NULL ? (size_t) (newline - rest->start) : rest->len;
  rest->start += line->len + (newline != NULL);
  rest->len -= line->len + (newline != NULL);
  if (line->len > 0 && line->start[line->len - 1] == '\r') {
    line->len--;
  }
  return true;
}

static bool line_matches(
  const struct extip_extract *extract, const struct span *line) {
  size_t len = strlen(extract->arg);

  if (extract->kind == EXTIP_EXTRACT_LINE) {
    return line->len >= len && memcmp(line->start, extract->arg, len) == 0;
  }
  return line->len > len && line->start[len] == ':' &&
         strncasecmp(line->start, extract->arg, len) == 0;
}

/*
 * The rest of the one line of TEXT that begins with the prefix, or with the
 * header's name. A header that goes on in the next line (obsolete folding) has
 * more to it than an address.
 */
static int find_line(const struct extip_extract *extract, struct span text,
  struct span *found, char *reason, size_t reason_size) {
  bool header = extract->kind == EXTIP_EXTRACT_HEADER;
  size_t prefix = strlen(extract->arg) + (header ? 1 : 0);
  struct span line;
  char shown[48];
  unsigned int count = 0;

  while (next_line(&text, &line)) {
    if (!line_matches(extract, &line)) {
      continue;
    }
    count++;
    found->start = line.start + prefix;
    found->len = line.len - prefix;
    if (header && text.len > 0 && (*text.start == ' ' || *text.start == '\t')) {
      count++;
    }
  }
  if (count == 1) {
    return 0;
  }
  extip_printable(shown, sizeof(shown), extract->arg, strlen(extract->arg));
  return decline(reason, reason_size, "%s %s \"%s\"",
    count == 0 ? "no" : "more than one",
    header ? "header" : "line that begins with", shown);
}

/* An IPv4 address as programs with IPv6 sockets write it, "::ffff:192.0.2.1" in
 * any spelling. */
static bool read_mapped(struct span text, struct in_addr *addr) {
  char copy[INET6_ADDRSTRLEN] = "";
  struct in6_addr mapped;

  if (text.len >= sizeof(copy) || memchr(text.start, '\0', text.len) != NULL) {
    return false;
  }
  memcpy(copy, text.start, text.len);
  if (inet_pton(AF_INET6, copy, &mapped) != 1 ||
      !IN6_IS_ADDR_V4MAPPED(&mapped)) {
    return false;
  }
  memcpy(addr, mapped.s6_addr + 12, sizeof(*addr));
  return true;
}

/* Whether the text is an IPv6 address, which deserves a reason of its own. */
static bool looks_like_ipv6(struct span text) {
  size_t colons = 0;

  for (size_t i = 0; i < text.len; i++) {
    if (text.start[i] == '\0' ||
        strchr("0123456789abcdefABCDEF:.", text.start[i]) == NULL) {
      return false;
    }
    colons += text.start[i] == ':';
  }
  return colons >= 2;
}

static int read_address(
  struct span text, struct in_addr *addr, char *reason, size_t reason_size) {
  char shown[SHOWN_MAX];

  text = trim(text);
  if (text.len == 0) {
    return decline(reason, reason_size, "empty where the address should be");
  }
  if (extip_ipv4_parse(text.start, text.len, addr) || read_mapped(text, addr)) {
    return 0;
  }
  extip_printable(shown, sizeof(shown), text.start, text.len);
  return decline(reason, reason_size, "%s: \"%s\"",
    looks_like_ipv6(text) ? "IPv6 address instead of IPv4"
                          : "not exactly one IPv4 address",
    shown);
}

/* The body without the byte order mark that some editors and frameworks write
 * before any text. */
static struct span skip_mark(const struct extip_extract_input *input) {
  struct span body = { input->body, input->body_len };

  if (body.len >= sizeof(MARK) - 1 &&
      memcmp(body.start, MARK, sizeof(MARK) - 1) == 0) {
    body.start += sizeof(MARK) - 1;
    body.len -= sizeof(MARK) - 1;
  }
  return body;
}

static int run_json(const struct extip_extract *extract, struct span body,
  struct in_addr *addr, char *reason, size_t reason_size) {
  char *value = malloc(EXTIP_JSON_ROOM(body.len));
  const char *detail;
  char shown[48];
  long len;
  int result;

  if (value == NULL) {
    snprintf(reason, reason_size, "out of memory");
    return -1;
  }
  len = extip_json_string(body.start, body.len, extract->arg, value, &detail);
  if (len < 0) {
    extip_printable(shown, sizeof(shown), extract->arg, strlen(extract->arg));
    result = decline(reason, reason_size, "json:%s: %s", shown, detail);
  } else {
    struct span text = { value, (size_t) len };

    result = read_address(text, addr, reason, reason_size);
  }
  free(value);
  return result;
}

int extip_extract_run(const struct extip_extract *extract,
  const struct extip_extract_input *input, struct in_addr *addr, char *reason,
  size_t reason_size) {
  struct span text = skip_mark(input);

  switch (extract->kind) {
    case EXTIP_EXTRACT_JSON:
      return run_json(extract, text, addr, reason, reason_size);
    case EXTIP_EXTRACT_HEADER:
      text.start = input->headers;
      text.len = input->headers_len;
      /* fall through */
    case EXTIP_EXTRACT_LINE:
      if (find_line(extract, text, &text, reason, reason_size) < 0) {
        return -1;
      }
      break;
    case EXTIP_EXTRACT_BODY:
      break;
  }
  return read_address(text, addr, reason, reason_size);
}
