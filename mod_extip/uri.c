/*
 * mod_extip - one ExtIPSource: whom to ask, and how
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipv4.h"
#include "percent.h"
#include "printable.h"
#include "uri.h"

#define HOST_MAX  253 /* RFC 1035 2.3.4, as text without the last dot */
#define LABEL_MAX 63
#define URI_MAX   2000 /* bytes; no service needs a longer one */

#define METADATA_HOST "169.254.169.254" /* the same in all three clouds */

/* What is being read, and where to write why it is refused. */
struct parse {
  const char *uri;
  struct extip_source *source;
  char *reason;
  size_t reason_size;
};

struct kind {
  const char *scheme;
  uint16_t port;
  int (*read)(struct parse *parse, const struct kind *kind, const char *rest);
  size_t longest;
  const char *form;
};

static int read_stun(struct parse *, const struct kind *, const char *);
static int read_http(struct parse *, const struct kind *, const char *);
static int read_dns(struct parse *, const struct kind *, const char *);
static int read_text(struct parse *, const struct kind *, const char *);
static int read_cloud(struct parse *, const struct kind *, const char *);
static int read_router(struct parse *, const struct kind *, const char *);

static const struct kind source_kinds[] = {
#define KIND(name, scheme, port, reader, longest, driver, form) \
  [EXTIP_SOURCE_##name] = { scheme, port, read_##reader, longest, form },
  EXTIP_KINDS(KIND)
#undef KIND
};

const char *extip_source_forms(char *buf, size_t bufsz) {
  size_t len = 0;

  *buf = '\0';
  for (size_t i = 0; i < EXTIP_SOURCE_KINDS && len < bufsz; i++) {
    if (*source_kinds[i].form != '\0') {
      len += (size_t) snprintf(buf + len, bufsz - len, "%s%s",
        i == 0                       ? ""
        : i < EXTIP_SOURCE_KINDS - 1 ? ", "
                                     : " and ",
        source_kinds[i].form);
    }
  }
  return buf;
}

/* Always -1, with errno EINVAL and a sentence that begins with the URI. */
__attribute__((format(printf, 2, 3))) static int refuse(
  struct parse *parse, const char *fmt, ...) {
  char shown[256];
  char detail[320];
  va_list args;

  extip_source_redact(parse->uri, shown, sizeof(shown));
  va_start(args, fmt);
  vsnprintf(detail, sizeof(detail), fmt, args);
  va_end(args);
  snprintf(parse->reason, parse->reason_size, "'%s': %s", shown, detail);
  errno = EINVAL;
  return -1;
}

static int out_of_memory(struct parse *parse) {
  snprintf(parse->reason, parse->reason_size, "out of memory");
  errno = ENOMEM;
  return -1;
}

/* ASCII only, whatever the locale. */
static bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
         (c >= 'a' && c <= 'z');
}

/* LEN bytes in lower case as a new string, or NULL. */
static char *lower(const char *text, size_t len) {
  char *copy = strndup(text, len);

  for (size_t i = 0; copy != NULL && i < len; i++) {
    if (copy[i] >= 'A' && copy[i] <= 'Z') {
      copy[i] += 'a' - 'A';
    }
  }
  return copy;
}

/*
 * A name of letters, digits, hyphens and underscores (which RFC 1123 does not
 * have, but dynamic DNS users do), perhaps with a last dot. A last label of
 * digits alone would be a mistyped address.
 */
static bool is_name(const char *text, size_t len) {
  size_t label = 0;
  bool digits = true;

  if (len > 0 && text[len - 1] == '.') {
    len--;
  }
  if (len == 0 || len > HOST_MAX) {
    return false;
  }
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '.') {
      if (label == 0 || text[i - 1] == '-') {
        return false;
      }
      label = 0;
      digits = true;
      continue;
    }
    if (!is_alnum(text[i]) && text[i] != '_' &&
        (text[i] != '-' || label == 0)) {
      return false;
    }
    digits = digits && text[i] >= '0' && text[i] <= '9';
    if (++label > LABEL_MAX) {
      return false;
    }
  }
  return label > 0 && !digits && text[len - 1] != '-';
}

static int read_port(struct parse *parse, const char *text, size_t len) {
  unsigned long port = 0;

  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9' || len > 5) {
      port = 0;
      break;
    }
    port = port * 10 + (unsigned long) (text[i] - '0');
  }
  if (port < 1 || port > 65535 || text[0] == '0') {
    return refuse(parse, "the port must be a number from 1 to 65535");
  }
  parse->source->port = (uint16_t) port;
  return 0;
}

