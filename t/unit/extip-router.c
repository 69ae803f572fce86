/*
 * The router: what is asked of it, what its answers mean and what the log says,
 * with a clock of the test's own. The router is a socket in a network namespace
 * of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include "../../mod_extip/router.c"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define ROUTER "127.0.0.2"

/* The module's clock and log. */

static int64_t now = 1000000;
static char said[2048];

int64_t __wrap_extip_now(void);
int64_t __wrap_extip_now(void) {
  return now;
}

void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  size_t len = strlen(said);
  va_list args;

  len += (size_t) snprintf(said + len, sizeof(said) - len, "%s ",
    loudness == EXTIP_LOG_WARNING  ? "WARNING"
    : loudness == EXTIP_LOG_NOTICE ? "NOTICE"
                                   : "INFO");
  va_start(args, fmt);
  (void) vsnprintf(said + len, sizeof(said) - len, fmt, args);
  va_end(args);
}

static void is_said(const char *want, const char *name) {
  is_str(said, want, "%s", name);
  said[0] = '\0';
}

/* What is told */

static unsigned int woken, told;
static struct extip_forward last;

static void on_woken(void *user) {
  (void) user;
  woken++;
}

static void on_forward(
  size_t index, const struct extip_forward *forward, void *user) {
  (void) index;
  (void) user;
  told++;
  last = *forward;
}

static const struct extip_router_news news = { .woken = on_woken,
  .forward = on_forward };

/* The router */

static int door = -1;
static unsigned char asked[1200];
static ssize_t asked_len;
static struct sockaddr_in asker;

static struct sockaddr_in at(const char *addr, uint16_t port) {
  struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

  (void) inet_pton(AF_INET, addr, &sin.sin_addr);
  return sin;
}

static bool was_asked(void) {
  socklen_t size = sizeof(asker);

  asked_len = recvfrom(door, asked, sizeof(asked), MSG_DONTWAIT,
    (struct sockaddr *) &asker, &size);
  return asked_len >= 0;
}

/* How often, since the last time. */
static unsigned int times_asked(void) {
  unsigned int times = 0;

  while (was_asked()) {
    times++;
  }
  return times;
}

static void answer(const void *bytes, size_t len) {
  (void) sendto(door, bytes, len, 0, (struct sockaddr *) &asker, sizeof(asker));
}

static uint32_t started = 900; /* seconds, of the router */

static uint32_t epoch(void) {
  return (uint32_t) (now / 1000) - started;
}

static void put32(unsigned char *at_byte, uint32_t value) {
  value = htonl(value);
  memcpy(at_byte, &value, sizeof(value));
}

/* To a request for a forward by NAT-PMP, and for the address. */
static void answer_natpmp(
  uint16_t result, uint16_t inside, uint16_t outside, uint32_t lifetime) {
  unsigned char bytes[16] = { 0, 130, (unsigned char) (result >> 8),
    (unsigned char) result, [8] = (unsigned char) (inside >> 8),
    (unsigned char) inside, (unsigned char) (outside >> 8),
    (unsigned char) outside };

  put32(bytes + 4, epoch());
  put32(bytes + 12, lifetime);
  answer(bytes, sizeof(bytes));
}

static void answer_address(uint16_t result, const char *addr) {
  unsigned char bytes[12] = { 0, 128, (unsigned char) (result >> 8),
    (unsigned char) result };

  put32(bytes + 4, epoch());
  (void) inet_pton(AF_INET, addr, bytes + 8);
  answer(bytes, sizeof(bytes));
}

/* To the request by PCP that came last. */
static void answer_pcp(
  unsigned char result, const char *addr, uint32_t lifetime) {
  unsigned char bytes[60] = { 2, 0x81, 0, result };

  put32(bytes + 4, lifetime);
  put32(bytes + 8, epoch());
  memcpy(bytes + 24, asked + 24, 36);
  memset(bytes + 44, 0, 10);
  bytes[54] = bytes[55] = 0xff;
  (void) inet_pton(AF_INET, addr, bytes + 56);
  answer(bytes, sizeof(bytes));
}

/* The module */

static struct forward_port ports[] = { { 61000, 61000 }, { 61001, 61001 } };
static struct extip_router_task task;
static struct extip_loop *loop, *loops[32];
static struct extip_router *router, *routers[32];

/* There is one in a process and no way to end it: the sanitizer is to find it.
 */
