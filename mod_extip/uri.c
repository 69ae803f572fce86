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

#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipv4.h"
#include "printable.h"
#include "uri.h"

#define HOST_MAX  253 /* RFC 1035 2.3.4, as text without the last dot */
#define LABEL_MAX 63
#define URI_MAX   2000 /* bytes; no service needs a longer one */

#define METADATA_HOST "169.254.169.254" /* the same in all three clouds */

#define SOURCES_ALLOWED                                                   \
  "allowed are stun:host[:port][?transport=udp|tcp], stuns:host[:port], " \
  "http://host[:port][/path], https://host[:port][/path], dns:name, "     \
  "if:interface, ec2:, gce: and azure:"

/* What is being read, and where complaints about it go. */
struct parse {
  const char *uri;
  struct extip_source *source;
  char *err;
  size_t errsz;
};

struct scheme {
  const char *name;
  enum extip_source_kind kind;
  uint16_t port;
  int (*read)(
    struct parse *parse, const struct scheme *scheme, const char *rest);
};

static int read_stun(struct parse *, const struct scheme *, const char *);
static int read_http(struct parse *, const struct scheme *, const char *);
static int read_dns(struct parse *, const struct scheme *, const char *);
static int read_if(struct parse *, const struct scheme *, const char *);
static int read_cloud(struct parse *, const struct scheme *, const char *);

static const struct scheme schemes[] = {
  { "stun", EXTIP_SOURCE_STUN_UDP, 3478, read_stun },
  { "stuns", EXTIP_SOURCE_STUNS, 5349, read_stun },
  { "http", EXTIP_SOURCE_HTTP, 80, read_http },
  { "https", EXTIP_SOURCE_HTTPS, 443, read_http },
  { "dns", EXTIP_SOURCE_DNS, 0, read_dns },
  { "if", EXTIP_SOURCE_IF, 0, read_if },
  { "ec2", EXTIP_SOURCE_EC2, 80, read_cloud },
  { "gce", EXTIP_SOURCE_GCE, 80, read_cloud },
  { "azure", EXTIP_SOURCE_AZURE, 80, read_cloud },
};

#define SCHEME_COUNT (sizeof(schemes) / sizeof(schemes[0]))

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
  snprintf(parse->err, parse->errsz, "'%s': %s", shown, detail);
  errno = EINVAL;
  return -1;
}