const char *extip_host_check(const char *text, size_t len) {
  struct in_addr addr;

  if (len == 0) {
    return "the host is missing";
  }
  if (text[0] == '[') {
    return "an IPv6 address cannot be asked: only IPv4 addresses and names are allowed";
  }
  if (extip_ipv4_parse(text, len, &addr)) {
    unsigned int first = ntohl(addr.s_addr) >> 24;

    return first == 0 || first >= 224 ? "no host can have this address" : NULL;
  }
  return is_name(text, len)
           ? NULL
           : "the host must be an IPv4 address or a name of ASCII letters, digits and hyphens";
}

/* Reads "host[:port]", LEN bytes. */
static int read_host(
  struct parse *parse, const char *text, size_t len, uint16_t default_port) {
  const char *colon = memchr(text, ':', len);
  size_t host_len = colon != NULL ? (size_t) (colon - text) : len;
  const char *reason = extip_host_check(text, host_len);

  if (reason != NULL) {
    return refuse(parse, "%s", reason);
  }

  parse->source->host = lower(text, host_len);
  if (parse->source->host == NULL) {
    return out_of_memory(parse);
  }
  parse->source->port = default_port;
  return colon == NULL ? 0 : read_port(parse, colon + 1, len - host_len - 1);
}

/* RFC 7064: nothing but host and port; the query is that of RFC 7065. */
static int read_stun(
  struct parse *parse, const struct kind *kind, const char *rest) {
  const char *query = strchr(rest, '?');
  size_t len = query != NULL ? (size_t) (query - rest) : strlen(rest);

  if (strncmp(rest, "//", 2) == 0) {
    return refuse(
      parse, "a STUN URI has no \"//\": %s:host[:port]", kind->scheme);
  }
  if (query != NULL) {
    if (parse->source->kind == EXTIP_SOURCE_STUN_UDP &&
        strcasecmp(query, "?transport=tcp") == 0) {
      parse->source->kind = EXTIP_SOURCE_STUN_TCP;
    } else if (parse->source->kind != EXTIP_SOURCE_STUN_UDP ||
               strcasecmp(query, "?transport=udp") != 0) {
      return refuse(parse,
        "only stun:host[:port]?transport=udp and ?transport=tcp are allowed");
    }
  }
  return read_host(parse, rest, len, kind->port);
}

static int read_userinfo(struct parse *parse, const char *text, size_t len) {
  const char *colon = memchr(text, ':', len);
  size_t user_len = colon != NULL ? (size_t) (colon - text) : len;
  struct extip_source *source = parse->source;

  if (user_len == 0) {
    return refuse(parse, "the user name before \"@\" is missing");
  }
  source->user = extip_percent_decode(text, user_len);
  if (source->user != NULL) {
    source->password = colon != NULL
                         ? extip_percent_decode(colon + 1, len - user_len - 1)
                         : strdup("");
  }
  if (source->password != NULL) {
    return 0;
  }
  return errno == EINVAL
           ? refuse(
               parse, "user name or password is not properly percent-encoded")
           : out_of_memory(parse);
}

static int read_http(
  struct parse *parse, const struct kind *kind, const char *rest) {
  const char *authority = rest + 2;
  const char *at = NULL;
  const char *path;
  size_t len;

  if (strncmp(rest, "//", 2) != 0) {
    return refuse(parse, "\"//\" must follow %s:", kind->scheme);
  }
  if (strchr(rest, '#') != NULL) {
    return refuse(parse, "a fragment (\"#\") is never sent to a server");
  }
  len = strcspn(authority, "/?");
  path = authority + len;
  for (const char *c = authority; c < path; c++) {
    at = *c == '@' ? c : at;
  }
  if (at != NULL) {
    size_t userinfo = (size_t) (at - authority);

    if (read_userinfo(parse, authority, userinfo) < 0) {
      return -1;
    }
    authority += userinfo + 1;
    len -= userinfo + 1;
  }
  if (asprintf(&parse->source->path, "%s%s", *path == '/' ? "" : "/", path) <
      0) {
    parse->source->path = NULL;
    return out_of_memory(parse);
  }
  return read_host(parse, authority, len, kind->port);
}

static int read_dns(
  struct parse *parse, const struct kind *kind, const char *rest) {
  (void) kind;
  if (!is_name(rest, strlen(rest))) {
    return refuse(parse,
      "dns: takes a name of ASCII letters, digits and hyphens, and no port");
  }
  parse->source->host = lower(rest, strlen(rest));
  return parse->source->host != NULL ? 0 : out_of_memory(parse);
}

