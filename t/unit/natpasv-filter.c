/*
 * Which packets the program passes that a listener gets: run here as the
 * kernel runs it, and by the kernel itself on sockets of loopback.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/filter.c"

#include "tap.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

static struct natpasv_filter filter_of(const char *nets) {
  struct natpasv_filter filter = { 0 };
  char text[256], *next = text, *net;

  snprintf(text, sizeof(text), "%s", nets);
  while ((net = strsep(&next, " ")) != NULL && *net != '\0') {
    char *bits = strchr(net, '/'), address[16];
    int family = strchr(net, ':') != NULL ? AF_INET6 : AF_INET;

    *bits = '\0';
    inet_pton(family, net, address);
    natpasv_filter_add(
      &filter, family, address, (unsigned int) strtoul(bits + 1, NULL, 10));
  }
  return filter;
}

/* The network layer of a packet from an address, as far as anybody looks. */
static void packet_from(const char *source, unsigned char packet[40]) {
  bool ipv6 = strchr(source, ':') != NULL;

  memset(packet, 0, 40);
  packet[0] = ipv6 ? 0x6a : 0x45; /* the lower half is something else */
  inet_pton(ipv6 ? AF_INET6 : AF_INET, source, packet + (ipv6 ? 8 : 12));
}

/* What the kernel does with the few instructions that there are. */
static uint32_t run(
  const struct program *program, const unsigned char packet[40]) {
  uint32_t acc = 0;

  for (unsigned int at = 0; at < program->length; at++) {
    const struct sock_filter *op = &program->code[at];
    uint32_t offset = op->k - (uint32_t) SKF_NET_OFF;

    switch (op->code) {
      case BPF_LD | BPF_W | BPF_ABS:
        acc = offset <= 36 ? word_of(packet + offset) : 0xdead;
        break;
      case BPF_LD | BPF_B | BPF_ABS:
        acc = offset < 40 ? packet[offset] : 0xdead;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        acc &= op->k;
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        acc >>= op->k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += acc == op->k ? op->jt : op->jf;
        break;
      case BPF_JMP | BPF_JA:
        at += op->k;
        break;
      case BPF_RET | BPF_K:
        return op->k;
      default:
        return 0xdead;
    }
  }
  return 0xdead;
}

static bool passes(const struct natpasv_filter *filter, const char *source) {
  int family = strchr(source, ':') != NULL ? AF_INET6 : AF_INET;
  unsigned char address[16];

  inet_pton(family, source, address);
  return natpasv_filter_passes(filter, family, address);
}

static const struct {
  const char *nets, *source;
  bool passes;
} sources[] = {
  { "192.0.2.7/32", "192.0.2.7", true },
  { "192.0.2.7/32", "192.0.2.6", false },
  { "192.0.2.7/32", "192.0.3.7", false },
  { "192.0.2.7/32", "2001:db8::c000:207", false },
  { "192.0.2.7/32", "c000:207::", false },
  { "192.0.2.7/24", "192.0.2.255", true },
  { "192.0.2.7/24", "192.0.3.0", false },
  { "192.0.2.7/25", "192.0.2.127", true },
  { "192.0.2.7/25", "192.0.2.128", false },
  { "192.0.2.6/31", "192.0.2.7", true },
  { "192.0.2.6/31", "192.0.2.8", false },
  { "2001:db8::6/127", "2001:db8::7", true },
  { "2001:db8::6/127", "2001:db8::8", false },
  { "10.0.0.0/8", "10.255.0.1", true },
  { "10.0.0.0/1", "127.0.0.1", true },
  { "10.0.0.0/1", "128.0.0.1", false },
  { "0.0.0.0/0", "203.0.113.1", true },
  { "0.0.0.0/0", "2001:db8::1", false },
  { "2001:db8::1/128", "2001:db8::1", true },
  { "2001:db8::1/128", "2001:db8::2", false },
  { "2001:db8::1/128", "2001:db9::1", false },
  { "2001:db8::1/128", "2001:db8:0:1::1", false },
  { "2001:db8::1/128", "2001:db8:0:0:1::1", false },
  { "2001:db8::1/128", "32.1.13.184", false },
  { "2001:db8::/64", "2001:db8::ffff:1", true },
  { "2001:db8::/64", "2001:db8:0:1::", false },
  { "2001:db8::/33", "2001:db8:7fff::1", true },
  { "2001:db8::/33", "2001:db8:8000::1", false },
  { "::/0", "2001:db8::1", true },
  { "::/0", "192.0.2.1", false },
  { "::ffff:192.0.2.7/128", "192.0.2.7", true },
  { "::ffff:192.0.2.7/128", "192.0.2.8", false },
  { "::ffff:192.0.2.7/128", "192.0.2.6", false },
  { "::ffff:0.0.0.0/96", "203.0.113.1", true },
  { "::ffff:192.0.2.7/120", "192.0.2.8", true },
  { "192.0.2.7/32 2001:db8::1/128 198.51.100.0/24", "198.51.100.3", true },
  { "192.0.2.7/32 2001:db8::1/128 198.51.100.0/24", "192.0.2.7", true },
  { "192.0.2.7/32 2001:db8::1/128 198.51.100.0/24", "2001:db8::1", true },
  { "192.0.2.7/32 2001:db8::1/128 198.51.100.0/24", "198.51.101.3", false },
  { "", "192.0.2.7", false },
  { "", "2001:db8::1", false },
};

