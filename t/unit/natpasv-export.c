/*
 * natpasv-export.c - what ftpdctl natpasv export prints: each kind once, line by
 * line; which ports are one range; and what cannot be printed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/export.c"
#include "../../mod_natpasv/export_ranges.c"
#include "../../mod_natpasv/export_yaml.c"
#include "../../mod_natpasv/ports.c"
#define parse_number parse_slice_number
#include "../../mod_natpasv/slice.c"
#include "tap.h"

static char printed[20000];

static void keep(void *user, const char *line) {
  (void) user;
  strncat(printed, line, sizeof(printed) - strlen(printed) - 1);
  strncat(printed, "\n", sizeof(printed) - strlen(printed) - 1);
}

/* Without the comments for people, of which all but one are the same. */
static const char *export(const char *front, const struct natpasv_export *what) {
  char reason[256] = "";
  char *text = printed;

  printed[0] = '\0';
  if (natpasv_export(front, what, keep, NULL, reason, sizeof(reason)) < 0) {
    keep(NULL, reason);
    return printed;
  }
  while (strncmp(text, "# ", 2) == 0) {
    text = strchr(text, '\n') + 1;
  }
  return text;
}

static struct natpasv_export_control control[] = { { 21, false } };
static struct natpasv_ports ports;
static struct natpasv_export_pool pool = { .name = "p",
  .address = "10.0.0.11",
  .ports = &ports };
static struct natpasv_export what = { .who = "mod_natpasv/1.0",
  .address = "10.0.0.11",
  .control = control,
  .ncontrol = 1,
  .pools = &pool,
  .npools = 1 };

static void set_pool(
  const char *text, unsigned int external, unsigned int k, unsigned int n) {
  (void) natpasv_ports_parse(&ports, text, 1024);
  pool.external = external;
  pool.slice = (struct natpasv_slice){ k, n };
}

#define TIMEOUTS                                       \
  "  timeout connect 5s\n"                             \
  "  timeout client 1h\n"                              \
  "  timeout server 1h\n"

/* Beside a pool of which this is the second node's part, one that is the same
 * on all nodes. */
static void test_two_pools(void) {
  struct natpasv_ports others;
  struct natpasv_export_pool both[] = {
    { .name = "p", .address = "10.0.0.11", .ports = &ports, .slice = { 2, 2 } },
    { .name = "q", .address = "10.0.0.11", .ports = &others, .external = 50000 }
  };
  struct natpasv_export two = what;

  (void) natpasv_ports_parse(&ports, "61000-61003", 1024);
  (void) natpasv_ports_parse(&others, "62000-62001", 1024);
  two.pools = both;
  two.npools = 2;
  (void) export("haproxy", &two);
  ok(strstr(printed, "\n  bind :50000-50001\n") != NULL,
    "a pool without slices keeps its ports outside on each node");
}

/* The comments for people. */
static void is_head(const char *front, const char *want, const char *name) {
  (void) export(front, &what);
  printed[strlen(want)] = '\0';
  is_str(printed, want, "%s: %s", front, name);
}

static void test_head(void) {
  static const char *const fronts_of_today[] = { "haproxy", "nginx", "nftables",
    "kubernetes", "compose", "traefik" };
  struct natpasv_export_control both[] = { { 21, false }, { 2121, true } };

  set_pool("61000-61003", 0, 0, 0);
  is_head("haproxy",
    "# HAProxy: append this to haproxy.cfg.\n"
    "# Made by mod_natpasv/1.0 on 10.0.0.11.\n"
    "# To the server clients look like this host: there NATPasvLocal none, and share any.\n"
    "listen",
    "where it goes, where it comes from, and what else to do");
  control[0].proxy = true;
  is_head("haproxy",
    "# HAProxy: append this to haproxy.cfg.\n"
    "# Made by mod_natpasv/1.0 on 10.0.0.11.\n"
    "# Data connections come from this host: on the server, allow it in NATPasvRule by from.\n"
    "listen",
    "... with the PROXY protocol");
  is_head("nftables",
    "# nftables: for nft -f on the router, or in its /etc/nftables.conf.\n"
    "# Made by mod_natpasv/1.0 on 10.0.0.11.\n"
    "# If another chain of hook forward drops packets, add: ct status dnat accept.\n",
    "its own note");
  is_head("compose",
    "# Compose: put this into compose.yaml, with your image.\n"
    "# Made by mod_natpasv/1.0 on 10.0.0.11.\n"
    "services:\n",
    "no note");
  control[0].proxy = false;
  set_pool("61000-61003", 0, 1, 2);
  is_head("compose",
    "# Compose: put this into compose.yaml, with your image.\n"
    "# Made by mod_natpasv/1.0 on 10.0.0.11.\n"
    "# Node 1 of 2. For each other node remove the # and put its address for NODE1, NODE2 ...\n",
    "a node of two");

  set_pool("61000-61003", 0, 0, 0);
  what.control = both;
  what.ncontrol = 2;
  for (size_t i = 0; i < NFRONTS; i++) {
    const char *text = export(fronts_of_today[i], &what);

    ok(strstr(text, "21") != NULL && strstr(text, "2121") != NULL,
      "%s: two control ports", fronts_of_today[i]);
  }
  (void) export("nginx", &what);
  ok(strstr(printed, "allow it in NATPasvRule by from") != NULL,
    "... the second of which has the PROXY protocol");
  what.control = control;
  what.ncontrol = 1;
}