static int read_text(
  struct parse *parse, const struct kind *kind, const char *rest) {
  size_t len = strlen(rest);

  if (len == 0 || len > kind->longest) {
    return refuse(parse, "expected %s, 1 to %zu characters after the colon",
      kind->form, kind->longest);
  }
  parse->source->host = strdup(rest);
  return parse->source->host != NULL ? 0 : out_of_memory(parse);
}

static int read_cloud(
  struct parse *parse, const struct kind *kind, const char *rest) {
  if (*rest == '\0') {
    rest = METADATA_HOST;
  }
  return read_host(parse, rest, strlen(rest), kind->port);
}

/* The router, which has one vote whatever protocols it is asked in. */
static int read_router(
  struct parse *parse, const struct kind *kind, const char *rest) {
  struct in_addr addr;

  if (*rest != '\0' && !extip_ipv4_parse(rest, strlen(rest), &addr)) {
    return refuse(parse,
      "only the IPv4 address of the router may follow %s:, and nothing is the gateway",
      kind->scheme);
  }
  parse->source->port = kind->port;
  parse->source->host = strdup(rest);
  return parse->source->host != NULL ? 0 : out_of_memory(parse);
}

/* Bytes of a header's name, 0 when TEXT is not "Name: value" (RFC 9110 5). */
static size_t header_name_len(const char *text) {
  size_t len = 0;
  const char *value;

  while (is_alnum(text[len]) ||
         (text[len] != '\0' && strchr("!#$%&'*+-.^_`|~", text[len]) != NULL)) {
    len++;
  }
  if (text[len] != ':') {
    return 0;
  }
  value = text + len + 1;
  value += strspn(value, " \t");
  for (const char *c = value; *c != '\0'; c++) {
    if (((unsigned char) *c < 0x20 && *c != '\t') || *c == 0x7f) {
      return 0;
    }
  }
  return *value != '\0' ? len : 0;
}

static int add_header(struct parse *parse, const char *text) {
  struct extip_source *source = parse->source;
  char **headers;

  if (header_name_len(text) == 0) {
    char name[40];

    /* Only the first word: the rest may be a secret. */
    extip_printable(name, sizeof(name), text, strcspn(text, ": "));
    return refuse(parse,
      "header '%s...' must be one word, \"Name: value\" in quotes", name);
  }
  headers =
    realloc(source->headers, (source->header_count + 1) * sizeof(*headers));
  if (headers == NULL) {
    return out_of_memory(parse);
  }
  source->headers = headers;
  headers[source->header_count] = strdup(text);
  if (headers[source->header_count] == NULL) {
    return out_of_memory(parse);
  }
  source->header_count++;
  return 0;
}

static int read_options(struct parse *parse, char *const *opts, size_t nopts) {
  struct extip_source *source = parse->source;
  bool extract_seen = false;

  if (nopts > 0 && source->path == NULL) {
    return refuse(
      parse, "only http: and https: sources take extract and header");
  }
  for (size_t i = 0; i < nopts; i += 2) {
    bool is_extract = strcasecmp(opts[i], "extract") == 0;

    if (!is_extract && strcasecmp(opts[i], "header") != 0) {
      char word[40];

      extip_printable(word, sizeof(word), opts[i], strlen(opts[i]));
      return refuse(parse,
        "unknown word '%s': allowed are extract body|json:/pointer|line:prefix|header:name and header \"Name: value\"",
        word);
    }
    if (i + 1 == nopts) {
      return refuse(
        parse, "a value must follow '%s'", is_extract ? "extract" : "header");
    }
    if (!is_extract) {
      if (add_header(parse, opts[i + 1]) < 0) {
        return -1;
      }
      continue;
    }
    if (extract_seen) {
      return refuse(parse, "extract is given twice");
    }
    extract_seen = true;
    if (extip_extract_parse(opts[i + 1], &source->extract, parse->reason,
          parse->reason_size) < 0) {
      return -1;
    }
  }
  return 0;
}

