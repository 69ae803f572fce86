/*
 * mod_extip_forwards_test - which ports the router is to forward, and what a
 * session is told of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

#include "../../mod_extip/forward_ports.h"

/* Which ports */

static struct extip_router_task router;
static array_header *pools; /* of mod_natpasv; NULL: it does not answer */
static server_rec other;

/* The ports as text, "21 61000:62000". */
static const char *ports_read(void) {
  static char text[8192];
  size_t len = 0;

  extip_forward_ports_read(place, &plan, &router);
  text[0] = '\0';
  for (size_t i = 0; i < router.port_count; i++) {
    const struct forward_port *port = &router.ports[i];

    len += (size_t) snprintf(text + len, sizeof(text) - len,
      port->inside == port->outside ? "%s%u" : "%s%u:%u", i > 0 ? " " : "",
      port->inside, port->outside);
  }
  return text;
}

/* ExtIPForward */
static struct extip_forwards_conf *forwarded(bool control, bool passive) {
  struct extip_forwards_conf *conf = configured("ExtIPForward", sizeof(*conf));

  *conf = extip_forwards_default;
  conf->control = control;
  conf->passive = passive;
  return conf;
}

static void start_two(void) {
  start_daemon();
  arrive("203.0.113.9", "192.168.1.1");
  main_server->ServerPort = 21;
  other.ServerPort = 2121;
  other.conf = NULL;
  vhosts[1] = vhosts[0];
  vhosts[1].server = &other;
  plan.vhost_count = 2;
}

static void pool_port(uint16_t inside, uint16_t outside) {
  if (pools == NULL) {
    pools = make_array(place, 4, sizeof(struct forward_port));
  }
  *((struct forward_port *) push_array(pools)) =
    (struct forward_port){ inside, outside };
}

static void test_none(void) {
  start_two();
  add_passiveports(61000, 61001);
  is_str(ports_read(), "", "without ExtIPForward no port is forwarded");
  is_int(router.gateway.protocol_count, 2, "... by two protocols");
  is_int(router.gateway.router.s_addr, INADDR_ANY, "... of any router");
  is_int(router.bind.s_addr, INADDR_ANY, "... from any address");
  is_int(router.forwards.max, 64, "... 64 at most");
  is_said("", "... which is nothing to speak of");
}

static void test_control(void) {
  start_two();
  (void) forwarded(true, false);
  add_passiveports(61000, 61001);
  is_str(ports_read(), "21 2121", "control: the ports of both servers");
  vhosts[0].engine = false;
  is_str(ports_read(), "2121", "... but not with the engine off");
  vhosts[0].engine = true;
  other.ServerPort = 21;
  is_str(ports_read(), "21", "... one that both have once");
  main_server->ServerPort = other.ServerPort = 0;
  is_str(ports_read(), "", "... and none without a port");
  is_said(
    "WARNING ExtIPForward has no port to forward: passive ports are those of NATPasvPool or PassivePorts",
    "... which is said");
}

static void test_passive(void) {
  start_two();
  (void) forwarded(false, true);
  is_str(ports_read(), "", "passive: no ports");
  is_begun("WARNING ExtIPForward has no port to forward: ", "... is said");
  add_passiveports(61000, 61002);
  add_passiveports_to(&other, 61002, 61003);
  is_str(ports_read(), "61000 61001 61002 61003",
    "PassivePorts of both servers, each once");
  is_said("", "... which is nothing to speak of");
  vhosts[0].engine = false;
  is_str(ports_read(), "61002 61003", "... but not with the engine off");
}

static void test_max(void) {
  start_two();
  forwarded(true, true)->max = 3;
  add_passiveports(61000, 61009);
  is_str(ports_read(), "21 2121 61000", "max: control ports come first");
}

static void test_pools(void) {
  start_two();
  (void) forwarded(true, true);
  add_passiveports(61000, 61009);
  pool_port(50000, 40000);
  pool_port(50001, 40001);
  pool_port(50001, 40002);
  pool_port(50002, 40001);
  pool_port(21, 2100);
  is_str(ports_read(), "21 2121 50000:40000 50001:40001",
    "ports of pools instead of PassivePorts, no port twice");
  pools->nelts = 0;
  is_str(ports_read(), "21 2121", "... also if pools have none");
  pools = NULL;
  is_str(ports_read(),
    "21 2121 61000 61001 61002 61003 61004 61005 61006 61007 61008 61009",
    "... PassivePorts if mod_natpasv does not answer");
}

static void test_inetd(void) {
  start_two();
  (void) forwarded(false, true);
  add_passiveports(61000, 61001);
  ServerType = SERVER_INETD;
  is_str(ports_read(), "", "nothing is forwarded with inetd");
  is_said(
    "WARNING ExtIPForward needs a daemon that keeps the forwards: nothing is forwarded with ServerType inetd",
    "... which is said");
}

