/*
 * extip-upnp - the program that speaks UPnP with one router
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* It reads a request a line from standard input and writes an answer a line
 * (upnp.h). libminiupnpc waits for the router as long as it likes, and parses
 * what comes from the LAN: that is why this is a process of its own, without
 * privileges, and one that is killed when an answer takes too long. */

#include <arpa/inet.h>
#include <errno.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"
#include "ipv4.h"
#include "upnp.h"

/* A request that takes longer ends this process; whoever asked starts another
 * one. */
#define DEADLINE_S 10

/* How long answers to a search are waited for: routers that follow the standard
 * spread theirs over seconds, and most answer at once. */
static const int search_ms[] = { 100, 2000 };

#define SSDP_PORT 1900
#define SSDP_TTL  2 /* UPnP Device Architecture 1.1, 1.3.2 */

#define PROTOCOL    "TCP"
#define DESCRIPTION "ProFTPD mod_extip"

/* Sizes that libminiupnpc expects of what it fills in. */
#define ADDR_SIZE 40
#define PORT_SIZE 6
#define DESC_SIZE 80
#define FLAG_SIZE 4
#define TIME_SIZE 16

static char gateway[INET_ADDRSTRLEN];
static char local[INET_ADDRSTRLEN]; /* this host, as the gateway sees it */

/* The router, once it is found. */
static struct {
  bool found;
  struct UPNPUrls urls;
  struct IGDdatas data;
  bool only_permanent; /* it takes no lifetime */
} router;

/* Searching */

/* The address that packets to the gateway leave from: searches stay on its
 * link. */
static bool find_local(void) {
  struct sockaddr_in to = { .sin_family = AF_INET,
    .sin_port = htons(SSDP_PORT) };
  struct sockaddr_in from;
  socklen_t len = sizeof(from);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool found;

  inet_pton(AF_INET, gateway, &to.sin_addr);
  found = fd >= 0 && connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0 &&
          getsockname(fd, (struct sockaddr *) &from, &len) == 0 &&
          inet_ntop(AF_INET, &from.sin_addr, local, sizeof(local)) != NULL;
  if (fd >= 0) {
    close(fd);
  }
  return found;
}

/* Only the gateway is asked, whatever others on the link, or a description,
 * name. */
static bool is_at_gateway(const char *url) {
  static const char scheme[] = "http://";
  size_t len = strlen(gateway);

  if (url == NULL || strncmp(url, scheme, strlen(scheme)) != 0 ||
      strncmp(url + strlen(scheme), gateway, len) != 0) {
    return false;
  }
  url += strlen(scheme) + len;
  return *url == ':' || *url == '/';
}

static void forget_router(void) {
  if (router.found) {
    FreeUPNPUrls(&router.urls);
  }
  router.found = false;
}

static bool has_connection(void) {
  return router.data.first.servicetype[0] != '\0' &&
         is_at_gateway(router.urls.controlURL);
}

/* A description may name two connections, one of IP and one of PPP, of which
 * only one is in use. */
static void use_second(const char *description) {
  if (router.data.second.servicetype[0] == '\0') {
    return;
  }
  router.data.first = router.data.second;
  FreeUPNPUrls(&router.urls);
  GetUPNPUrls(&router.urls, &router.data, description, 0);
}

static void take_router(const char *description) {
  char unused[ADDR_SIZE];

  if (UPNP_GetIGDFromUrl(
        description, &router.urls, &router.data, unused, sizeof(unused)) != 1) {
    return;
  }

  router.found = true;
  if (!has_connection() ||
      UPNPIGD_IsConnected(&router.urls, &router.data) != 1) {
    use_second(description);
  }
  if (!has_connection()) {
    forget_router();
  }
}

/* 0, or why there is none. */
static unsigned int find_router(void) {
  static const char *const types[] = {
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1", NULL
  };
  unsigned int code = EXTIP_UPNP_NO_ROUTER;

  if (!find_local()) {
    return code;
  }

  for (size_t i = 0;
       !router.found && i < sizeof(search_ms) / sizeof(search_ms[0]); i++) {
    int error;
    /* The first search ends with the first type that there is, which saves most
     * of its time where the router is the only one to answer. */
    struct UPNPDev *devices = upnpDiscoverDevices(types, search_ms[i], local,
      "", UPNP_LOCAL_PORT_ANY, 0, SSDP_TTL, &error, i > 0);

    for (struct UPNPDev *device = devices; !router.found && device != NULL;
         device = device->pNext) {
      if (is_at_gateway(device->descURL)) {
        take_router(device->descURL);
        code = EXTIP_UPNP_NO_SERVICE;
      }
    }
    freeUPNPDevlist(devices);
  }
  return router.found ? 0 : code;
}

/* Asking */

