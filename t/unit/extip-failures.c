/*
 * extip-failures.c - memory, descriptors and processes run out under what the
 * helper does: one call after the other fails, and each time the operation says
 * so, ends, and keeps nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "../../mod_extip/arrivals.c"
#include "../../mod_extip/driver.h"
#include "../../mod_extip/forward_file.h"
#include "../../mod_extip/log.h"
#include "../../mod_extip/router.h"
#include "../../mod_extip/router_upnp.h"
#include "../../mod_extip/task.h"
#include "failing.h"
#include "tap.h"

/* What runs out, and the calls that notice. */
struct shortage {
  const char *of, *calls;
  int error;
};

#define ALLOCATE " malloc calloc realloc strdup strndup open_memstream "

static const struct shortage
  memory = { "memory", ALLOCATE, ENOMEM },
  memory_and_libcurl = { "memory, here and in libcurl",
    ALLOCATE "curl_easy_init curl_easy_setopt curl_easy_send curl_multi_init "
             "curl_multi_add_handle curl_slist_append ",
    ENOMEM },
  descriptors = { "descriptors", " pipe2 socket socketpair ", EMFILE },
  buffers = { "buffers", " socket bind connect send setsockopt ", ENOBUFS },
  processes = { "processes", " fork ", EAGAIN },
  randomness = { "random numbers", " getrandom ", EAGAIN };

static char said[1024];

/* The helper's is in its main file, which is not here. */
void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  va_list args;

  (void) loudness;
  va_start(args, fmt);
  (void) vsnprintf(said, sizeof(said), fmt, args);
  va_end(args);
}

static int count_fds(void) {
  DIR *dir = opendir("/proc/self/fd");
  int count = 0;

  while (readdir(dir) != NULL) {
    count++;
  }
  (void) closedir(dir);
  return count;
}

/* RUN does something and returns whether it could; if not, why is in SAID. The
 * first call that can fail does, then the second, up to the last, and then
 * none. */
static void each_fails(const char *what, const struct shortage *shortage,
  bool (*run)(const void *arg), const void *arg) {
  int fds = count_fds();
  long failed = 0, silent = 0, kept = 0;
  bool could;

  for (fault.number = 1;; fault.number++) {
    fault.calls = shortage->calls;
    fault.error = shortage->error;
    fault.seen = 0;
    fault.hit = false;
    said[0] = '\0';
    could = run(arg);
    fault.calls = NULL;
    if (!fault.hit) {
      break;
    }
    failed += !could;
    silent += !could && said[0] == '\0';
    kept += count_fds() != fds;
  }
  ok(could, "%s: nothing fails", what);
  ok(failed > 0, "... without %s it ends in another way", shortage->of);
  is_int(silent, 0, "... says why, each time");
  is_int(kept, 0, "... and keeps no descriptor");
}

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

struct asked {
  const char *uri, *router;
  enum extip_status status; /* without a fault */
};

