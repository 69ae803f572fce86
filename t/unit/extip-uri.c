/*
 * extip-uri.c - what ExtIPSource takes, what it says about the rest, and that
 * no secret is in what is printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/extract.c"
#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/json.c"
#include "../../mod_extip/percent.c"
#include "../../mod_extip/printable.c"
#include "../../mod_extip/uri.c"
#include "tap.h"

#define LABEL_63                                                               \
  "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghi"
#define NAME_253                                                               \
  LABEL_63 "." LABEL_63 "." LABEL_63                                           \
           ".abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefg"

static const struct {
  const char *uri;
  enum extip_source_kind kind;
  const char *text; /* NULL: like the URI */
  const char *key;
  const char *path;
} good[] = {
  { "stun:192.0.2.1", EXTIP_SOURCE_STUN_UDP, NULL, "192.0.2.1:3478", NULL },
  { "stun:stun.example.net:3479", EXTIP_SOURCE_STUN_UDP, NULL,
    "stun.example.net:3479", NULL },
  { "STUN:Stun.Example.NET:3478", EXTIP_SOURCE_STUN_UDP,
    "stun:stun.example.net", "stun.example.net:3478", NULL },
  { "stun:h?transport=udp", EXTIP_SOURCE_STUN_UDP, "stun:h", "h:3478", NULL },
  { "stun:h:1?transport=tcp", EXTIP_SOURCE_STUN_TCP, NULL, "h:1", NULL },
  { "stuns:h", EXTIP_SOURCE_STUNS, NULL, "h:5349", NULL },
  { "stuns:h:65535", EXTIP_SOURCE_STUNS, NULL, "h:65535", NULL },
  { "stun:" NAME_253, EXTIP_SOURCE_STUN_UDP, NULL, NAME_253 ":3478", NULL },
  { "stun:under_score.example", EXTIP_SOURCE_STUN_UDP, NULL,
    "under_score.example:3478", NULL },
  { "stun:1.example", EXTIP_SOURCE_STUN_UDP, NULL, "1.example:3478", NULL },
  { "http://h", EXTIP_SOURCE_HTTP, "http://h/", "h:80", "/" },
  { "http://h.", EXTIP_SOURCE_HTTP, "http://h./", "h:80", "/" },
  { "https://h:443/a/b;c=d", EXTIP_SOURCE_HTTPS, "https://h/a/b;c=d", "h:443",
    "/a/b;c=d" },
  { "https://h:8443/a?b=c", EXTIP_SOURCE_HTTPS, "https://h:8443/a?***",
    "h:8443", "/a?b=c" },
  { "https://h?b", EXTIP_SOURCE_HTTPS, "https://h/?***", "h:443", "/?b" },
  { "http://h/a:b@c", EXTIP_SOURCE_HTTP, NULL, "h:80", "/a:b@c" },
  { "dns:Home.Example.org.", EXTIP_SOURCE_DNS, "dns:home.example.org.",
    "dns:home.example.org", NULL },
  { "if:eth0", EXTIP_SOURCE_IF, NULL, "if:eth0", NULL },
  { "if:eth0:1", EXTIP_SOURCE_IF, NULL, "if:eth0:1", NULL },
  { "if:Br-Lan.7", EXTIP_SOURCE_IF, NULL, "if:Br-Lan.7", NULL },
  { "ec2:", EXTIP_SOURCE_EC2, NULL, "169.254.169.254:80", NULL },
  { "gce:", EXTIP_SOURCE_GCE, NULL, "169.254.169.254:80", NULL },
  { "gce:metadata.google.internal", EXTIP_SOURCE_GCE, NULL,
    "metadata.google.internal:80", NULL },
  { "azure:", EXTIP_SOURCE_AZURE, NULL, "169.254.169.254:80", NULL },
  { "natpmp:", EXTIP_SOURCE_NATPMP, NULL, "router:", NULL },
  { "NATPMP:192.168.1.1", EXTIP_SOURCE_NATPMP, "natpmp:192.168.1.1",
    "router:192.168.1.1", NULL },
  { "upnp:", EXTIP_SOURCE_UPNP, NULL, "router:", NULL },
  { "pcp:", EXTIP_SOURCE_PCP, NULL, "router:", NULL },
  { "pcp:192.168.1.1", EXTIP_SOURCE_PCP, NULL, "router:192.168.1.1", NULL },
  { "ec2:127.0.0.1:8080", EXTIP_SOURCE_EC2, NULL, "127.0.0.1:8080", NULL },
  { "ec2:169.254.169.254:81", EXTIP_SOURCE_EC2, NULL, "169.254.169.254:81",
    NULL },
};

