/*
 * mod_extip_check_test - ftpdctl extip check: what is tried, and by which
 * probe. The process that checks is a real one; what it would try and print, it
 * tells the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

#include "../../mod_extip/common_compat.h"

#include "../../mod_extip/check.h"
#include "../../mod_extip/check_run.h"
#include "../../mod_extip/common_check.h"
#include "../../mod_extip/confine.h"
#include "../../mod_extip/verdict.h"

static int fact[2]; /* a pipe */

/* In place of others' functions, in the process that checks. */

pid_t __wrap_extip_helper_fork(void);
pid_t __wrap_extip_helper_fork(void) {
  return fork();
}

void __wrap_extip_detach(void);
void __wrap_extip_detach(void) {
}

const char *__wrap_extip_helper_find(char path[PATH_MAX]);
const char *__wrap_extip_helper_find(char path[PATH_MAX]) {
  sstrncpy(path, "/helper", PATH_MAX);
  return path;
}

static char asked[512]; /* the probes */

void __wrap_extip_check_run(struct extip_verdict *verdict, const char *program,
  char *const *list, size_t count, const char *as);
void __wrap_extip_check_run(struct extip_verdict *verdict, const char *program,
  char *const *list, size_t count, const char *as) {
  sstrcat(asked, program, sizeof(asked));
  for (size_t i = 0; i < count; i++) {
    sstrcat(asked, " ", sizeof(asked));
    sstrcat(asked, list[i], sizeof(asked));
  }
  sstrcat(asked, " as ", sizeof(asked));
  sstrcat(asked, as, sizeof(asked));
  sstrcat(asked, "; ", sizeof(asked));
  sstrncpy(verdict->failed, strcmp(list[0], "bad") == 0 ? "it is bad" : "",
    sizeof(verdict->failed));
}

int __wrap_extip_verdict_print(
  const struct extip_verdict *, void (*)(void *, const char *), void *);
int __wrap_extip_verdict_print(const struct extip_verdict *verdict,
  void (*line)(void *, const char *), void *user) {
  char text[2048], addr[2][INET_ADDRSTRLEN];
  size_t len = 0;

  (void) line;
  (void) user;
  len += (size_t) snprintf(text, sizeof(text), "%s router %s probe %s: %s|",
    inet_ntop(AF_INET, &verdict->announced, addr[0], sizeof(addr[0])),
    inet_ntop(AF_INET, &verdict->router, addr[1], sizeof(addr[1])),
    verdict->probe != NULL ? verdict->probe : "none", asked);
  for (size_t i = 0; i < verdict->count; i++) {
    const struct extip_tried *tried = &verdict->tried[i];

    len += (size_t) snprintf(text + len, sizeof(text) - len, " %s %u:%u",
      tried->pool != NULL ? tried->pool : "control", tried->inside,
      tried->outside);
  }
  for (size_t i = 0; i < verdict->evidence_count; i++) {
    len += (size_t) snprintf(text + len, sizeof(text) - len, "| %s %lu of %lu",
      verdict->evidence[i].pool, verdict->evidence[i].unreached,
      verdict->evidence[i].granted);
  }
  (void) snprintf(text + len, sizeof(text) - len, "| %d",
    verdict->ephemeral[0] > 0 && verdict->ephemeral[1] > verdict->ephemeral[0]);
  (void) !write(fact[1], text, strlen(text) + 1);
  _exit(0);
}

/* The test's side. */

static array_header *pools; /* of mod_natpasv; NULL: it does not answer */

static void be_asked(void) {
  start_daemon();
  arrive("203.0.113.9", "192.168.1.1");
  main_server->ServerPort = 21;
  (void) !pipe(fact);
  fact[0] = fcntl(fact[0], F_DUPFD, 20); /* away from the helper's */
  fact[1] = fcntl(fact[1], F_DUPFD, 20);
}

static const char *checked(void) {
  static char text[2048];
  pr_ctrls_cl_t peer = { .cl_fd = STDIN_FILENO };
  pr_ctrls_t ctrl = { .ctrls_cl = &peer };
  ssize_t len;

  ctrl.ctrls_tmp_pool = place;
  if (extip_check_start(&ctrl, &plan) != PR_CTRLS_STATUS_OK) {
    return "not started";
  }
  (void) close(fact[1]);
  len = read(fact[0], text, sizeof(text) - 1);
  text[len > 0 ? len : 0] = '\0';
  return text;
}

static void add_probe(const char *list) {
  config_rec *c = add_config_param_set(&main_server->conf, "ExtIPProbe", 0);
  cmd_rec *cmd = words("ExtIPProbe", list);

  c->argc = cmd->argc - 1;
  c->argv = cmd->argv + 1;
}

static void test_nothing_known(void) {
  be_asked();
  add_probe("turn:192.0.2.1");
  is_str(checked(), "0.0.0.0 router 0.0.0.0 probe none: | control 21:21| 1",
    "nothing is known: no probe is asked");
}