static const char *url(void) {
  return router.urls.controlURL;
}

static const char *service(void) {
  return router.data.first.servicetype;
}

/* Negative results are libminiupnpc's. */
static unsigned int code_of(int result) {
  switch (result) {
    case UPNPCOMMAND_SUCCESS:
      return 0;
    case UPNPCOMMAND_HTTP_ERROR:
      return EXTIP_UPNP_NO_REPLY;
    default:
      return result > 0 && result < 1000 ? (unsigned int) result
                                         : EXTIP_UPNP_BAD_REPLY;
  }
}

static unsigned int ask_where(struct extip_upnp_line *answer) {
  char text[ADDR_SIZE] = "";
  unsigned int code =
    code_of(UPNP_GetExternalIPAddress(url(), service(), text));

  if (code != 0) {
    return code;
  }
  /* Without a connection, some say nothing and some 0.0.0.0. */
  if (*text == '\0') {
    return EXTIP_UPNP_ACTION_FAILED;
  }
  if (!extip_ipv4_parse(text, strnlen(text, sizeof(text)), &answer->addr)) {
    return EXTIP_UPNP_BAD_REPLY;
  }
  if (answer->addr.s_addr == INADDR_ANY) {
    return EXTIP_UPNP_ACTION_FAILED;
  }
  answer->kind = EXTIP_UPNP_ADDRESS;
  return 0;
}

static bool read_number(const char *text, unsigned long max, uint32_t *number) {
  char *end;
  unsigned long value;

  errno = 0;
  value = strtoul(text, &end, 10);
  *number = (uint32_t) value;
  return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 &&
         value <= max;
}

/* Who holds the port OUTER: an _ENTRY, or _NONE. */
static unsigned int ask_get(uint16_t outer, struct extip_upnp_line *answer) {
  char port[PORT_SIZE], host[ADDR_SIZE] = "", inner[PORT_SIZE] = "";
  char desc[DESC_SIZE] = "", flag[FLAG_SIZE] = "", left[TIME_SIZE] = "";
  uint32_t number;
  unsigned int code;

  snprintf(port, sizeof(port), "%u", outer);
  answer->outer = outer;
  code = code_of(UPNP_GetSpecificPortMappingEntry(
    url(), service(), port, PROTOCOL, NULL, host, inner, desc, flag, left));
  if (code == EXTIP_UPNP_NO_SUCH_ENTRY) {
    answer->kind = EXTIP_UPNP_NONE;
    return 0;
  }
  if (code != 0) {
    return code;
  }

  if (!extip_ipv4_parse(host, strnlen(host, sizeof(host)), &answer->addr) ||
      !read_number(inner, UINT16_MAX, &number) || number == 0) {
    return EXTIP_UPNP_BAD_REPLY;
  }
  answer->inner = (uint16_t) number;
  if (!read_number(left, UINT32_MAX, &answer->lifetime)) {
    answer->lifetime = 0; /* some leave it out */
  }
  answer->kind = EXTIP_UPNP_ENTRY;
  return 0;
}

static bool is_ours(const struct extip_upnp_line *entry, uint16_t inner) {
  struct in_addr host;

  inet_pton(AF_INET, local, &host);
  return entry->kind == EXTIP_UPNP_ENTRY && entry->addr.s_addr == host.s_addr &&
         entry->inner == inner;
}

static unsigned int add(const struct extip_upnp_line *request) {
  char outer[PORT_SIZE], inner[PORT_SIZE], lifetime[TIME_SIZE];

  snprintf(outer, sizeof(outer), "%u", request->outer);
  snprintf(inner, sizeof(inner), "%u", request->inner);
  snprintf(lifetime, sizeof(lifetime), "%lu",
    router.only_permanent ? 0UL : (unsigned long) request->lifetime);
  return code_of(UPNP_AddPortMapping(url(), service(), outer, inner, local,
    DESCRIPTION, PROTOCOL, NULL, lifetime));
}

/* Routers replace an entry silently if it is of the same host, and some that of
 * another one as well; and some agree and do nothing. So the entry is looked at
 * before and after. */
static unsigned int ask_map(
  const struct extip_upnp_line *request, struct extip_upnp_line *answer) {
  struct extip_upnp_line entry = { 0 };
  unsigned int code = ask_get(request->outer, &entry);

  if (code == 0 && entry.kind == EXTIP_UPNP_ENTRY &&
      !is_ours(&entry, request->inner)) {
    return EXTIP_UPNP_CONFLICT;
  }

  code = add(request);
  if (code == EXTIP_UPNP_ONLY_PERMANENT && !router.only_permanent) {
    router.only_permanent = true;
    code = add(request);
  }
  if (code != 0) {
    return code;
  }

  memset(&entry, 0, sizeof(entry));
  code = ask_get(request->outer, &entry);
  if (code != 0) {
    return code;
  }
  if (!is_ours(&entry, request->inner)) {
    return EXTIP_UPNP_NOT_MADE;
  }
  *answer = entry;
  answer->kind = EXTIP_UPNP_MAPPED;
  return 0;
}