static void start_router(int file) {
  static size_t count = 0;

  loops[count] = loop = extip_loop_make();
  routers[count++] = router = extip_router_start(&task, loop, file, &news);
}

static int64_t turn(void) {
  return extip_router_turn(router);
}

static void hear(void) {
  (void) extip_loop_turn(loop, 0);
}

static void start_with(size_t count, int file, enum extip_protocol first,
  enum extip_protocol second) {
  task = (struct extip_router_task){
    .gateway = { .router.s_addr = inet_addr(ROUTER),
      .protocols = { first, second },
      .protocol_count = first == second ? 1 : 2 },
    .forwards = { .lifetime = 1800, .max = 64 },
    .ports = ports,
    .port_count = count,
  };
  start_router(file);
  said[0] = '\0';
  woken = told = 0;
  (void) times_asked();
}

static void start(enum extip_protocol protocol) {
  start_with(1, -1, protocol, protocol);
}

static void test_natpmp(void) {
  static const unsigned char want[] = { 0, 2, 0, 0, 61000 >> 8, 61000 & 0xff,
    61000 >> 8, 61000 & 0xff, 0, 0, 1800 >> 8, 1800 & 0xff };

  start(EXTIP_NATPMP);
  is_int(turn(), 250, "a forward is asked for, and again in 250 ms");
  ok(was_asked() && asked_len == 12 && memcmp(asked, want, 12) == 0,
    "... by NAT-PMP");
  ok(!was_asked(), "... and nothing else");
  now += 249;
  is_int(turn(), 1, "... not before");
  is_int(times_asked(), 0, "... that");
  answer_natpmp(0, 61000, 61000, 600);
  hear();
  ok(was_asked() && asked_len == 2 && memcmp(asked, "\0\0", 2) == 0,
    "it is granted: the address is asked for");
  is_said("", "... of which nothing is said yet");
  (void) turn();
  is_int(told, 1, "... but told");
  is_int(last.state, EXTIP_FORWARD_OPEN, "... as open");
  is_int(last.until - now, 600000, "... for as long as granted");
  is_said("NOTICE router 127.0.0.2 forwards 1 of 1 ports (natpmp)",
    "... and the log says so");

  answer_address(0, "9.9.9.7");
  hear();
  (void) turn();
  is_int(last.addr, inet_addr("9.9.9.7"), "the address is told");
  is_said("", "... which the log need not say");
  is_int(extip_router_private().s_addr, INADDR_ANY, "... it is no private one");
}

/* One forward, open, with its log and messages gone. */
static void open_natpmp(void) {
  start(EXTIP_NATPMP);
  (void) turn();
  (void) was_asked();
  answer_natpmp(0, 61000, 61000, 600);
  hear();
  (void) turn();
  (void) times_asked();
  said[0] = '\0';
  told = 0;
}

static void test_address_again(void) {
  start(EXTIP_NATPMP);
  ask_for_address(router, EXTIP_NATPMP, now);
  ask_for_address(router, EXTIP_NATPMP, now + 999);
  is_int(times_asked(), 1, "the address is asked for once a second");
  ask_for_address(router, EXTIP_NATPMP, now + 1000);
  is_int(times_asked(), 1, "... and then again");
}

static void test_refused(void) {
  open_natpmp();
  now += 3000;
  extip_router_again(router);
  (void) turn();
  (void) was_asked();
  answer_natpmp(4, 61000, 0, 0);
  hear();
  is_int(times_asked(), 0, "a refusal is no reason to ask for the address");
  (void) turn();
  is_int(last.state, EXTIP_FORWARD_REFUSED, "it is told");
  ok(
    strstr(said,
      "NOTICE router 127.0.0.2 forwards 0 of 1 ports (natpmp); port 61000: ") ==
      said,
    "... and the log says why");
  said[0] = '\0';
  (void) turn();
  is_said("", "... once");
}

/* The router says how long it runs, or that it does so no longer. */
static void test_epoch(void) {
  open_natpmp();
  now += 3000;
  answer_address(0, "9.9.9.7");
  hear();
  is_said("", "a router that goes on");
  started = (uint32_t) (now / 1000) - 1;
  answer_address(0, "9.9.9.7");
  hear();
  is_said(
    "NOTICE the router has restarted or been replaced: requesting all forwards again",
    "one that has begun again");
  is_int(woken, 1, "... may have another address");
  (void) turn();
  ok(was_asked() && asked[1] == 2, "... and is asked for all forwards");
}