/* The printer of what the parser reads: text and key. */
static int print_source(struct parse *parse, const struct kind *kind) {
  struct extip_source *source = parse->source;
  size_t host_len = strlen(source->host);
  size_t shown_len = strcspn(source->path != NULL ? source->path : "", "?");
  char port[8] = "";
  const char *host = source->host;
  int len;

  if (source->port != kind->port) {
    snprintf(port, sizeof(port), ":%u", source->port);
  }
  if (kind->read == read_cloud && *port == '\0' &&
      strcmp(host, METADATA_HOST) == 0) {
    host = "";
  }
  len = asprintf(&source->text, "%s:%s%s%s%s%.*s%s%s", kind->scheme,
    source->path != NULL ? "//" : "", source->user != NULL ? "***@" : "", host,
    port, (int) shown_len, source->path != NULL ? source->path : "",
    source->path != NULL && source->path[shown_len] != '\0' ? "?***" : "",
    source->kind == EXTIP_SOURCE_STUN_TCP ? "?transport=tcp" : "");
  if (len < 0) {
    source->text = NULL;
    return out_of_memory(parse);
  }

  /* "example.net." and "example.net" are the same host. */
  if (kind->read != read_text && host_len > 0 &&
      source->host[host_len - 1] == '.') {
    host_len--;
  }
  if (source->port == 0 || kind->read == read_router) {
    len = asprintf(&source->key, "%s:%.*s",
      source->port == 0 ? kind->scheme : "router", (int) host_len,
      source->host);
  } else {
    len = asprintf(
      &source->key, "%.*s:%u", (int) host_len, source->host, source->port);
  }
  if (len < 0) {
    source->key = NULL;
    return out_of_memory(parse);
  }
  return 0;
}

/* EXTIP_SOURCE_KINDS when there is none. */
static enum extip_source_kind find_kind(const char *uri) {
  unsigned int kind = 0;

  while (kind < EXTIP_SOURCE_KINDS) {
    size_t len = strlen(source_kinds[kind].scheme);

    if (strncasecmp(uri, source_kinds[kind].scheme, len) == 0 &&
        uri[len] == ':') {
      break;
    }
    kind++;
  }
  return kind;
}

static int read_source(struct parse *parse, char *const *opts, size_t nopts) {
  const struct kind *kind;
  char forms[300];

  for (const char *c = parse->uri; *c != '\0'; c++) {
    if (*c <= 0x20 || *c >= 0x7f) {
      return refuse(parse, "a URI is made of printable ASCII without blanks");
    }
  }
  if (strlen(parse->uri) > URI_MAX) {
    return refuse(parse, "longer than %d bytes", URI_MAX);
  }
  parse->source->kind = find_kind(parse->uri);
  if (parse->source->kind == EXTIP_SOURCE_KINDS) {
    return refuse(parse, "unknown source: allowed are %s",
      extip_source_forms(forms, sizeof(forms)));
  }
  kind = &source_kinds[parse->source->kind];
  if (kind->read(parse, kind, parse->uri + strlen(kind->scheme) + 1) < 0 ||
      read_options(parse, opts, nopts) < 0) {
    return -1;
  }
  return print_source(parse, kind);
}

struct extip_source *extip_source_parse(const char *uri, char *const *opts,
  size_t nopts, char *reason, size_t reason_size) {
  struct parse parse = { uri, NULL, reason, reason_size };

  parse.source = calloc(1, sizeof(*parse.source));
  if (parse.source == NULL) {
    out_of_memory(&parse);
    return NULL;
  }
  if (read_source(&parse, opts, nopts) < 0) {
    int xerrno = errno;

    extip_source_free(parse.source);
    errno = xerrno;
    return NULL;
  }
  return parse.source;
}

void extip_source_free(struct extip_source *source) {
  if (source == NULL) {
    return;
  }
  for (size_t i = 0; i < source->header_count; i++) {
    free(source->headers[i]);
  }
  free(source->headers);
  extip_extract_free(&source->extract);
  free(source->host);
  free(source->path);
  free(source->user);
  free(source->password);
  free(source->text);
  free(source->key);
  free(source);
}

/*
 * Errs on the side of hiding: all between the scheme and the last "@", however
 * malformed, and every query but that of a STUN URI.
 */
void extip_source_redact(const char *uri, char *buf, size_t bufsz) {
  const char *at = strrchr(uri, '@');
  const char *rest = at != NULL ? at : uri;
  const char *query = strchr(rest, '?');
  bool stun = strncasecmp(uri, "stun", 4) == 0;
  size_t scheme_len = strcspn(uri, ":/@");
  char whole[URI_MAX + 32];

  if (find_kind(uri) != EXTIP_SOURCE_KINDS ||
      strncmp(uri + scheme_len, "://", 3) == 0) {
    scheme_len += 1 + strspn(uri + scheme_len + 1, "/");
  } else {
    scheme_len = 0;
  }
  if (query == NULL || stun) {
    query = rest + strlen(rest);
  }
  snprintf(whole, sizeof(whole), "%.*s%s%.*s%s",
    at != NULL ? (int) scheme_len : 0, uri, at != NULL ? "***" : "",
    (int) (query - rest), rest, *query != '\0' ? "?***" : "");
  extip_printable(buf, bufsz, whole, strlen(whole));
}
