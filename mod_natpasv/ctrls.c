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

/* Lines for people and for programs, which take the same values. */
#define NUMBERS(counts)                              \
  (unsigned long) (counts).peak,                     \
    (unsigned long) (counts).count[NATPASV_GRANTED], \
    (unsigned long) (counts).count[NATPASV_WAITED],  \
    (unsigned long) (counts).count[NATPASV_REFUSED], \
    (unsigned long) (counts).count[NATPASV_FOREIGN], \
    (unsigned long) (counts).count[NATPASV_UNREACHED]
#define NUMBERS_ROW "%6lu %9lu %7lu %7lu %7lu %9lu"
#define NUMBERS_JSON                                             \
  "\"peak\":%lu,\"granted\":%lu,\"waited\":%lu,\"refused\":%lu," \
  "\"foreign\":%lu,\"unreached\":%lu"

#define HEAD                                                              \
  "pool                       size leased quarantined   peak   granted  " \
  "waited refused foreign unreached"
#define POOL_ROW  "%-24s %6u %6u %11u " NUMBERS_ROW
#define CLASS_ROW "  class %-42.42s " NUMBERS_ROW "%s"
#define POOL_JSON                                                \
  "{\"pool\":\"%s\",\"size\":%u,\"leased\":%u,\"quarantined\":%" \
  "u," NUMBERS_JSON ",\"classes\":["
#define CLASS_JSON "{\"class\":\"%s\"," NUMBERS_JSON "}%s"

static pool *acl_pool = NULL;

struct totals {
  unsigned leased, quarantined;
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
    i = next_class(table, pool, i, &following);
    (void) pr_ctrls_add_response(ctrl, json ? CLASS_JSON : CLASS_ROW,
      !json && counts.class[0] == '\0' ? "(none)" : counts.class,
      NUMBERS(counts), json && i <= NATPASV_ROWS ? "," : "");
    counts = following;
  }
}

static void show_pool(pr_ctrls_t *ctrl, const struct natpasv_table *table,
  const struct natpasv_pool *pool, int json) {
  struct totals totals;

  memset(&totals, 0, sizeof(totals));
  count_ports(table, pool, &totals);
  count_classes(table, pool->name, &totals);

  (void) pr_ctrls_add_response(ctrl, json ? POOL_JSON : POOL_ROW, pool->name,
    pool->ports.count, totals.leased, totals.quarantined, NUMBERS(totals));
  show_classes(ctrl, table, pool->name, json);
}

static int show_status(
  pr_ctrls_t *ctrl, const struct natpasv_table *table, int json) {
  array_header *pools = natpasv_pools(ctrl->ctrls_tmp_pool);
  struct natpasv_pool **all = pools->elts;
  unsigned i;

  (void) pr_ctrls_add_response(ctrl, "%s", json ? "[" : HEAD);
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

/* A session as the scoreboard knows it. */
struct session_entry {
  pid_t pid;
  const char *class;
  const char *client;
};

static array_header *read_scoreboard(pool *p) {
  array_header *sessions = make_array(p, 64, sizeof(struct session_entry));
  pr_scoreboard_entry_t *entry;
  int res;

  pr_signals_block();
  PRIVS_ROOT
  res = pr_open_scoreboard(O_RDWR);
  PRIVS_RELINQUISH
  pr_signals_unblock();

  if (res < 0 || pr_rewind_scoreboard() < 0) {
    return sessions;
  }

  while ((entry = pr_scoreboard_entry_read()) != NULL) {
    struct session_entry *one = push_array(sessions);

    one->pid = entry->sce_pid;
    one->class = pstrdup(p, entry->sce_class);
    one->client = pstrdup(p, entry->sce_client_addr);
  }
  pr_close_scoreboard(TRUE);
  return sessions;
}

static const struct session_entry *find_session(
  array_header *sessions, pid_t pid) {
  static const struct session_entry unknown = { 0, "", "?" };
  const struct session_entry *all = sessions->elts;
  unsigned i;

  for (i = 0; i < sessions->nelts; i++) {
    if (all[i].pid == pid) {
      return &all[i];
    }
  }
  return &unknown;
}

/* One line, if it may be shown; 0 when the port is not leased. */
static int show_lease(pr_ctrls_t *ctrl, const struct natpasv_table *table,
  array_header *sessions, unsigned port, int may_show) {
  uint64_t owner;
  pid_t pid;

  if (natpasv_lease_state(table, port, &owner) != NATPASV_IS_LEASED) {
    return 0;
  }

  pid = natpasv_table_alive(table, owner);
  if (pid != 0 && may_show) {
    const struct session_entry *entry = find_session(sessions, pid);

    (void) pr_ctrls_add_response(ctrl, "%5u %-16.60s %-39.60s %7ld %5d", port,
      entry->class[0] != '\0' ? entry->class : "(none)", entry->client,
      (long) pid, natpasv_lease_age(table, port));
  }
  return pid != 0;
}

static int show_leases(
  pr_ctrls_t *ctrl, const struct natpasv_table *table, int json) {
  pool *p = ctrl->ctrls_tmp_pool;
  array_header *pools = natpasv_pools(p), *sessions = read_scoreboard(p);
  struct natpasv_pool **all = pools->elts;
  unsigned i, j, port, leases = 0;

  (void) json;
  (void) pr_ctrls_add_response(ctrl, "%5s %-16s %-39s %7s %5s", "port", "class",
    "client", "process", "age");

  for (i = 0; i < pools->nelts; i++) {
    const struct natpasv_ports *ports = &all[i]->ports;

    for (j = 0; j < ports->nranges; j++) {
      for (port = ports->range[j].first; port <= ports->range[j].last; port++) {
        leases += (unsigned) show_lease(
          ctrl, table, sessions, port, leases < MAX_LEASES);
      }
    }
  }

  if (leases > MAX_LEASES) {
    (void) pr_ctrls_add_response(ctrl, "and %u more", leases - MAX_LEASES);
  }
  return PR_CTRLS_STATUS_OK;
}

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
      natpasv_table_path(), natpasv_table_error(errno));
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

/* root, who may read the table anyway, until the configuration says else. */
static void allow_root(ctrls_acl_t *acl) {
  pr_ctrls_init_acl(acl);
  acl->acl_users.allow = TRUE;
  acl->acl_users.nuids = 1;
  acl->acl_users.uids = pcalloc(acl_pool, sizeof(uid_t));
}

static void make_acls(void) {
  unsigned i;

  acl_pool = make_sub_pool(permanent_pool);
  pr_pool_tag(acl_pool, MOD_NATPASV_VERSION " control ACLs");
  for (i = 0; natpasv_acttab[i].act_action != NULL; i++) {
    natpasv_acttab[i].act_acl = pcalloc(acl_pool, sizeof(ctrls_acl_t));
    allow_root(natpasv_acttab[i].act_acl);
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