static void test_private(void) {
  open_natpmp();
  answer_address(0, "100.64.3.3");
  hear();
  ok(strstr(said,
       "NOTICE the router itself has 100.64.3.3: carrier-grade NAT") == said,
    "carrier-grade NAT is said");
  is_int(extip_router_private().s_addr, inet_addr("100.64.3.3"),
    "... and known to others");
  said[0] = '\0';
  answer_address(0, "100.64.3.3");
  hear();
  is_said("", "... once");
  answer_address(0, "9.9.9.7");
  hear();
  is_int(extip_router_private().s_addr, INADDR_ANY, "until it has another one");
  answer_address(3, "10.0.0.1");
  hear();
  is_int(extip_router_private().s_addr, INADDR_ANY, "a failure tells none");
}

static void test_pcp(void) {
  start(EXTIP_PCP);
  (void) turn();
  ok(was_asked() && asked_len == 64 && asked[0] == 2 && asked[1] == 1,
    "a forward is asked for by PCP, or nothing instead");
  answer_pcp(0, "9.9.9.7", 600);
  hear();
  (void) turn();
  is_int(last.state, EXTIP_FORWARD_OPEN, "it is open");
  is_int(last.addr, inet_addr("9.9.9.7"), "... with the address");
  is_int(last.given, 61000, "... and the port");
  is_int(last.until - now, 600000, "... for as long as granted");
  is_int(times_asked(), 0, "... which need not be asked for");
  is_said("NOTICE router 127.0.0.2 forwards 1 of 1 ports (pcp)",
    "... and the log says so");

  now += 3000;
  extip_router_again(router);
  (void) turn();
  (void) was_asked();
  answer_pcp(8, "0.0.0.0", 30);
  hear();
  (void) turn();
  is_int(last.state, EXTIP_FORWARD_REFUSED, "then it is refused");
  ok(strlen(last.reason) > 10, "... which is explained: %s", last.reason);
}

static void test_other_protocol(void) {
  unsigned char unsupported[24] = { 2, 0x81, 0, 1 };

  start_with(1, -1, EXTIP_PCP, EXTIP_NATPMP);
  (void) turn();
  (void) was_asked();
  answer(unsupported, sizeof(unsupported));
  hear();
  (void) turn();
  ok(was_asked() && asked[0] == 0 && asked[1] == 2,
    "a router that does not speak PCP is asked by NAT-PMP");
}

static void test_silent(void) {
  char want[256];

  start(EXTIP_NATPMP);
  for (int i = 0; i < 4; i++) {
    now += turn();
  }
  snprintf(want, sizeof(want),
    "WARNING no port is forwarded: the router %s does not answer; switch PCP, NAT-PMP or UPnP on in it",
    ROUTER);
  is_said(want, "a router that does not answer");
  is_int(last.state, EXTIP_FORWARD_SILENT, "... as is told");
  for (int i = 0; i < 20; i++) {
    now += turn();
  }
  is_said("", "... which is said once");
  (void) times_asked();
  extip_router_again(router);
  (void) turn();
  (void) was_asked();
  answer_natpmp(0, 61000, 61000, 600);
  hear();
  (void) turn();
  is_said("NOTICE router 127.0.0.2 forwards 1 of 1 ports (natpmp)",
    "... until it does");
}

/* Nothing in this namespace has a default route. */
static void test_gone(void) {
  start(EXTIP_NATPMP);
  task.gateway.router.s_addr = INADDR_ANY;
  start_router(-1);
  for (int i = 0; i < 24; i++) {
    now += turn();
  }
  is_said(
    "WARNING no port is forwarded: this host has no gateway, and ExtIPGateway names no router",
    "there is no router");
  is_int(times_asked(), 0, "... which is not asked");
}

static void test_follow(void) {
  open_natpmp();
  now += 3000;
  (void) turn();
  is_int(times_asked(), 0, "nothing is due");
  extip_router_follow(router);
  is_int(turn(), 250, "routes have changed: a quarter of a second later");
  is_int(times_asked(), 0, "... not at once");
  extip_router_follow(router);
  now += 250;
  (void) turn();
  ok(was_asked() && asked[1] == 2, "... forwards are asked for");
}

