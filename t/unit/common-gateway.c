/*
 * common-gateway.c - which routes of the kernel's answer name a default
 * gateway, from messages as it sends them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/common_gateway.h"
#include "tap.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* A message that grows. It ends where its memory ends, so that the sanitizer
 * sees who reads on. */
static struct nlmsghdr *message;

static void *grow(size_t size) {
  size_t before = message != NULL ? message->nlmsg_len : 0;

  message = realloc(message, before + size);
  memset((char *) message + before, 0, size);
  message->nlmsg_len = (unsigned int) (before + size);
  return (char *) message + before;
}

static void route(int family, unsigned char bits, unsigned char type) {
  struct rtmsg *head;

  free(message);
  message = NULL;
  grow(NLMSG_LENGTH(sizeof(*head)));
  message->nlmsg_type = RTM_NEWROUTE;
  head = NLMSG_DATA(message);
  head->rtm_family = (unsigned char) family;
  head->rtm_dst_len = bits;
  head->rtm_type = type;
}

static void attribute(
  unsigned short type, const void *data, unsigned short size) {
  struct rtattr *head = grow(RTA_SPACE(size));

  head->rta_type = type;
  head->rta_len = (unsigned short) RTA_LENGTH(size);
  memcpy(RTA_DATA(head), data, size);
}

static void gateway(const char *text) {
  unsigned char bytes[16];
  int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

  (void) inet_pton(family, text, bytes);
  attribute(RTA_GATEWAY, bytes, (unsigned short) gateway_size(family));
}

/* What is read from the message, as text. */
static const char *found(struct gateways *gateways, int family) {
  static char text[256];
  char one[INET6_ADDRSTRLEN];
  size_t used = 0;

  text[0] = '\0';
  gateway_read_route(gateways, family, message);
  for (unsigned int i = 0; i < gateways->count; i++) {
    used += (size_t) snprintf(text + used, sizeof(text) - used, "%s%s",
      i > 0 ? " " : "",
      inet_ntop(family, gateways->gateway[i].address, one, sizeof(one)));
  }
  return text;
}

static void test_routes(void) {
  static const struct {
    int family;
    unsigned char bits, type;
    const char *gateway, *found, *what;
  } routes[] = {
    { AF_INET, 0, RTN_UNICAST, "10.0.0.1", "10.0.0.1", "a default route" },
    { AF_INET, 1, RTN_UNICAST, "10.0.0.1", "10.0.0.1", "half of one" },
    { AF_INET, 2, RTN_UNICAST, "10.0.0.1", "", "a longer route is none" },
    { AF_INET, 0, RTN_BLACKHOLE, "10.0.0.1", "", "a black hole is none" },
    { AF_INET, 0, RTN_UNICAST, "fd00::1", "",
      "a gateway of the other family is none" },
    { AF_INET6, 0, RTN_UNICAST, "fd00::1", "fd00::1", "IPv6" },
    { AF_INET6, 64, RTN_UNICAST, "fd00::1", "", "a longer route of IPv6" },
  };

  for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
    struct gateways gateways = { .count = 0 };

    route(routes[i].family, routes[i].bits, routes[i].type);
    gateway(routes[i].gateway);
    is_str(found(&gateways, routes[i].family), routes[i].found, "%s",
      routes[i].what);
  }
}

static void test_order(void) {
  static const struct {
    const char *gateway;
    uint32_t metric;
  } routes[] = {
    { "10.0.0.3", 300 },
    { "10.0.0.1", 100 },
    { "10.0.0.3", 50 },
    { "10.0.0.2", 200 },
  };
  struct gateways gateways = { .count = 0 };
  struct in_addr address;

  for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
    route(AF_INET, 0, RTN_UNICAST);
    attribute(RTA_PRIORITY, &routes[i].metric, 4);
    gateway(routes[i].gateway);
    (void) found(&gateways, AF_INET);
  }
  route(AF_INET, 0, RTN_UNICAST);
  is_str(found(&gateways, AF_INET), "10.0.0.1 10.0.0.2 10.0.0.3",
    "each once, by metric, and no gateway is none");

  (void) inet_pton(AF_INET, "10.0.0.2", &address);
  ok(gateways_have(&gateways, AF_INET, &address), "one of them is found");
  (void) inet_pton(AF_INET, "10.0.0.4", &address);
  ok(!gateways_have(&gateways, AF_INET, &address), "... and no other");

  for (unsigned int i = 0; i < 20; i++) {
    char text[16];

    snprintf(text, sizeof(text), "10.1.0.%u", i);
    route(AF_INET, 0, RTN_UNICAST);
    gateway(text);
    (void) found(&gateways, AF_INET);
  }
  is_int(gateways.count, GATEWAYS_MAX, "there is room for so many");
}

/* Two hops, of which the length of the second is as given. */
static void test_hops(unsigned short length, const char *expected) {
  struct {
    struct rtnexthop hop;
    struct rtattr head;
    unsigned char address[4];
  } hops[] = {
    { { .rtnh_len = sizeof(hops[0]), .rtnh_ifindex = 2 },
      { RTA_LENGTH(4), RTA_GATEWAY }, { 10, 0, 0, 1 } },
    { { .rtnh_len = length, .rtnh_ifindex = 3 },
      { RTA_LENGTH(4), RTA_GATEWAY }, { 10, 0, 0, 2 } },
  };
  struct gateways gateways = { .count = 0 };

  route(AF_INET, 0, RTN_UNICAST);
  attribute(RTA_MULTIPATH, hops, sizeof(hops));
  is_str(found(&gateways, AF_INET), expected,
    "a route over two uplinks, the second of %u bytes", length);
}

/* Every length that a message could have been cut to. */
static void test_cut(void) {
  unsigned int whole;
  unsigned int wrong = 0;

  route(AF_INET, 0, RTN_UNICAST);
  gateway("10.0.0.1");
  whole = message->nlmsg_len;
  for (unsigned int i = (unsigned int) sizeof(struct nlmsghdr); i < whole;
       i++) {
    struct gateways gateways = { .count = 0 };

    message->nlmsg_len = i;
    wrong += *found(&gateways, AF_INET) != '\0';
  }
  is_int(wrong, 0, "nothing is read from a message that was cut");
}

static void test_host(void) {
  struct gateways gateways = { .count = GATEWAYS_MAX + 1 };

  is_int(gateways_read(AF_INET, &gateways), 0, "this host says its own");
  ok(gateways.count <= GATEWAYS_MAX, "... so many as there are");
}

int main(void) {
  test_routes();
  test_order();
  test_hops(16, "10.0.0.1 10.0.0.2");
  test_hops(17, "10.0.0.1");
  test_hops(12, "10.0.0.1");
  test_hops(0, "10.0.0.1");
  test_cut();
  test_host();
  free(message);
  return done_testing();
}