static void test_known(void) {
  be_asked();
  know("198.51.100.1");
  add_passiveports(61000, 61009);
  add_address("MasqueradeAddress", "192.0.2.1");
  is_str(checked(),
    "198.51.100.1 router 0.0.0.0 probe none: | control 21:21 PassivePorts 61000:61000 PassivePorts 61003:61003 PassivePorts 61006:61006 PassivePorts 61009:61009| 1",
    "four of PassivePorts");
}

static void test_masquerade(void) {
  be_asked();
  add_passiveports(61000, 61001);
  add_address("MasqueradeAddress", "192.0.2.1");
  is_str(checked(),
    "192.0.2.1 router 0.0.0.0 probe none: | control 21:21 PassivePorts 61000:61000 PassivePorts 61001:61001| 1",
    "MasqueradeAddress, and each port once");
}

static void test_masquerade_ipv6(void) {
  be_asked();
  add_address("MasqueradeAddress", "2001:db8::1");
  is_str(checked(), "0.0.0.0 router 0.0.0.0 probe none: | control 21:21| 1",
    "an IPv6 address is not announced by PASV");
}

static void test_probes(void) {
  be_asked();
  know("198.51.100.1");
  add_probe("bad one");
  add_probe("good two three");
  add_probe("good four");
  is_str(checked(),
    "198.51.100.1 router 0.0.0.0 probe good: /helper bad one as 0:0; /helper good two three as 0:0; | control 21:21| 1",
    "one probe after the other, until one can be asked");
}

static void test_router(void) {
  static const struct forward_port ports[] = { { 61000, 61000 },
    { 61001, 61001 } };
  struct extip_forward forward = { .given = 61001,
    .state = EXTIP_FORWARD_OPEN,
    .addr = inet_addr("192.0.2.8"),
    .until = world.now + 1000 };

  be_asked();
  extip_forward_table_claim(extip_shared_forwards(), ports, 2, true);
  (void) extip_forward_table_take(extip_shared_forwards(), 1, &forward);
  is_str(checked(), "0.0.0.0 router 192.0.2.8 probe none: | control 21:21| 1",
    "the router's address, from a forward");
}

static void test_router_source(void) {
  struct extip_record whole = { .answer = { .asked = ASKED },
    .status = { .behind_nat = inet_addr("10.1.1.1") } };

  be_asked();
  extip_table_write(extip_shared_table(), 0, &whole);
  is_str(checked(), "0.0.0.0 router 10.1.1.1 probe none: | control 21:21| 1",
    "... or from a source");
}

static struct check_pool *add_pool(const char *name) {
  struct check_pool *one;

  if (pools == NULL) {
    pools = make_array(place, 2, sizeof(struct check_pool));
  }
  one = push_array(pools);
  *one = (struct check_pool){ .name = name };
  return one;
}

static void test_pools(void) {
  struct check_pool *one;

  be_asked();
  add_passiveports(61000, 61001);
  one = add_pool("a");
  one->inside[0] = 50000;
  one->outside[0] = 40000;
  one->inside[1] = 50001;
  one->outside[1] = 40000;
  one->granted = 7;
  one->unreached = 3;
  one = add_pool("b");
  one->inside[0] = 50002;
  one->outside[0] = 21;
  is_str(checked(),
    "0.0.0.0 router 0.0.0.0 probe none: | control 21:21 a 50000:40000| a 3 of 7| 1",
    "ports of pools instead, each outside one once; and what clients have met");
}

static void test_many(void) {
  const char *text;
  size_t ports = 0, evidence = 0;

  be_asked();
  for (unsigned int i = 0; i < EXTIP_TRIED_MAX + 4; i++) {
    struct check_pool *one = add_pool("p");

    one->inside[0] = one->outside[0] = (uint16_t) (40000 + i);
    one->granted = 1;
  }
  text = checked();
  for (const char *at = text; (at = strstr(at, " p 4")) != NULL; at++) {
    ports++;
  }
  for (const char *at = text; (at = strstr(at, "| p 0 of 1")) != NULL; at++) {
    evidence++;
  }
  is_int((long long) ports, EXTIP_TRIED_MAX - 1,
    "as many ports as there is room for");
  is_int((long long) evidence, EXTIP_EVIDENCE_MAX, "... and pools");
}

static void run_tests(void) {
  in_session(test_nothing_known);
  in_session(test_known);
  in_session(test_masquerade);
  in_session(test_masquerade_ipv6);
  in_session(test_probes);
  in_session(test_router);
  in_session(test_router_source);
  in_session(test_pools);
  in_session(test_many);
}

MODRET natpasv_check(cmd_rec *cmd) {
  return pools != NULL ? mod_create_data(cmd, pools) : PR_DECLINED(cmd);
}

static cmdtable hooks[] = {
  { HOOK, "natpasv_check", G_NONE, natpasv_check, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

TEST_MODULE(extip_check_test, hooks);