static void test_close(void) {
  open_natpmp();
  extip_router_close(router);
  (void) turn();
  ok(was_asked() && asked[1] == 2 && memcmp(asked + 8, "\0\0\0\0", 4) == 0,
    "at the end a forward is removed");
  ok(!extip_router_closed(router), "... which takes until it is answered");
  extip_router_hurry(router);
  (void) turn();
  is_int(times_asked(), 1, "... or asked for once more, if there is no time");
  answer_natpmp(0, 61000, 0, 0);
  hear();
  ok(extip_router_closed(router), "... then it is");
  is_int(times_asked(), 0, "... and the address is not asked for");
}

static void test_example(void) {
  struct extip_forward_request request;
  bool configured = false;

  start_with(0, -1, EXTIP_PCP, EXTIP_PCP);
  ok(!extip_router_example(&request, &configured) && !configured,
    "without ports there is no forward to ask about");
  start(EXTIP_PCP);
  ok(!extip_router_example(&request, &configured) && configured,
    "... nor before one is open");
  (void) turn();
  (void) was_asked();
  answer_pcp(0, "9.9.9.7", 600);
  hear();
  ok(extip_router_example(&request, &configured) && request.inside == 61000,
    "... but then");
}

static void test_file(void) {
  char path[] = "/tmp/extip-router-XXXXXX";
  struct extip_forward_held held[4];
  int file = mkstemp(path);
  struct stat before, after;

  (void) unlink(path);
  start_with(2, file, EXTIP_NATPMP, EXTIP_NATPMP);
  (void) turn();
  is_int((long long) extip_forward_file_read(file, held, 4), 2,
    "what is asked for is in the file");
  (void) was_asked();
  answer_natpmp(0, 61000, 61000, 600);
  hear();
  (void) turn();
  (void) fstat(file, &before);
  now += 1;
  (void) turn();
  (void) fstat(file, &after);
  ok(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
       before.st_mtim.tv_nsec == after.st_mtim.tv_nsec,
    "... which is not written again without need");

  /* The next helper: no port is configured any more. */
  start_with(0, file, EXTIP_NATPMP, EXTIP_NATPMP);
  (void) turn();
  ok(was_asked() && asked[1] == 2 && memcmp(asked + 8, "\0\0\0\0", 4) == 0,
    "what is in the file and not configured is removed");
  (void) close(file);
}

static void test_nonsense(void) {
  struct sockaddr_in stranger = at("127.0.0.3", EXTIP_PCP_PORT);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  unsigned char bytes[16] = { 0, 130, 0, 0, [8] = 61000 >> 8, 61000 & 0xff,
    61000 >> 8, 61000 & 0xff, 0, 0, 1 };

  start(EXTIP_NATPMP);
  (void) turn();
  (void) was_asked();
  answer("x", 1);
  answer("", 0);
  hear();
  (void) turn();
  is_int(told, 0, "nonsense is no answer");
  (void) bind(fd, (struct sockaddr *) &stranger, sizeof(stranger));
  (void) sendto(
    fd, bytes, sizeof(bytes), 0, (struct sockaddr *) &asker, sizeof(asker));
  hear();
  (void) turn();
  is_int(told, 0, "nor is what another host says");
  answer("x", 1);
  answer_natpmp(0, 61000, 61000, 600);
  hear();
  (void) turn();
  is_int(told, 1, "but what comes after it");
  (void) close(fd);
}

static int own_network(void) {
  struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
  struct sockaddr_in sin = at(ROUTER, EXTIP_PCP_PORT);
  int fd;

  if (unshare(CLONE_NEWNET) < 0) {
    return -1;
  }
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  door = socket(AF_INET, SOCK_DGRAM, 0);
  return ioctl(fd, SIOCSIFFLAGS, &lo) < 0 || close(fd) < 0 ||
             bind(door, (struct sockaddr *) &sin, sizeof(sin)) < 0
           ? -1
           : 0;
}

int main(void) {
  if (own_network() < 0) {
    printf("1..0 # SKIP a network namespace of its own needs root\n");
    return 0;
  }

  test_natpmp();
  test_address_again();
  test_refused();
  test_epoch();
  test_private();
  test_pcp();
  test_other_protocol();
  test_silent();
  test_gone();
  test_follow();
  test_close();
  test_example();
  test_file();
  test_nonsense();
  return done_testing();
}
