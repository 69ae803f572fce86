/*
 * mod_natpasv - ftpdctl natpasv
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "ctrls.h"
#include "count.h"
#include "pools.h"

#if defined(PR_USE_CTRLS)
#include "mod_ctrls.h"

/* ProFTPD 1.3.8 knows only 0 and -1. */
#if !defined(PR_CTRLS_STATUS_OK)
#define PR_CTRLS_STATUS_OK               0
#define PR_CTRLS_STATUS_GENERIC_ERROR    -1
#define PR_CTRLS_STATUS_ACCESS_DENIED    -1
#define PR_CTRLS_STATUS_WRONG_PARAMETERS -1
#endif

/* ProFTPD sends fewer than 1,000 lines of less than 1,024 bytes. */
#define MAX_LEASES 900

/* A line of the table for people; numbers and pool in one order with JSON. */
#define STATUS_HEAD                                                      \
  "pool                       size  leased quarantined foreign    peak " \
  " granted   waited  refused unreached"
#define STATUS_ROW "%-24s %6u %7u %11u %7u %7lu %8lu %8lu %8lu %9lu"
#define STATUS_JSON                                                \
  "{\"pool\":\"%s\",\"size\":%u,\"leased\":%u,\"quarantined\":%u," \
  "\"foreign\":%u,\"peak\":%lu,\"granted\":%lu,\"waited\":%lu,"    \
  "\"refused\":%lu,\"unreached\":%lu,\"classes\":["
#define CLASS_ROW \
  "  class %-16.60s                               %7lu %8lu %8lu %8lu %9lu%s"
#define CLASS_JSON                                                 \
  "{\"class\":\"%s\",\"peak\":%lu,\"granted\":%lu,\"waited\":%lu," \
  "\"refused\":%lu,\"unreached\":%lu}%s"

static pool *acl_pool = NULL;

struct totals {
  unsigned leased, quarantined, foreign;
  uint64_t peak, count[NATPASV_COUNTERS];
};

static void count_ports(const struct natpasv_table *table,
  const struct natpasv_pool *pool, struct totals *totals) {
  unsigned i, port;

  for (i = 0; i < pool->ports.nranges; i++) {
    for (port = pool->ports.range[i].first; port <= pool->ports.range[i].last;
         port++) {
      uint64_t owner;
      int age = natpasv_lease_age(table, port);
      enum natpasv_state state = natpasv_lease_state(table, port, &owner);

      totals->leased += state == NATPASV_IS_LEASED;
      totals->foreign += state == NATPASV_IS_FOREIGN;
      totals->quarantined += state == NATPASV_IS_FREE && age >= 0 &&
                             (unsigned) age < pool->quarantine;
    }
  }
}

/* The next row of a pool from i on, and the number after it; NATPASV_ROWS + 1
 * when there is none. */
static unsigned next_class(const struct natpasv_table *table, const char *pool,
  unsigned i, struct natpasv_counts *counts) {
  for (; i < NATPASV_ROWS; i++) {
    if (natpasv_count_get(table, i, counts) == 0 &&
        strcmp(counts->pool, pool) == 0) {
      return i + 1;
    }
  }
  return NATPASV_ROWS + 1;
}

static void count_classes(
  const struct natpasv_table *table, const char *pool, struct totals *totals) {
  struct natpasv_counts counts;
  unsigned i = 0, j;

  while ((i = next_class(table, pool, i, &counts)) <= NATPASV_ROWS) {
    for (j = 0; j < NATPASV_COUNTERS; j++) {
      totals->count[j] += counts.count[j];
    }
    if (counts.peak > totals->peak) {
      totals->peak = counts.peak;
    }
  }
}

static void show_classes(pr_ctrls_t *ctrl, const struct natpasv_table *table,
  const char *pool, int json) {
  struct natpasv_counts counts, following;
  unsigned i = next_class(table, pool, 0, &counts);

  while (i <= NATPASV_ROWS) {
    unsigned next = next_class(table, pool, i, &following);
    const uint64_t *count = counts.count;

    (void) pr_ctrls_add_response(ctrl, json ? CLASS_JSON : CLASS_ROW,
      !json && counts.class[0] == '\0' ? "(none)" : counts.class,
      (unsigned long) counts.peak, (unsigned long) count[NATPASV_GRANTED],
      (unsigned long) count[NATPASV_WAITED],
      (unsigned long) count[NATPASV_REFUSED],
      (unsigned long) count[NATPASV_UNREACHED],
      json && next <= NATPASV_ROWS ? "," : "");
    counts = following;
    i = next;
  }
}