static void test_haproxy(void) {
  set_pool("61000-61003", 0, 1, 2);
  is_str(export("haproxy", &what),
    "listen ftp-control-21\n"
    "  mode tcp\n"
    "  bind :21\n"
    "  balance leastconn\n"
    "  option redispatch 1\n" TIMEOUTS
    "  server node1 10.0.0.11:21 check inter 5s\n"
    "#  server node2 NODE2:21 check inter 5s\n"
    "listen ftp-data-p-node1-61000\n"
    "  mode tcp\n"
    "  bind :61000-61001\n" TIMEOUTS
    "  server node1 10.0.0.11\n"
    "#listen ftp-data-p-node2-61002\n"
    "#  mode tcp\n"
    "#  bind :61002-61003\n"
    "#  timeout connect 5s\n"
    "#  timeout client 1h\n"
    "#  timeout server 1h\n"
    "#  server node2 NODE2\n",
    "haproxy: a slice, and the other one as comments");

  set_pool("61000,61001-61002,61010", 0, 0, 0);
  ok(strstr(export("haproxy", &what),
       "  bind :61000-61002\n  bind :61010\n" TIMEOUTS) != NULL,
    "... ranges that follow one another are one");

  set_pool("61000-61001,61010", 1024, 0, 0);
  ok(strstr(export("haproxy", &what),
       "  bind :1024-1025\n" TIMEOUTS "  server node1 10.0.0.11:+59976\n") &&
       strstr(printed, "  bind :1026\n" TIMEOUTS
                       "  server node1 10.0.0.11:+59984\n"),
    "... each difference to the ports outside has a section");

  set_pool("2000", 61000, 0, 0);
  ok(strstr(export("haproxy", &what), "10.0.0.11:-59000\n") != NULL,
    "... which may be negative");
}

static void test_nftables(void) {
  set_pool("61000-61001,61010", 0, 0, 0);
  is_str(export("nftables", &what),
    "table inet ftp_natpasv {\n"
    "  chain in {\n"
    "    type nat hook prerouting priority dstnat\n"
    "    fib daddr type local tcp dport 21 dnat ip to 10.0.0.11\n"
    "    fib daddr type local tcp dport 61000-61001 dnat ip to 10.0.0.11\n"
    "    fib daddr type local tcp dport 61010 dnat ip to 10.0.0.11\n"
    "  }\n"
    "}\n",
    "nftables: ranges");

  pool.address = "2001:db8::1";
  set_pool("61000-61005", 41000, 0, 0);
  ok(strstr(export("nftables", &what),
       "tcp dport 41000-41005 dnat ip6 to 2001:db8::1 : tcp dport map {\n"
       "      41000 : 61000, 41001 : 61001, 41002 : 61002, 41003 : 61003, 41004 : 61004,\n"
       "      41005 : 61005,\n"
       "    }\n") != NULL,
    "... a table for other ports outside, IPv6");
  pool.address = "10.0.0.11";
}

