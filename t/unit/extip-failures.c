/*
 * extip-failures.c - memory, descriptors and processes run out under what the
 * helper does: one call after the other fails, and each time the operation says
 * so, ends, and keeps nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/arrivals.c"
#include "../../mod_extip/forward_file.h"
#include "../../mod_extip/router.h"
#include "../../mod_extip/task.h"
#include "extip-asking.h"

/* Sources */

static bool parse(const void *arg) {
  char *words[] = { (char *) "extract", (char *) "json:/a/b", (char *) "header",
    (char *) "X-Key: 1" };
  const char *uri = arg;
  struct extip_source *source = extip_source_parse(
    uri, words, strncmp(uri, "http", 4) == 0 ? 4 : 0, said, sizeof(said));
  bool could = source != NULL;

  extip_source_free(source);
  return could;
}

/* What the daemon tells */

static const struct extip_task *an_example(void) {
  static char *words[] = { (char *) "http://192.0.2.1/", (char *) "extract",
    (char *) "json:/a", (char *) "header", (char *) "X-Key: 1", NULL };
  static char **const all[] = { words };
  static struct extip_discovery discovery = { .label = "x",
    .words = all,
    .source_count = 1,
    .refresh = 300,
    .retry = 5,
    .timeout = 5,
    .ca_file = "" };
  static struct forward_port ports[] = { { 61000, 61000 }, { 61001, 61001 } };
  static struct extip_task task = { .table = "",
    .discoveries = &discovery,
    .count = 1,
    .router = { .ports = ports,
      .port_count = 2,
      .forwards = { .lifetime = 1800 },
      .gateway = { .protocols = { EXTIP_PCP, EXTIP_NATPMP, EXTIP_UPNP },
        .protocol_count = 3 } } };

  return &task;
}

static bool tell(const void *arg) {
  size_t len = 0;
  char *bytes = extip_task_print(arg, &len);

  if (bytes == NULL) {
    (void) snprintf(said, sizeof(said), "%s", strerror(errno));
  }
  free(bytes);
  return bytes != NULL;
}

/* Each beginning of a task is none. */
static void test_cut_tasks(const char *bytes, size_t len) {
  size_t taken = 0, silent = 0;
  char reason[128];

  for (size_t i = 0; i < len; i++) {
    struct extip_task *task;

    reason[0] = '\0';
    task = extip_task_parse(bytes, i, reason, sizeof(reason));
    taken += task != NULL;
    silent += task == NULL && reason[0] == '\0';
    if (task != NULL) {
      extip_task_free(task);
    }
  }
  is_int(taken, 0, "a task that is cut off is refused, wherever that is");
  is_int(silent, 0, "... with a reason");
}

struct bytes {
  const char *at;
  size_t len;
};

static bool read_task(const void *arg) {
  const struct bytes *bytes = arg;
  struct extip_task *task =
    extip_task_parse(bytes->at, bytes->len, said, sizeof(said));
  bool could = task != NULL;

  if (could) {
    extip_task_free(task);
  }
  return could;
}

/* The router */

static void nobody_woken(void *user) {
  (void) user;
}

static void no_forward(
  size_t index, const struct extip_forward *forward, void *user) {
  (void) index;
  (void) forward;
  (void) user;
}

/* There is one in a process, so it is never ended. */
static bool start_router(const void *arg) {
  const struct extip_task *task = arg;
  const struct extip_router_news news = { nobody_woken, no_forward, NULL };
  struct extip_router *router =
    extip_router_start(&task->router, NULL, -1, &news);

  (void) snprintf(said, sizeof(said), "%s", strerror(errno));
  return router != NULL;
}

static bool print_forwards(const void *arg) {
  static const struct extip_forward_held held = { .port = { 61000, 61000 } };
  size_t len = 0;
  char *text = extip_forward_file_print(&held, 1, &len);

  (void) arg;
  if (text == NULL) {
    (void) snprintf(said, sizeof(said), "%s", strerror(errno));
  }
  free(text);
  return text != NULL;
}

/* Connections that arrive */

static bool watch_arrivals(const void *arg) {
  int fd = extip_arrivals_open();

  (void) arg;
  if (fd < 0) {
    (void) snprintf(said, sizeof(said), "%s", strerror(errno));
    return false;
  }
  (void) close(fd);
  return true;
}