static void show_pool(pr_ctrls_t *ctrl, const struct natpasv_table *table,
  const struct natpasv_pool *pool, int json) {
  struct totals totals;
  const uint64_t *count = totals.count;

  memset(&totals, 0, sizeof(totals));
  count_ports(table, pool, &totals);
  count_classes(table, pool->name, &totals);

  (void) pr_ctrls_add_response(ctrl, json ? STATUS_JSON : STATUS_ROW,
    pool->name, pool->ports.count, totals.leased, totals.quarantined,
    totals.foreign, (unsigned long) totals.peak,
    (unsigned long) count[NATPASV_GRANTED],
    (unsigned long) count[NATPASV_WAITED],
    (unsigned long) count[NATPASV_REFUSED],
    (unsigned long) count[NATPASV_UNREACHED]);
  show_classes(ctrl, table, pool->name, json);
}

static int show_status(
  pr_ctrls_t *ctrl, const struct natpasv_table *table, int json) {
  array_header *pools = natpasv_pools(ctrl->ctrls_tmp_pool);
  struct natpasv_pool **all = pools->elts;
  unsigned i;

  (void) pr_ctrls_add_response(ctrl, "%s", json ? "[" : STATUS_HEAD);
  for (i = 0; i < pools->nelts; i++) {
    (void) natpasv_lease_sweep(table, &all[i]->ports);
    show_pool(ctrl, table, all[i], json);
    if (json) {
      (void) pr_ctrls_add_response(
        ctrl, "%s", i + 1 < pools->nelts ? "]}," : "]}");
    }
  }
  if (json) {
    (void) pr_ctrls_add_response(ctrl, "]");
  }
  return PR_CTRLS_STATUS_OK;
}

/* Class and client of a session, from the scoreboard. */
static void describe_session(
  pool *p, pid_t pid, const char **class, const char **client) {
  pr_scoreboard_entry_t *entry;

  *class = "-";
  *client = "-";
  if (pr_rewind_scoreboard() < 0) {
    return;
  }

  while ((entry = pr_scoreboard_entry_read()) != NULL) {
    if (entry->sce_pid == pid) {
      *class = entry->sce_class[0] != '\0' ? pstrdup(p, entry->sce_class) : "-";
      *client = pstrdup(p, entry->sce_client_addr);
      break;
    }
  }
  (void) pr_restore_scoreboard();
}

/* One line; 0 when the port is not leased. */
static int show_lease(pr_ctrls_t *ctrl, const struct natpasv_table *table,
  unsigned port, int may_show) {
  const char *class, *client;
  uint64_t owner;
  pid_t pid;

  if (natpasv_lease_state(table, port, &owner) != NATPASV_IS_LEASED) {
    return 0;
  }

  pid = natpasv_table_alive(table, owner);
  if (pid != 0 && may_show) {
    describe_session(ctrl->ctrls_tmp_pool, pid, &class, &client);
    (void) pr_ctrls_add_response(ctrl, "%5u %-16.60s %-39.60s %7ld %5d", port,
      class, client, (long) pid, natpasv_lease_age(table, port));
  }
  return pid != 0;
}

static int show_leases(
  pr_ctrls_t *ctrl, const struct natpasv_table *table, int json) {
  array_header *pools = natpasv_pools(ctrl->ctrls_tmp_pool);
  struct natpasv_pool **all = pools->elts;
  unsigned i, j, port, leases = 0;

  (void) json;
  (void) pr_ctrls_add_response(ctrl, "%5s %-16s %-39s %7s %5s", "port", "class",
    "client", "process", "age");

  for (i = 0; i < pools->nelts; i++) {
    const struct natpasv_ports *ports = &all[i]->ports;

    for (j = 0; j < ports->nranges; j++) {
      for (port = ports->range[j].first; port <= ports->range[j].last; port++) {
        leases += (unsigned) show_lease(ctrl, table, port, leases < MAX_LEASES);
      }
    }
  }

  if (leases > MAX_LEASES) {
    (void) pr_ctrls_add_response(ctrl, "and %u more", leases - MAX_LEASES);
  }
  return PR_CTRLS_STATUS_OK;
}

static int natpasv_handle_natpasv(pr_ctrls_t *, int, char **);