static bool ask(const void *arg) {
  const struct asked *asked = arg;
  const char *calls = fault.calls;
  char reason[512];
  struct extip_query query = { .ca_file = "",
    .timeout_ms = asked->status == EXTIP_TIMEOUT ? 300 : 20000 };
  struct extip_loop *loop;
  struct extip_source *source;

  fault.calls = NULL;
  source = extip_source_parse(asked->uri, NULL, 0, reason, sizeof(reason));
  fault.calls = calls;

  loop = extip_loop_make();
  if (loop == NULL) {
    (void) snprintf(said, sizeof(said), "%s", strerror(errno));
    extip_source_free(source);
    return false;
  }

  query.source = source;
  extip_loop_ask(loop, &query);
  while (!query.settled) {
    if (extip_loop_turn(loop, 1000) < 0) {
      (void) snprintf(said, sizeof(said), "%s", strerror(errno));
      break;
    }
  }
  if (query.settled) {
    (void) snprintf(said, sizeof(said), "%s", query.answer.reason);
  }
  extip_loop_free(loop);
  extip_source_free(source);
  return query.settled && query.answer.status == asked->status;
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

/* A network of its own, where 127.0.0.1 refuses and nothing else can be
 * reached. Returns false without one. */
static bool leave_network(void) {
  struct ifreq lo = { .ifr_name = "lo" };
  int fd;

  if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
    return false;
  }
  lo.ifr_flags = IFF_UP;
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0) {
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

/* What the operator reads. */
static void is_said(
  const char *uri, enum extip_status status, const char *why) {
  const struct asked asked = { .uri = uri, .status = status };

  ok(ask(&asked), "%s fails as it has to", uri);
  is_str(said, why, "... and says why");
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

  /* The process that resolves names ends without a word. */
  fault.calls = " write ";
  fault.number = 1;
  fault.seen = 0;
  fault.hit = false;
  is_said("dns:localhost", EXTIP_DNS,
    "'localhost': Non-recoverable failure in name resolution");
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

/* extip-upnp is a script of the test, beside a copy of it. */

static void write_program(const char *dir, const char *script) {
  char path[256];
  FILE *file;

  (void) snprintf(path, sizeof(path), "%s/extip-upnp", dir);
  file = fopen(path, "w");
  if (file == NULL || fprintf(file, "#!/usr/bin/perl\n%s\n", script) < 0 ||
      fclose(file) == EOF || chmod(path, 0755) < 0) {
    ok(0, "a script is written: %s", strerror(errno));
  }
}

static void remove_program(const char *dir) {
  char path[256];

  (void) snprintf(path, sizeof(path), "%s/extip-upnp", dir);
  (void) unlink(path);
}

static unsigned int refused, unsupported;
static uint16_t last;

static void take_reply(const struct extip_forward_reply *reply, void *user) {
  (void) user;
  refused += reply->result == EXTIP_FORWARD_DENIED;
  unsupported += reply->result == EXTIP_FORWARD_UNSUPPORTED;
  last = reply->inside;
  (void) snprintf(said, sizeof(said), "%s", reply->reason);
}

static void take_address(struct in_addr addr, void *user) {
  (void) addr;
  (void) user;
}

static void ask_forwards(struct extip_router_upnp *upnp, uint16_t count) {
  refused = unsupported = 0;
  for (uint16_t i = 0; i < count; i++) {
    const struct extip_forward_request request = { .protocol = EXTIP_UPNP,
      .inside = (uint16_t) (61000 + i),
      .outside = (uint16_t) (61000 + i),
      .lifetime = 3600 };

    extip_router_upnp_ask(upnp, &request);
  }
}

/* What was asked is answered, whatever becomes of the process. */
static void test_upnp_forwards(const char *dir) {
  struct extip_loop *loop = extip_loop_make();
  struct extip_router_upnp upnp = { .loop = loop,
    .router = { htonl(INADDR_LOOPBACK) },
    .take = take_reply,
    .address = take_address };
  int fds = count_fds();

  remove_program(dir);
  ask_forwards(&upnp, 1);
  is_int(unsupported, 1, "no program: UPnP is not supported");
  is_str(said, "UPnP cannot be spoken", "... which is the answer");

  write_program(dir, "sysread STDIN, my $line, 64;");
  ask_forwards(&upnp, 3);
  for (int i = 0; i < 10 && refused + unsupported < 3; i++) {
    (void) extip_loop_turn(loop, 1000);
  }
  is_int(refused, 3, "a program that ends: all that was asked is refused");
  is_int(last, 61002, "... in its order");
  is_str(said, "the router took too long to answer", "... with the reason");

  write_program(dir, "sleep 60;");
  ask_forwards(&upnp, EXTIP_ROUTER_UPNP_QUEUE + 1);
  is_int(unsupported, 1, "more than the queue has room for is not taken");
  is_int(last, 61000 + EXTIP_ROUTER_UPNP_QUEUE, "... which is the last");
  extip_router_upnp_stop(&upnp);
  is_int(count_fds(), fds, "no descriptor is kept");
  extip_loop_free(loop);
}

static void test_upnp(const char *dir) {
  static const struct asked error = { .uri = "upnp:127.0.0.1",
    .status = EXTIP_ROUTER };

  remove_program(dir);
  is_said("upnp:127.0.0.1", EXTIP_LOCAL,
    "this build does not speak UPnP: it has no program extip-upnp");
  write_program(dir, "sysread STDIN, my $line, 64;");
  is_said("upnp:127.0.0.1", EXTIP_ROUTER,
    "the router took too long to answer by UPnP");
  write_program(
    dir, "sysread STDIN, my $line, 64; syswrite STDOUT, qq{error 606\\n};");
  is_said("upnp:127.0.0.1", EXTIP_ROUTER,
    "UPnP error 606: the router refuses: allow this host to forward ports by UPnP in its settings");
  each_fails("upnp:", &memory, ask, &error);
  each_fails("upnp:", &processes, ask, &error);
  each_fails("upnp:", &buffers, ask, &error);
  each_fails("upnp:", &descriptors, ask, &error);
  test_upnp_forwards(dir);
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

/* A copy of this program in a directory of its own. */
static int start_again(void) {
  char dir[] = "/tmp/extip-failures-XXXXXX", path[64], command[128];

  if (mkdtemp(dir) == NULL) {
    return 1;
  }
  (void) snprintf(path, sizeof(path), "%s/test", dir);
  (void) snprintf(
    command, sizeof(command), "cp /proc/%d/exe %s", (int) getpid(), path);
  return system(command) == 0 ? execl(path, path, dir, (char *) NULL) : 1;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    return start_again();
  }
  signal(SIGPIPE, SIG_IGN);
  if (leave_network()) {
    test_sources();
    test_task();
    test_router();
    test_upnp(argv[1]);
    each_fails("watching arrivals", &descriptors, watch_arrivals, NULL);
    each_fails("watching arrivals", &buffers, watch_arrivals, NULL);
  } else {
    printf("1..0 # SKIP a network namespace of its own is not allowed\n");
  }
  remove_program(argv[1]);
  (void) unlink(argv[0]);
  (void) rmdir(argv[1]);
  return tap_count > 0 ? done_testing() : 0;
}