/* A port that takes what comes and says nothing. */
static unsigned int listen_silently(int type, uint16_t port) {
  struct sockaddr_in addr = { .sin_family = AF_INET,
    .sin_port = htons(port),
    .sin_addr = { htonl(INADDR_LOOPBACK) } };
  socklen_t len = sizeof(addr);
  int fd = socket(AF_INET, type, 0);

  if (fd < 0 || bind(fd, (struct sockaddr *) &addr, len) < 0 ||
      (type == SOCK_STREAM && listen(fd, 4096) < 0) ||
      getsockname(fd, (struct sockaddr *) &addr, &len) < 0) {
    return 0;
  }
  return ntohs(addr.sin_port);
}

static void test_sources(void) {
  static const char *const uris[] = {
    "http://joe:%73ecret@Example.org:8080/path?query", "dns:example.org",
    "stun:example.org", "if:eth0", "ec2:", "pcp:192.0.2.1"
  };
  static char silent[64];
  static const struct asked asked[] = {
    { .uri = "stun:127.0.0.1:9", .status = EXTIP_REFUSED },
    { .uri = "stun:127.0.0.1:9?transport=tcp", .status = EXTIP_REFUSED },
    { .uri = "stuns:127.0.0.1:9", .status = EXTIP_REFUSED },
    { .uri = "http://127.0.0.1:9/", .status = EXTIP_REFUSED },
    { .uri = "ec2:127.0.0.1:9", .status = EXTIP_REFUSED },
    { .uri = "dns:localhost", .status = EXTIP_NOT_GLOBAL },
    { .uri = "http://localhost:9/", .status = EXTIP_REFUSED },
    { .uri = "natpmp:127.0.0.1", .status = EXTIP_REFUSED },
    { .uri = silent, .status = EXTIP_TIMEOUT },
  };

  (void) snprintf(silent, sizeof(silent), "stun:127.0.0.1:%u?transport=tcp",
    listen_silently(SOCK_STREAM, 0));
  for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
    each_fails(uris[i], &memory, parse, uris[i]);
  }
  for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
    each_fails(asked[i].uri, &memory_and_libcurl, ask, &asked[i]);
  }
  each_fails("stun:, udp", &descriptors, ask, &asked[0]);
  each_fails("stun:, udp", &buffers, ask, &asked[0]);
  each_fails("stun:, udp", &randomness, ask, &asked[0]);
  each_fails("stun:, tcp", &randomness, ask, &asked[1]);
  each_fails("dns:", &descriptors, ask, &asked[5]);
  each_fails("dns:", &processes, ask, &asked[5]);
  each_fails("natpmp:", &descriptors, ask, &asked[7]);
  each_fails("natpmp:", &buffers, ask, &asked[7]);

  /* The process that resolves names ends without a word, or has a kernel from
   * before close_range(2). */
  fail_first(" write ", EIO);
  is_said("dns:localhost", EXTIP_DNS,
    "'localhost': Non-recoverable failure in name resolution");
  fail_first(" syscall ", ENOSYS);
  is_said("dns:localhost", EXTIP_NOT_GLOBAL, "127.0.0.1 is RFC 1122 loopback");
  fault.calls = NULL;
}

static void test_task(void) {
  struct bytes bytes;
  char *printed = extip_task_print(an_example(), &bytes.len);

  bytes.at = printed;
  test_cut_tasks(bytes.at, bytes.len);
  each_fails("telling a task", &memory, tell, an_example());
  each_fails("reading a task", &memory, read_task, &bytes);
  free(printed);
}

/* In a network without a router. */
static void test_router(void) {
  is_said("natpmp:", EXTIP_LOCAL,
    "this host has no gateway: name the router in ExtIPGateway");
  is_said("upnp:", EXTIP_LOCAL,
    "this host has no gateway: name the router in ExtIPGateway");
  is_said("pcp:127.0.0.1", EXTIP_LOCAL,
    "PCP tells the address of a forward, and there is none: see ExtIPForward, or use natpmp:");

  each_fails("the list of forwards", &memory, print_forwards, NULL);
  each_fails("a router", &memory, start_router, an_example());
  is_said("pcp:127.0.0.1", EXTIP_TIMEOUT,
    "no answer in 300 ms: the router has granted no forward by PCP");
  (void) listen_silently(SOCK_DGRAM, 5351);
  is_said("natpmp:127.0.0.1", EXTIP_TIMEOUT,
    "no answer in 300 ms: is NAT-PMP switched on in the router?");
}

int main(void) {
  if (!leave_network()) {
    printf("1..0 # SKIP a network namespace of its own is not allowed\n");
    return 0;
  }

  signal(SIGPIPE, SIG_IGN);
  test_sources();
  test_task();
  test_router();
  each_fails("watching arrivals", &descriptors, watch_arrivals, NULL);
  each_fails("watching arrivals", &buffers, watch_arrivals, NULL);
  return done_testing();
}