/* The shape of a table is mod_ctrls'; what an action does is beside it. */
static ctrls_acttab_t natpasv_acttab[] = {
  { "status", NULL, NULL, NULL },
  { "leases", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};

static int (*const shows[])(pr_ctrls_t *, const struct natpasv_table *, int) = {
  show_status,
  show_leases,
};

static int show(pr_ctrls_t *ctrl, unsigned action, int json) {
  struct natpasv_table table;
  int res;

  if (natpasv_table_open_as_root(&table) < 0) {
    (void) pr_ctrls_add_response(ctrl, "natpasv: error opening '%s': %s",
      natpasv_table_path(), strerror(errno));
    return PR_CTRLS_STATUS_GENERIC_ERROR;
  }

  res = shows[action](ctrl, &table, json);
  natpasv_table_close(&table);
  return res;
}

static int natpasv_handle_natpasv(
  pr_ctrls_t *ctrl, int reqargc, char **reqargv) {
  unsigned i;
  int json;

  for (i = 0; reqargc > 0 && natpasv_acttab[i].act_action != NULL; i++) {
    if (strcmp(reqargv[0], natpasv_acttab[i].act_action) == 0) {
      break;
    }
  }

  json = i == 0 && reqargc == 2 && strcmp(reqargv[1], "json") == 0;
  if (reqargc < 1 || natpasv_acttab[i].act_action == NULL ||
      reqargc != 1 + json) {
    (void) pr_ctrls_add_response(
      ctrl, "natpasv: expected 'status', 'status json' or 'leases'");
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  if (!pr_ctrls_check_acl(ctrl, natpasv_acttab, natpasv_acttab[i].act_action)) {
    (void) pr_ctrls_add_response(ctrl, "natpasv: access denied");
    return PR_CTRLS_STATUS_ACCESS_DENIED;
  }

  return show(ctrl, i, json);
}

static void make_acls(void) {
  unsigned i;

  acl_pool = make_sub_pool(permanent_pool);
  pr_pool_tag(acl_pool, MOD_NATPASV_VERSION " control ACLs");
  for (i = 0; natpasv_acttab[i].act_action != NULL; i++) {
    natpasv_acttab[i].act_acl = pcalloc(acl_pool, sizeof(ctrls_acl_t));
    pr_ctrls_init_acl(natpasv_acttab[i].act_acl);
  }
}

static void drop_acls(void) {
  if (acl_pool != NULL) {
    destroy_pool(acl_pool);
    acl_pool = NULL;
  }
}

void natpasv_ctrls_begin(void) {
  if (pr_ctrls_register(&natpasv_module, "natpasv",
        "passive port pools: status [json], leases",
        natpasv_handle_natpasv) < 0) {
    pr_log_pri(PR_LOG_NOTICE,
      MOD_NATPASV_VERSION ": error registering 'natpasv' control: %s",
      strerror(errno));
  }
  make_acls();
}

void natpasv_ctrls_end(void) {
  (void) pr_ctrls_unregister(&natpasv_module, "natpasv");
  drop_acls();
}

void natpasv_ctrls_restart(void) {
  drop_acls();
  make_acls();
}

const char *natpasv_ctrls_set_acls(cmd_rec *cmd) {
  char **actions = pr_ctrls_parse_acl(cmd->tmp_pool, cmd->argv[1]);
  const char *bad, *access = cmd->argv[2], *type = cmd->argv[3];

  if (strcmp(access, "allow") != 0 && strcmp(access, "deny") != 0) {
    return pstrcat(cmd->tmp_pool, "second parameter '", access,
      "' is not allow or deny", NULL);
  }

  if (strcmp(type, "user") != 0 && strcmp(type, "group") != 0) {
    return pstrcat(
      cmd->tmp_pool, "third parameter '", type, "' is not user or group", NULL);
  }

  bad = pr_ctrls_set_module_acls(
    natpasv_acttab, acl_pool, actions, access, type, cmd->argv[4]);
  return bad == NULL ? NULL
                     : pstrcat(cmd->tmp_pool, "unknown action '", bad,
                         "', expected status, leases or all", NULL);
}

#else

void natpasv_ctrls_begin(void) {
}

void natpasv_ctrls_end(void) {
}

void natpasv_ctrls_restart(void) {
}

const char *natpasv_ctrls_set_acls(cmd_rec *cmd) {
  (void) cmd;
  return "needs Controls support (--enable-ctrls)";
}

#endif
