/*
 * mod_extip - ftpdctl extip check: is this server reachable as it says
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"
#include "privs.h"

#include "check.h"

#if defined(PR_USE_CTRLS)

#include "check_run.h"
#include "clock.h"
#include "common_check.h"
#include "confine.h"
#include "helper.h"
#include "helper_fds.h"
#include "mod_extip.h"
#include "shared.h"
#include "verdict.h"

/* Seconds between two runs: probes are third parties. */
#define GAP 60

/* After which the process ends, whatever it waits for. */
#define LIFE 120

/* In the process that checks. */
static struct extip_verdict *verdict = NULL;

static void add_port(
  const char *name, unsigned int inside, unsigned int outside) {
  if (inside == 0 || verdict->count == EXTIP_TRIED_MAX) {
    return;
  }
  for (size_t i = 0; i < verdict->count; i++) {
    if (verdict->tried[i].outside == outside) {
      return;
    }
  }
  verdict->tried[verdict->count++] = (struct extip_tried){
    .pool = name, .inside = (uint16_t) inside, .outside = (uint16_t) outside
  };
}

/* Facts */

/* The answer of mod_natpasv; NULL if it is not loaded, or its engine off. */
static const array_header *ask_natpasv(pool *p) {
  cmdtable *hook =
    pr_stash_get_symbol2(PR_SYM_HOOK, "natpasv_check", NULL, NULL, NULL);
  modret_t *answer = hook != NULL ? pr_module_call(hook->m, hook->handler,
                                      pr_cmd_alloc(p, 1, "natpasv_check"))
                                  : NULL;

  return MODRET_ISHANDLED(answer) && MODRET_HASDATA(answer) ? answer->data
                                                            : NULL;
}

static void add_pools(const array_header *list) {
  const struct check_pool *pools = list->elts;

  for (unsigned int i = 0; i < (unsigned int) list->nelts; i++) {
    const struct check_pool *one = &pools[i];

    for (size_t k = 0; k < CHECK_PORTS; k++) {
      add_port(one->name, one->inside[k], one->outside[k]);
    }
    if (one->granted > 0 && verdict->evidence_count < EXTIP_EVIDENCE_MAX) {
      verdict->evidence[verdict->evidence_count++] = (struct extip_evidence){
        .pool = one->name, .granted = one->granted, .unreached = one->unreached
      };
    }
  }
}

/* Without mod_natpasv: both ends of PassivePorts, and two between. */
static void add_passive_ports(void) {
  const config_rec *c =
    find_config(main_server->conf, CONF_PARAM, "PassivePorts", FALSE);

  if (c != NULL) {
    unsigned int first = (unsigned int) *((int *) c->argv[0]),
                 last = (unsigned int) *((int *) c->argv[1]);

    for (unsigned int i = 0; i <= 3; i++) {
      unsigned int port = first + (last - first) * i / 3;

      add_port("PassivePorts", port, port);
    }
  }
}

/* What clients are told, in the place of the address that they reach. */
static struct in_addr announced_address(const struct extip_plan *plan) {
  const struct extip_vhost *vhost = extip_plan_find(plan, main_server);
  struct extip_table_answer answer = { .addr = INADDR_ANY };
  struct in_addr addr = { INADDR_ANY };
  const config_rec *c;

  if (vhost != NULL && vhost->discovery != NULL) {
    (void) extip_table_read(
      extip_shared_view(), vhost->discovery->record, &answer);
    addr.s_addr = answer.addr;
  }

  c = find_config(main_server->conf, CONF_PARAM, "MasqueradeAddress", FALSE);
  if (addr.s_addr == INADDR_ANY && c != NULL && c->argv[0] != NULL &&
      pr_netaddr_get_family(c->argv[0]) == AF_INET) {
    memcpy(&addr, pr_netaddr_get_inaddr(c->argv[0]), sizeof(addr));
  }
  return addr;
}

static void read_ephemeral(void) {
  FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  char text[64] = "", *end;

  if (range != NULL) {
    if (fgets(text, sizeof(text), range) != NULL) {
      verdict->ephemeral[0] = (unsigned int) strtoul(text, &end, 10);
      verdict->ephemeral[1] = (unsigned int) strtoul(end, NULL, 10);
    }
    (void) fclose(range);
  }
}

/* The router's outside address as its protocols told it: a source, or the
 * forwards. */