static unsigned int ask_unmap(
  const struct extip_upnp_line *request, struct extip_upnp_line *answer) {
  struct extip_upnp_line entry = { 0 };
  unsigned int code = ask_get(request->outer, &entry);
  char outer[PORT_SIZE];

  if (code != 0) {
    return code;
  }
  if (entry.kind == EXTIP_UPNP_ENTRY) {
    if (!is_ours(&entry, request->inner)) {
      return EXTIP_UPNP_CONFLICT;
    }
    snprintf(outer, sizeof(outer), "%u", request->outer);
    code =
      code_of(UPNP_DeletePortMapping(url(), service(), outer, PROTOCOL, NULL));
    if (code != 0 && code != EXTIP_UPNP_NO_SUCH_ENTRY) {
      return code;
    }
  }
  *answer = *request;
  answer->kind = EXTIP_UPNP_UNMAPPED;
  return 0;
}

static unsigned int ask(
  const struct extip_upnp_line *request, struct extip_upnp_line *answer) {
  unsigned int code = router.found ? 0 : find_router();

  if (code != 0) {
    return code;
  }
  switch (request->kind) {
    case EXTIP_UPNP_WHERE:
      return ask_where(answer);
    case EXTIP_UPNP_MAP:
      return ask_map(request, answer);
    case EXTIP_UPNP_UNMAP:
      return ask_unmap(request, answer);
    case EXTIP_UPNP_GET:
      return ask_get(request->outer, answer);
    default:
      return EXTIP_UPNP_BAD_REQUEST;
  }
}

static void serve(const char *text, size_t len) {
  struct extip_upnp_line request, answer = { 0 };
  char line[EXTIP_UPNP_LINE_SIZE];
  const char *reason;
  unsigned int code = EXTIP_UPNP_BAD_REQUEST;

  if (extip_upnp_parse(text, len, &request, &reason) == 0) {
    (void) alarm(DEADLINE_S);
    code = ask(&request, &answer);
    (void) alarm(0);
  }

  /* A router that was restarted may be found at another port. */
  if (code == EXTIP_UPNP_NO_REPLY) {
    forget_router();
  }
  if (code != 0) {
    answer = (struct extip_upnp_line){ .kind = EXTIP_UPNP_ERROR, .code = code };
  }
  extip_upnp_print(line, &answer);
  if (fputs(line, stdout) == EOF || fflush(stdout) == EOF) {
    exit(0);
  }
}

/* No files, no other processes, no core that holds what was read; and memory
 * for a description, whatever length a router announces. */
static void limit(void) {
  static const struct {
    int resource;
    rlim_t value;
  } limits[] = {
    { RLIMIT_FSIZE, 0 },
    { RLIMIT_NPROC, 0 },
    { RLIMIT_CORE, 0 },
#if !defined(__SANITIZE_ADDRESS__) /* which reserves terabytes */
    { RLIMIT_DATA, 32 << 20 },
#endif
  };

  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
    const struct rlimit value = { limits[i].value, limits[i].value };

    (void) setrlimit(limits[i].resource, &value);
  }
}

static const char usage[] =
  "usage: extip-upnp <router's address>\n"
  "Reads a request a line: where, get <port>, map <outer> <inner> <seconds>,\n"
  "unmap <outer> <inner>; and writes an answer a line.\n";

int main(int argc, char **argv) {
  struct in_addr addr;
  char line[EXTIP_UPNP_LINE_SIZE];

  if (argc != 2 || !extip_ipv4_parse(argv[1], strlen(argv[1]), &addr)) {
    fputs(usage, stderr);
    return 2;
  }
  inet_ntop(AF_INET, &addr, gateway, sizeof(gateway));

  (void) signal(SIGALRM, SIG_DFL);
  (void) signal(SIGPIPE, SIG_IGN);
  (void) signal(SIGXFSZ, SIG_IGN); /* ignored: the write fails instead */
  if (!isatty(STDIN_FILENO)) {
    /* What was forwarded is deleted while the daemon shuts down. */
    (void) signal(SIGTERM, SIG_IGN);
    (void) signal(SIGHUP, SIG_IGN);
    (void) signal(SIGINT, SIG_IGN);
  }
  if (extip_drop_privileges(getuid(), getgid()) < 0) {
    perror("extip-upnp");
    return 1;
  }
  limit();

  while (fgets(line, sizeof(line), stdin) != NULL) {
    serve(line, strcspn(line, "\n"));
  }
  forget_router();
  return 0;
}