static void test_values(void) {
  struct extip_gateway_conf *gateway;
  struct in_addr *bind_to;

  start_two();
  gateway = configured("ExtIPGateway", sizeof(*gateway));
  gateway->router.s_addr = inet_addr("192.168.1.254");
  gateway->protocols[0] = EXTIP_UPNP;
  gateway->protocol_count = 1;
  bind_to = configured("ExtIPBind", sizeof(*bind_to));
  bind_to->s_addr = inet_addr("192.168.1.1");
  forwarded(true, false)->lifetime = 600;
  (void) ports_read();
  is_int(router.gateway.router.s_addr, gateway->router.s_addr, "ExtIPGateway");
  is_int(router.gateway.protocols[0], EXTIP_UPNP, "... its protocol");
  is_int(router.bind.s_addr, bind_to->s_addr, "ExtIPBind");
  is_int(router.forwards.lifetime, 600, "the lifetime of ExtIPForward");
}

/* What a session is told */

static const struct forward_port asked_for[] = { { 61000, 61000 },
  { 61001, 61001 } };

static void start_forwards(bool passive) {
  start_two();
  extip_forward_table_claim(extip_shared_forwards(), asked_for, 2, passive);
}

static void open_until(size_t index, int64_t until) {
  struct extip_forward forward = { .given = (uint16_t) (40000 + index),
    .state = EXTIP_FORWARD_OPEN,
    .addr = inet_addr("198.51.100.1"),
    .until = until };

  ok(extip_forward_table_take(extip_shared_forwards(), index, &forward),
    "port %zu is forwarded", index);
}

static void test_told(void) {
  const struct forwards *all;
  uint64_t generation;

  start_forwards(true);
  all = extip_session_forwards();
  ok(all != NULL && all->count == 2, "a session is told of all forwards");
  is_int(all->forward[1].inside, 61001, "... by the port inside");
  is_int(all->forward[1].outside, 0, "... of which none is open yet");
  ok(!all->forward[1].open, "... as it says");
  is_str(all->forward[1].state, "asked", "... and why");
  generation = all->generation;
  is_int(extip_session_forwards()->generation, (long long) generation,
    "nothing has changed: the same list");

  open_until(1, world.now + 10);
  open_until(0, world.now + 20);
  ok(extip_session_forwards()->generation > generation, "a change is seen");
  is_int(all->forward[1].outside, 40001, "... with the port outside");
  ok(all->forward[1].open, "... which is open");
  is_str(all->forward[1].state, "open", "... as it says");
  is_int(all->forward[1].addr.s_addr, inet_addr("198.51.100.1"),
    "... and the address");
  generation = all->generation;
  world.now += 9;
  is_int(extip_session_forwards()->generation, (long long) generation,
    "a forward that is almost over");
  world.now += 1;
  ok(extip_session_forwards()->generation > generation, "one that is over");
  ok(!all->forward[1].open, "... is not open");
  ok(all->forward[0].open, "... the other one is");
  generation = all->generation;
  world.now += 10;
  ok(extip_session_forwards()->generation > generation && !all->forward[0].open,
    "... until it is over, too");

  generation = all->generation;
  extip_session_forwards_free();
  ok(extip_session_forwards()->generation > generation,
    "after a reload the list is a new one");
}

static void test_one(void) {
  const struct forward *one;

  start_forwards(false);
  one = extip_session_forward(place, "61001");
  ok(
    one != NULL && one->inside == 61001 && !one->open, "the forward of a port");
  open_until(1, world.now + 10);
  one = extip_session_forward(place, "61001");
  ok(one != NULL && one->outside == 40001 && one->open, "... that is open");
  ok(extip_session_forward(place, "61002") == NULL, "a port without one");
  extip_shared_free();
  ok(extip_session_forward(place, "61001") == NULL, "no memory");
}

static void test_not_told(void) {
  start_forwards(false);
  ok(extip_session_forwards() == NULL,
    "control ports alone: a session is told of no forwards");
  extip_session_doubt_forwards();
  ok(!woken(), "... and doubts none");
  extip_shared_free();
  ok(extip_session_forwards() == NULL, "... nor without memory");
}

static void test_doubted(void) {
  struct extip_wake wake = { 0, 1 };

  start_forwards(true);
  extip_session_doubt_forwards();
  ok(was_woken(&wake), "a session doubts the forwards");
  is_int(wake.addr, INADDR_NONE, "... and no address");
  is_int(wake.record, 0, "... of none");
}

static void run_tests(void) {
  in_session(test_none);
  in_session(test_control);
  in_session(test_passive);
  in_session(test_max);
  in_session(test_pools);
  in_session(test_inetd);
  in_session(test_values);
  in_session(test_told);
  in_session(test_one);
  in_session(test_not_told);
  in_session(test_doubted);
}

MODRET natpasv_ports(cmd_rec *cmd) {
  return pools != NULL ? mod_create_data(cmd, pools) : PR_DECLINED(cmd);
}

static cmdtable hooks[] = {
  { HOOK, "natpasv_ports", G_NONE, natpasv_ports, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

TEST_MODULE(extip_forwards_test, hooks);