/* REASON is part of the sentence. */
static const struct {
  const char *uri;
  const char *reason;
} bad[] = {
  { "", "allowed are stun:" },
  { "stun", "allowed are stun:" },
  { "192.0.2.1", "allowed are stun:" },
  { "ftp://h/", "allowed are stun:" },
  { "turn:h", "allowed are stun:" },
  { "stunx:h", "allowed are stun:" },
  { ":", "allowed are stun:" },
  { "stun:", "host is missing" },
  { "stun::3478", "host is missing" },
  { "stun://h", "has no \"//\": stun:host[:port]" },
  { "stuns://h", "has no \"//\": stuns:host[:port]" },
  { "stun:h:", "port must be a number from 1 to 65535" },
  { "stun:h:0", "port must be" },
  { "stun:h:65536", "port must be" },
  { "stun:h:00080", "port must be" },
  { "stun:h:+80", "port must be" },
  { "stun:h:80x", "port must be" },
  { "stun:h:99999999999999999999", "port must be" },
  { "stun:h:1:2", "port must be" },
  { "stun:h/path", "host must be an IPv4 address or a name" },
  { "stun:u@h", "host must be" },
  { "stun:[::1]", "IPv6 address cannot be asked" },
  { "stun:[2001:db8::1]:3478", "IPv6 address cannot be asked" },
  { "stun:2001:db8::1", "host must be an IPv4" },
  { "stun:1.2.3", "host must be" },
  { "stun:1.2.3.256", "host must be" },
  { "stun:1.2.3.04", "host must be" },
  { "stun:1.2.3.4.", "host must be" },
  { "stun:0.0.0.0", "no host can have this address" },
  { "stun:224.0.0.1", "no host can have this address" },
  { "stun:255.255.255.255", "no host can have this address" },
  { "stun:-h", "host must be" },
  { "stun:h-", "host must be" },
  { "stun:a-.b", "host must be" },
  { "stun:a.-b", "host must be" },
  { "stun:a..b", "host must be" },
  { "stun:.a", "host must be" },
  { "stun:.", "host must be" },
  { "stun:a%62", "host must be" },
  { "stun:" LABEL_63 "x", "host must be" },
  { "stun:" NAME_253 "x", "host must be" },
  { "stun:h?transport=sctp", "?transport=udp" },
  { "stun:h?", "?transport=udp" },
  { "stun:h?transport=tcp&x", "?transport=udp" },
  { "stuns:h?transport=tcp", "only stun:host" },
  { "stun:h\xc3\xa4", "printable ASCII" },
  { "stun:h h", "printable ASCII" },
  { "stun:h\n", "printable ASCII" },
  { "http:h", "\"//\" must follow http:" },
  { "https:/h", "\"//\" must follow https:" },
  { "http://", "host is missing" },
  { "http:///path", "host is missing" },
  { "http://:80/", "host is missing" },
  { "http://h:x/", "port must be" },
  { "http://[::1]/", "IPv6 address cannot be asked" },
  { "http://h/#top", "fragment" },
  { "http://@h/", "user name" },
  { "http://:secret@h/", "user name" },
  { "http://u:%zz@h/", "percent-encoded" },
  { "http://u:%4@h/", "percent-encoded" },
  { "http://u:%00@h/", "percent-encoded" },
  { "http://u:%0a@h/", "percent-encoded" },
  { "dns:", "dns: takes a name" },
  { "dns:192.0.2.1", "dns: takes a name" },
  { "dns:h:53", "dns: takes a name" },
  { "if:", "expected if:interface" },
  { "if:sixteen-bytes-xx", "1 to 15 characters" },
  { "ec2:h:0", "port must be" },
  { "ec2:h/latest", "host must be" },
  { "azure://h", "host must be" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct extip_source *parse(
  const char *uri, const char *const *words, char *reason, size_t reason_size) {
  size_t count = 0;

  while (words != NULL && words[count] != NULL) {
    count++;
  }
  return extip_source_parse(uri, (char *const *) words, count, reason, reason_size);
}

static void test_good(void) {
  for (size_t i = 0; i < COUNT(good); i++) {
    const char *text = good[i].text != NULL ? good[i].text : good[i].uri;
    char reason[512] = "";
    struct extip_source *source = parse(good[i].uri, NULL, reason, sizeof(reason));

    if (!ok(source != NULL && source->kind == good[i].kind &&
              strcmp(source->text, text) == 0 &&
              strcmp(source->key, good[i].key) == 0 &&
              (good[i].path == NULL ? source->path == NULL
                                    : strcmp(source->path, good[i].path) == 0),
          "%.60s is read", good[i].uri)) {
      printf("#   %s, text %s, key %s\n", reason, source ? source->text : "",
        source ? source->key : "");
    }

    /* What is printed is read again as the same, if nothing is hidden. */
    if (source != NULL && strchr(source->text, '*') == NULL) {
      struct extip_source *again =
        parse(source->text, NULL, reason, sizeof(reason));

      ok(again != NULL && again->kind == source->kind &&
           strcmp(again->key, source->key) == 0 &&
           strcmp(again->text, source->text) == 0,
        "%.60s is read like what it was printed from", source->text);
      extip_source_free(again);
    }
    extip_source_free(source);
  }
}

static void test_bad(void) {
  for (size_t i = 0; i < COUNT(bad); i++) {
    char reason[512] = "";
    char shown[80];
    struct extip_source *source = parse(bad[i].uri, NULL, reason, sizeof(reason));

    extip_source_redact(bad[i].uri, shown, sizeof(shown));
    if (!ok(source == NULL && errno == EINVAL &&
              strstr(reason, bad[i].reason) != NULL && strlen(reason) < 511,
          "'%s' is refused: %s", shown, bad[i].reason)) {
      printf("#   %s\n", reason);
    }
    extip_source_free(source);
  }
}

static void test_credentials(void) {
  char reason[512];
  struct extip_source *source =
    parse("https://us%65r:p%40ss:w@h/x?token=s3cret", NULL, reason, sizeof(reason));

  is_str(source->user, "user", "the user name is decoded");
  is_str(source->password, "p@ss:w", "the password is decoded");
  is_str(source->text, "https://***@h/x?***", "neither is in what is printed");
  extip_source_free(source);

  source = parse("http://token@h/", NULL, reason, sizeof(reason));
  ok(strcmp(source->user, "token") == 0 && *source->password == '\0',
    "a user name may stand without a password");
  extip_source_free(source);
}

static void test_redact(void) {
  static const struct {
    const char *uri;
    const char *shown;
  } cases[] = {
    { "https://u:p@h/x?q=1", "https://***@h/x?***" },
    { "https://u:p/w@h", "https://***@h" },
    { "https://u:p?w@h/", "https://***@h/" },
    { "htps//u:p@h", "***@h" },
    { "htps://u:p@h", "htps://***@h" },
    { "u:p@h", "***@h" },
    { "u@h", "***@h" },
    { "stun:h?transport=tcp", "stun:h?transport=tcp" },
    { "http://h/\x1b[2J\xff", "http://h/?[2J?" },
    { "", "" },
  };
  char shown[64];
  char small[8];
  char huge[5000];

  for (size_t i = 0; i < COUNT(cases); i++) {
    extip_source_redact(cases[i].uri, shown, sizeof(shown));
    is_str(shown, cases[i].shown, "what is shown of case %zu hides secrets", i);
  }
  extip_source_redact("stun:example", small, sizeof(small));
  is_str(small, "stun...", "what does not fit is cut");
  memset(huge, 'a', sizeof(huge) - 1);
  huge[sizeof(huge) - 1] = '\0';
  extip_source_redact(huge, shown, sizeof(shown));
  is_int(strlen(shown), 63, "text of 5,000 bytes is cut");
}

static void test_options(void) {
  static const char *const all[] = { "extract", "json:/ip", "header",
    "Authorization: Bearer abc", "HEADER", "X-A:b", NULL };
  static const struct {
    const char *uri;
    const char *words[6];
    const char *reason;
  } cases[] = {
    { "http://h/", { "extract" }, "value must follow 'extract'" },
    { "http://h/", { "header" }, "value must follow 'header'" },
    { "http://h/", { "body" }, "unknown word 'body'" },
    { "http://h/", { "extract", "xml:/ip" },
      "allowed are body, json:/pointer, line:prefix and header:name" },
    { "http://h/", { "extract", "body:" }, "allowed are body" },
    { "http://h/", { "extract", "json" }, "allowed are body" },
    { "http://h/", { "extract", "json:ip" }, "json:/ip" },
    { "http://h/", { "extract", "json:/a~2" }, "json:/ip" },
    { "http://h/", { "extract", "line:" }, "line:ip=" },
    { "http://h/", { "extract", "header:" }, "header:X-Your-IP" },
    { "http://h/", { "extract", "header:X: a" }, "header:X-Your-IP" },
    { "http://h/", { "extract", "body", "extract", "body" }, "given twice" },
    { "http://h/", { "header", "secret" }, "\"Name: value\" in quotes" },
    { "http://h/", { "header", "A B: c" }, "\"Name: value\"" },
    { "http://h/", { "header", "A:" }, "\"Name: value\"" },
    { "http://h/", { "header", "A: b\r\nC: d" }, "\"Name: value\"" },
    { "http://h/", { "header", ": d" }, "\"Name: value\"" },
    { "stun:h", { "extract", "body" }, "only http: and https:" },
    { "ec2:", { "header", "A: b" }, "only http: and https:" },
  };
  char reason[512];
  struct extip_source *source = parse("http://h/", all, reason, sizeof(reason));

  ok(source->extract.kind == EXTIP_EXTRACT_JSON &&
       strcmp(source->extract.arg, "/ip") == 0,
    "extract is read");
  ok(source->header_count == 2 &&
       strcmp(source->headers[0], "Authorization: Bearer abc") == 0 &&
       strcmp(source->headers[1], "X-A:b") == 0,
    "headers are read in order");
  extip_source_free(source);

  for (size_t i = 0; i < COUNT(cases); i++) {
    source = parse(cases[i].uri, cases[i].words, reason, sizeof(reason));
    if (!ok(source == NULL && errno == EINVAL && strstr(reason, cases[i].reason),
          "%s %s... is refused: %s", cases[i].uri, cases[i].words[0],
          cases[i].reason)) {
      printf("#   %s\n", reason);
    }
    extip_source_free(source);
  }

  static const char *const wrong[] = { "header", "Key s3cret", NULL };
  parse("http://u:s3cret@h/?s3cret", wrong, reason, sizeof(reason));
  ok(strstr(reason, "s3cret") == NULL && strstr(reason, "Key") != NULL,
    "a complaint names the header and no secret");
}

static void test_keys(void) {
  static const struct {
    const char *one;
    const char *other;
    bool same;
  } cases[] = {
    { "stun:H.example", "stun:h.example:3478?transport=tcp", true },
    { "http://h/a", "http://u:p@h:80/b?c", true },
    { "http://h.:8080/", "https://h:8080/", true },
    { "ec2:", "gce:", true },
    { "http://h/", "https://h/", false },
    { "stun:h", "stuns:h", false },
    { "dns:h", "if:h", false },
  };
  char reason[512];

  for (size_t i = 0; i < COUNT(cases); i++) {
    struct extip_source *one = parse(cases[i].one, NULL, reason, sizeof(reason));
    struct extip_source *other = parse(cases[i].other, NULL, reason, sizeof(reason));

    ok((strcmp(one->key, other->key) == 0) == cases[i].same,
      "%s and %s are %s", cases[i].one, cases[i].other,
      cases[i].same ? "one endpoint" : "two endpoints");
    extip_source_free(one);
    extip_source_free(other);
  }
}

int main(void) {
  test_good();
  test_bad();
  test_credentials();
  test_redact();
  test_options();
  test_keys();
  return done_testing();
}