static void test_sources(void) {
  for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
    struct natpasv_filter filter = filter_of(sources[i].nets);
    struct program program;
    unsigned char packet[40];

    compile(&program, &filter);
    packet_from(sources[i].source, packet);
    is_int(run(&program, packet), sources[i].passes ? PASS : DROP,
      "'%s' %s %s", sources[i].nets,
      sources[i].passes ? "lets in" : "keeps out", sources[i].source);
    is_int(passes(&filter, sources[i].source), sources[i].passes,
      "... also when it is asked in words");
  }
}

static void test_many(void) {
  struct natpasv_filter filter = { 0 };
  struct program program;
  unsigned char packet[40];
  struct in6_addr address = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8 } };

  for (unsigned int i = 0; i < NATPASV_NETS_MAX; i++) {
    address.s6_addr[15] = (unsigned char) i;
    natpasv_filter_add(&filter, AF_INET6, &address, 128);
  }
  is_int(natpasv_filter_add(&filter, AF_INET6, &address, 128), -1,
    "no more than %d networks", NATPASV_NETS_MAX);

  compile(&program, &filter);
  ok(program.length <= CODE_MAX, "the longest program has room");
  packet_from("2001:db8::3f", packet);
  is_int(run(&program, packet), PASS, "the last of many networks is let in");
  packet_from("2001:db8::40", packet);
  is_int(run(&program, packet), DROP, "... and what is beyond it is not");
}

static int listener(struct sockaddr_in *addr) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  socklen_t size = sizeof(*addr);

  *addr = (struct sockaddr_in){ .sin_family = AF_INET,
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (bind(fd, (struct sockaddr *) addr, sizeof(*addr)) < 0 ||
      listen(fd, 5) < 0 ||
      getsockname(fd, (struct sockaddr *) addr, &size) < 0) {
    return -1;
  }
  return fd;
}

/* Whether a connection is made within that time. */
static bool reaches(const struct sockaddr_in *addr, const char *from, int ms) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in source = { .sin_family = AF_INET };
  struct pollfd pfd = { .fd = fd, .events = POLLOUT };
  bool there;

  inet_pton(AF_INET, from, &source.sin_addr);
  there = bind(fd, (struct sockaddr *) &source, sizeof(source)) == 0 &&
          (connect(fd, (const struct sockaddr *) addr, sizeof(*addr)) == 0 ||
            errno == EINPROGRESS) &&
          poll(&pfd, 1, ms) == 1 && (pfd.revents & POLLERR) == 0;
  close(fd);
  return there;
}

static void test_kernel(void) {
  struct natpasv_filter filter = filter_of("127.0.0.2/32 2001:db8::1/128");
  struct sockaddr_in addr;
  int fd = listener(&addr);

  is_int(natpasv_filter_attach(fd, &filter), 0, "the kernel takes a program");
  ok(reaches(&addr, "127.0.0.2", 5000), "who is meant connects");
  is_int(natpasv_filter_dropped(fd), 0, "... and nothing is dropped");
  ok(!reaches(&addr, "127.0.0.3", 300), "a stranger does not");
  ok(natpasv_filter_dropped(fd) > 0, "... and is counted");

  filter = filter_of("192.0.2.7/32");
  ok(passes(&filter, "::ffff:192.0.2.7") && !passes(&filter, "::ffff:192.0.2.8"),
    "an IPv4-mapped address is an IPv4 address");
  filter = filter_of("127.0.0.3/32");
  is_int(natpasv_filter_attach(fd, &filter), 0, "another one takes its place");
  ok(reaches(&addr, "127.0.0.3", 5000), "... and lets others in");
  close(fd);
  is_int(natpasv_filter_dropped(-1), 0, "no socket drops nothing");
}

int main(void) {
  test_sources();
  test_many();
  test_kernel();
  return done_testing();
}