static struct in_addr router_address(const struct extip_plan *plan) {
  const struct extip_vhost *vhost = extip_plan_find(plan, main_server);
  const struct extip_forward_table *table = extip_shared_forwards_view();
  size_t count = table != NULL ? extip_forward_table_count(table) : 0;
  struct in_addr addr = { INADDR_ANY };
  struct extip_record whole;
  struct extip_forward forward;

  if (vhost != NULL && vhost->discovery != NULL &&
      extip_table_read_all(
        extip_shared_view(), vhost->discovery->record, &whole)) {
    addr.s_addr = whole.status.behind_nat;
  }
  for (size_t i = 0; i < count && addr.s_addr == INADDR_ANY; i++) {
    (void) extip_forward_table_read(table, i, extip_now(), &forward);
    addr.s_addr = forward.addr;
  }
  return addr;
}

static void gather(pool *p, const struct extip_plan *plan) {
  const array_header *pools = ask_natpasv(p);

  verdict->announced = announced_address(plan);
  verdict->router = router_address(plan);
  read_ephemeral();
  add_port(NULL, main_server->ServerPort, main_server->ServerPort);
  if (pools != NULL) {
    add_pools(pools);
  } else {
    add_passive_ports();
  }
}

/* Asks one probe after the other until one can be asked. */
static void ask_probes(const char *program, const char *as) {
  config_rec *c =
    find_config(main_server->conf, CONF_PARAM, "ExtIPProbe", FALSE);

  while (c != NULL && verdict->announced.s_addr != INADDR_ANY) {
    verdict->probe = c->argv[0];
    extip_check_run(verdict, program, (char *const *) c->argv, c->argc, as);
    if (*verdict->failed == '\0') {
      return;
    }
    c = find_config_next(c, c->next, CONF_PARAM, "ExtIPProbe", FALSE);
  }
}

/* The process */

static void add_line(void *ctrl, const char *line) {
  (void) pr_ctrls_add_response(ctrl, "%s", line);
}

static void check(pr_ctrls_t *ctrl, const struct extip_plan *plan) {
  pool *p = make_sub_pool(permanent_pool);
  char program[PATH_MAX], as[32] = "";
  uid_t uid = geteuid();
  gid_t gid = getegid();

  session.pid = getpid();
  PRIVS_ROOT
  extip_helper_find(program);
  if (getuid() == 0) {
    snprintf(
      as, sizeof(as), "%lu:%lu", (unsigned long) uid, (unsigned long) gid);
  }

  /* A program that begins with two users is a set-user-ID one to its loader. */
  if (setregid(getegid(), getegid()) < 0 ||
      setreuid(geteuid(), geteuid()) < 0) {
    _exit(1);
  }

  /* Nothing of the daemon's stays open: a listening socket of its own would
   * swallow clients. */
  if (dup2(ctrl->ctrls_cl->cl_fd, EXTIP_LINK_FD) < 0) {
    _exit(1);
  }
  (void) close(EXTIP_WAKE_FD);
  extip_detach();
  (void) alarm(LIFE);
  (void) fcntl(EXTIP_LINK_FD, F_SETFL, 0);

  verdict = pcalloc(p, sizeof(*verdict));
  gather(p, plan);
  ask_probes(program, as);
  ctrl->ctrls_cl->cl_fd = EXTIP_LINK_FD;
  ctrl->ctrls_cb_retval = extip_verdict_print(verdict, add_line, ctrl) == 0
                            ? PR_CTRLS_STATUS_OK
                            : PR_CTRLS_STATUS_GENERIC_ERROR;
  (void) pr_ctrls_flush_response(ctrl);
  _exit(0);
}

int extip_check_start(pr_ctrls_t *ctrl, const struct extip_plan *plan) {
  static time_t last = 0;
  time_t now = time(NULL);
  pid_t pid;

  if (last != 0 && now >= last && now - last < GAP) {
    (void) pr_ctrls_add_response(ctrl,
      "the last check began %ld s ago: try again in %ld s", (long) (now - last),
      (long) (GAP - (now - last)));
    return PR_CTRLS_STATUS_OPERATION_DENIED;
  }

  pid = extip_helper_fork();
  if (pid == 0) {
    check(ctrl, plan);
  }
  if (pid < 0) {
    (void) pr_ctrls_add_response(
      ctrl, "cannot start the check: %s", strerror(errno));
    return PR_CTRLS_STATUS_OPERATION_DENIED;
  }

  /* mod_ctrls closes its descriptor of a client for which there is no response
   * yet; the process has its own. */
  last = now;
  return PR_CTRLS_STATUS_OK;
}

#endif