static void test_nginx(void) {
  control[0].proxy = true;
  set_pool("61000-61001", 0, 0, 0);
  is_str(export("nginx", &what),
    "stream {\n"
    "  upstream ftp_control_21 {\n"
    "    least_conn;\n"
    "    server 10.0.0.11:21;\n"
    "  }\n"
    "  server {\n"
    "    listen 21;\n"
    "    proxy_pass ftp_control_21;\n"
    "    proxy_protocol on;\n"
    "    proxy_timeout 1h;\n"
    "  }\n"
    "  server {\n"
    "    listen 61000-61001;\n"
    "    proxy_pass 10.0.0.11:$server_port;\n"
    "    proxy_timeout 1h;\n"
    "  }\n"
    "}\n",
    "nginx, with the PROXY protocol on the control connection");
  control[0].proxy = false;

  pool.address = "2001:db8::1";
  set_pool("61000-61001", 41000, 0, 0);
  ok(strstr(export("nginx", &what), "    41000 61000; 41001 61001;\n  }\n") &&
       strstr(printed, "    proxy_pass [2001:db8::1]:$ftp_port;\n"),
    "... a table for other ports outside, IPv6");
  pool.address = "10.0.0.11";
}

static void test_yaml(void) {
  set_pool("61000-61001", 41000, 2, 2);
  is_str(export("compose", &what),
    "services:\n"
    "#  ftp1:\n"
    "#    image: registry.example/ftp\n"
    "#    ports:\n"
    "#    - \"41000:61000\"\n"
    "  ftp2:\n"
    "    image: registry.example/ftp\n"
    "    ports:\n"
    "    - \"21:21\"\n"
    "    - \"41001:61001\"\n",
    "compose: the second of two slices");

  set_pool("61000-61001", 0, 0, 0);
  is_str(export("kubernetes", &what),
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata:\n"
    "  name: ftp\n"
    "spec:\n"
    "  type: LoadBalancer\n"
    "  externalTrafficPolicy: Local\n"
    "  selector:\n"
    "    app: ftp\n"
    "  ports:\n"
    "  - {name: ftp-21, protocol: TCP, port: 21, targetPort: 21}\n"
    "  - {name: ftp-61000, protocol: TCP, port: 61000, targetPort: 61000}\n"
    "  - {name: ftp-61001, protocol: TCP, port: 61001, targetPort: 61001}\n",
    "kubernetes: a port each");

  set_pool("61000", 0, 0, 0);
  is_str(export("traefik", &what),
    "entryPoints:\n"
    "  ftp-21: {address: \":21\"}\n"
    "  ftp-61000: {address: \":61000\"}\n"
    "---\n"
    "tcp:\n"
    "  routers:\n"
    "    ftp-21: {entryPoints: [ftp-21], rule: \"HostSNI(`*`)\", service: ftp-21}\n"
    "    ftp-61000: {entryPoints: [ftp-61000], rule: \"HostSNI(`*`)\", service: ftp-61000}\n"
    "  services:\n"
    "    ftp-21:\n"
    "      loadBalancer:\n"
    "        servers:\n"
    "        - address: \"10.0.0.11:21\"\n"
    "    ftp-61000: {loadBalancer: {servers: [{address: \"10.0.0.11:61000\"}]}}\n",
    "traefik: a port each");
}

static void test_limits(void) {
  set_pool("61000-61098", 0, 0, 0);
  ok(strncmp(export("kubernetes", &what), "apiVersion", 10) == 0,
    "kubernetes: 100 ports with the control port");
  set_pool("61000-61099", 0, 0, 0);
  is_str(export("kubernetes", &what),
    "kubernetes: a Service has an entry for each port, and 101 ports are more than 100: use smaller pools and a longer wait\n",
    "... and no more");

  set_pool("2000-65535", 0, 0, 0);
  ok(strstr(export("compose", &what), "\"2000-65535:2000-65535\"\n") != NULL,
    "63,536 ports are a range");
  set_pool("2000-64999", 1024, 0, 0);
  is_str(export("nftables", &what),
    "nftables: 12611 lines are more than ftpdctl can show, 900: use pools with fewer ports or ranges, or fewer slices\n",
    "... and too many where each needs an entry");
  is_int(natpasv_export_knows("nftable") || natpasv_export_knows(""), 0,
    "no part of a word will do");
}

int main(void) {
  test_two_pools();
  test_head();
  test_haproxy();
  test_nftables();
  test_nginx();
  test_yaml();
  test_limits();
  return done_testing();
}