static int out_of_memory(struct parse *parse) {
  snprintf(parse->err, parse->errsz, "out of memory");
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

/* Reads "host[:port]", LEN bytes. */
static int read_host(
  struct parse *parse, const char *text, size_t len, uint16_t default_port) {
  struct in_addr addr;
  const char *colon;
  size_t host_len;

  if (len > 0 && text[0] == '[') {
    return refuse(parse, "an IPv6 address cannot be asked: only IPv4 addresses "
                         "and names are allowed");
  }
  colon = memchr(text, ':', len);
  host_len = colon != NULL ? (size_t) (colon - text) : len;
  if (host_len == 0) {
    return refuse(parse, "the host is missing");
  }

  if (extip_ipv4_parse(text, host_len, &addr)) {
    unsigned first = ntohl(addr.s_addr) >> 24;

    if (first == 0 || first >= 224) {
      return refuse(parse, "no host can have this address");
    }
  } else if (!is_name(text, host_len)) {
    return refuse(parse, "the host must be an IPv4 address or a name of ASCII "
                         "letters, digits and hyphens");
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
  struct parse *parse, const struct scheme *scheme, const char *rest) {
  const char *query = strchr(rest, '?');
  size_t len = query != NULL ? (size_t) (query - rest) : strlen(rest);

  if (strncmp(rest, "//", 2) == 0) {
    return refuse(
      parse, "a STUN URI has no \"//\": %s:host[:port]", scheme->name);
  }
  if (query != NULL) {
    if (scheme->kind == EXTIP_SOURCE_STUN_UDP &&
        strcasecmp(query, "?transport=tcp") == 0) {
      parse->source->kind = EXTIP_SOURCE_STUN_TCP;
    } else if (scheme->kind != EXTIP_SOURCE_STUN_UDP ||
               strcasecmp(query, "?transport=udp") != 0) {
      return refuse(parse, "only stun:host[:port]?transport=udp and "
                           "?transport=tcp are allowed");
    }
  }
  return read_host(parse, rest, len, scheme->port);
}

static int hex_digit(char c) {
  const char *digits = "0123456789abcdef";
  const char *found = c != '\0' ? strchr(digits, tolower(c)) : NULL;

  return found != NULL ? (int) (found - digits) : -1;
}

/* Percent-decodes LEN bytes; NULL with errno EINVAL when they are malformed or
 * would hold a control character, which HTTP cannot carry. */
static char *decode(const char *text, size_t len) {
  char *out = malloc(len + 1);
  size_t used = 0;

  if (out == NULL) {
    return NULL;
  }
  for (size_t i = 0; i < len; i++) {
    int byte = (unsigned char) text[i];

    if (byte == '%') {
      int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
      int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

      byte = low >= 0 ? high << 4 | low : 0;
      i += 2;
    }
    if (byte < 0x20 || byte == 0x7f) {
      free(out);
      errno = EINVAL;
      return NULL;
    }
    out[used++] = (char) byte;
  }
  out[used] = '\0';
  return out;
}

static int read_userinfo(struct parse *parse, const char *text, size_t len) {
  const char *colon = memchr(text, ':', len);
  size_t user_len = colon != NULL ? (size_t) (colon - text) : len;
  struct extip_source *source = parse->source;

  if (user_len == 0) {
    return refuse(parse, "the user name before \"@\" is missing");
  }
  source->user = decode(text, user_len);
  if (source->user != NULL) {
    source->password =
      colon != NULL ? decode(colon + 1, len - user_len - 1) : strdup("");
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
  struct parse *parse, const struct scheme *scheme, const char *rest) {
  const char *authority = rest + 2;
  const char *at = NULL;
  const char *path;
  size_t len;

  if (strncmp(rest, "//", 2) != 0) {
    return refuse(parse, "\"//\" must follow %s:", scheme->name);
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
  return read_host(parse, authority, len, scheme->port);
}

static int read_dns(
  struct parse *parse, const struct scheme *scheme, const char *rest) {
  (void) scheme;
  if (!is_name(rest, strlen(rest))) {
    return refuse(parse, "dns: takes a name of ASCII letters, digits and "
                         "hyphens, and no port");
  }
  parse->source->host = lower(rest, strlen(rest));
  return parse->source->host != NULL ? 0 : out_of_memory(parse);
}

static int read_if(
  struct parse *parse, const struct scheme *scheme, const char *rest) {
  size_t len = strlen(rest);

  (void) scheme;
  if (len == 0 || len >= IFNAMSIZ || strchr(rest, '/') != NULL) {
    return refuse(parse,
      "if: takes the name of a network interface of 1 to "
      "%d characters, such as eth0",
      IFNAMSIZ - 1);
  }
  parse->source->host = strdup(rest);
  return parse->source->host != NULL ? 0 : out_of_memory(parse);
}

static int read_cloud(
  struct parse *parse, const struct scheme *scheme, const char *rest) {
  if (*rest == '\0') {
    rest = METADATA_HOST;
  }
  return read_host(parse, rest, strlen(rest), scheme->port);
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
      "header '%s...' must be one word, \"Name: value\" in "
      "quotes",
      name);
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
    return refuse(parse, "only http: and https: sources take extract and "
                         "header");
  }
  for (size_t i = 0; i < nopts; i += 2) {
    bool is_extract = strcasecmp(opts[i], "extract") == 0;

    if (!is_extract && strcasecmp(opts[i], "header") != 0) {
      char word[40];

      extip_printable(word, sizeof(word), opts[i], strlen(opts[i]));
      return refuse(parse,
        "unknown word '%s': allowed are extract body|"
        "json:/pointer|line:prefix|header:name and header "
        "\"Name: value\"",
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
    if (extip_extract_parse(
          opts[i + 1], &source->extract, parse->err, parse->errsz) < 0) {
      return -1;
    }
  }
  return 0;
}

/* The printer of what the parser reads: text and key. */
static int print_source(struct parse *parse, const struct scheme *scheme) {
  struct extip_source *source = parse->source;
  size_t host_len = strlen(source->host);
  size_t shown_len = strcspn(source->path != NULL ? source->path : "", "?");
  char port[8] = "";
  const char *host = source->host;
  int len;

  if (source->port != scheme->port) {
    snprintf(port, sizeof(port), ":%u", source->port);
  }
  if (scheme->read == read_cloud && *port == '\0' &&
      strcmp(host, METADATA_HOST) == 0) {
    host = "";
  }
  len = asprintf(&source->text, "%s:%s%s%s%s%.*s%s%s", scheme->name,
    source->path != NULL ? "//" : "", source->user != NULL ? "***@" : "", host,
    port, (int) shown_len, source->path != NULL ? source->path : "",
    source->path != NULL && source->path[shown_len] != '\0' ? "?***" : "",
    source->kind == EXTIP_SOURCE_STUN_TCP ? "?transport=tcp" : "");
  if (len < 0) {
    source->text = NULL;
    return out_of_memory(parse);
  }

  /* "example.net." and "example.net" are the same host. */
  if (source->kind != EXTIP_SOURCE_IF && source->host[host_len - 1] == '.') {
    host_len--;
  }
  if (source->port == 0) {
    len = asprintf(
      &source->key, "%s:%.*s", scheme->name, (int) host_len, source->host);
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

static const struct scheme *find_scheme(const char *uri) {
  for (size_t i = 0; i < SCHEME_COUNT; i++) {
    size_t len = strlen(schemes[i].name);

    if (strncasecmp(uri, schemes[i].name, len) == 0 && uri[len] == ':') {
      return &schemes[i];
    }
  }
  return NULL;
}

static int read_source(struct parse *parse, char *const *opts, size_t nopts) {
  const struct scheme *scheme;

  for (const char *c = parse->uri; *c != '\0'; c++) {
    if (*c <= 0x20 || *c >= 0x7f) {
      return refuse(parse, "a URI is made of printable ASCII without blanks");
    }
  }
  if (strlen(parse->uri) > URI_MAX) {
    return refuse(parse, "longer than %d bytes", URI_MAX);
  }
  scheme = find_scheme(parse->uri);
  if (scheme == NULL) {
    return refuse(parse, "unknown source: " SOURCES_ALLOWED);
  }
  parse->source->kind = scheme->kind;
  if (scheme->read(parse, scheme, parse->uri + strlen(scheme->name) + 1) < 0 ||
      read_options(parse, opts, nopts) < 0) {
    return -1;
  }
  return print_source(parse, scheme);
}

struct extip_source *extip_source_parse(
  const char *uri, char *const *opts, size_t nopts, char *err, size_t errsz) {
  struct parse parse = { uri, NULL, err, errsz };

  parse.source = calloc(1, sizeof(*parse.source));
  if (parse.source == NULL) {
    out_of_memory(&parse);
    return NULL;
  }
  if (read_source(&parse, opts, nopts) < 0) {
    int saved = errno;

    extip_source_free(parse.source);
    errno = saved;
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

  if (find_scheme(uri) != NULL || strncmp(uri + scheme_len, "://", 3) == 0) {
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
