/*
 * mod_natpasv - ftpdctl natpasv
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "ftpdctl.h"

#if defined(PR_USE_CTRLS)
#include "common_acls.h"
#include "exported.h"
#include "forwards.h"
#include "lease.h"
#include "metrics.h"
#include "options.h"
#include "pools.h"
#include "queue.h"
#include "shared.h"
#include "status.h"

#include "privs.h"

/* ProFTPD sends fewer than 1,000 lines. */
#define MAX_LEASES 900

static void answer(void *user, const char *line) {
  (void) pr_ctrls_add_response(user, "%s", line);
}

/* Pools
 */

static void count_ports(const struct natpasv_map *map,
  const struct natpasv_pool *pool, struct natpasv_status_pool *status) {
  for (unsigned int i = 0; i < pool->ports.nranges; i++) {
    const struct natpasv_range *range = &pool->ports.range[i];

    for (unsigned int port = range->first; port <= range->last; port++) {
      uint16_t owner = map->port[port].owner;
      int age = natpasv_lease_age(map, port);

      status->leased += owner != 0 && owner != NATPASV_STRANGER;
      status->quarantined +=
        owner == 0 && age >= 0 && (unsigned int) age < pool->quarantine;
    }
  }
}

static void add_counts(
  struct natpasv_counts *all, const struct natpasv_counts *counts) {
  for (unsigned int i = 0; i < NATPASV_COUNTERS; i++) {
    all->count[i] += counts->count[i];
  }
  if (counts->peak > all->peak) {
    all->peak = counts->peak;
  }
}

static void count_classes(pool *p, const struct natpasv_table *table,
  uint64_t ports, struct natpasv_status_pool *status) {
  array_header *classes = make_array(p, 4, sizeof(struct natpasv_counts));

  for (unsigned int i = 0; i < NATPASV_ROWS; i++) {
    struct natpasv_counts counts;

    if (natpasv_count_get(table, i, &counts) == 0 && counts.ports == ports) {
      add_counts(&status->all, &counts);
      *((struct natpasv_counts *) push_array(classes)) = counts;
    }
  }

  status->classes = classes->elts;
  status->nclasses = (unsigned int) classes->nelts;
}

static struct natpasv_status describe_pools(
  pool *p, const struct natpasv_table *table) {
  array_header *pools = natpasv_pools(p);
  struct natpasv_pool **all = pools->elts;
  unsigned int npools = (unsigned int) pools->nelts;
  struct natpasv_status_pool *statuses =
    pcalloc(p, (npools + 1) * sizeof(struct natpasv_status_pool));

  for (unsigned int i = 0; i < npools; i++) {
    statuses[i].name = all[i]->name;
    statuses[i].size = all[i]->ports.count;
    statuses[i].waiting = natpasv_queue_waiting(table->map, all[i]->key);
    count_ports(table->map, all[i], &statuses[i]);
    natpasv_forwards_count(
      p, all[i], &statuses[i].to_forward, &statuses[i].forwarded);
    count_classes(p, table, all[i]->key, &statuses[i]);
  }

  return (struct natpasv_status){ .who = MOD_NATPASV_VERSION,
    .since = table->map->since,
    .pools = statuses,
    .npools = npools };
}

static void show_status(pool *p, pr_ctrls_t *ctrl,
  const struct natpasv_table *table, enum acls_format format) {
  struct natpasv_status status = describe_pools(p, table);
  struct report report = { answer, ctrl };

  switch (format) {
    case ACLS_JSON:
      natpasv_status_json(&status, answer, ctrl);
      break;
    case ACLS_PROMETHEUS:
      natpasv_metrics(&status, answer, ctrl);
      break;
    default:
      natpasv_status_text(&status, (int64_t) time(NULL), &report);
  }
}

/* Leases
 */

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

  for (unsigned int i = 0; i < sessions->nelts; i++) {
    if (all[i].pid == pid) {
      return &all[i];
    }
  }
  return &unknown;
}

static struct natpasv_status_lease describe(const struct natpasv_map *map,
  array_header *sessions, unsigned int port, uint16_t owner) {
  pid_t pid = (pid_t) map->owner[owner].pid;
  const struct session_entry *entry = find_session(sessions, pid);

  return (struct natpasv_status_lease){ .port = port,
    .class = entry->class,
    .client = entry->client,
    .pid = pid,
    .age = natpasv_lease_age(map, port) };
}

static void show_leases(pool *p, pr_ctrls_t *ctrl,
  const struct natpasv_table *table, enum acls_format format) {
  array_header *sessions = read_scoreboard(p),
               *leases = make_array(p, 64, sizeof(struct natpasv_status_lease));
  struct report report = { answer, ctrl };
  unsigned int total = 0;

  for (unsigned int port = 1; port <= NATPASV_MAX_PORT; port++) {
    /* Read once: it may become another one that is out of range. */
    uint16_t owner = *(const volatile uint16_t *) &table->map->port[port].owner;

    if (owner != 0 && owner < NATPASV_OWNERS && ++total <= MAX_LEASES) {
      *((struct natpasv_status_lease *) push_array(leases)) =
        describe(table->map, sessions, port, owner);
    }
  }

  if (format == ACLS_JSON) {
    natpasv_status_leases_json(MOD_NATPASV_VERSION, table->map->since,
      leases->elts, (unsigned int) leases->nelts, total, answer, ctrl);
  } else {
    natpasv_status_leases(
      leases->elts, (unsigned int) leases->nelts, total, &report);
  }
}

/* Export
 */

static int show_export(pr_ctrls_t *ctrl, int argc, char **argv) {
  struct natpasv_export what;
  char reason[NATPASV_REASON_SIZE];
  bool done;
  pool *p;

  if (argc != 1 || !natpasv_export_knows(argv[0])) {
    acls_refuse(ctrl, argc > 0 ? argv[argc - 1] : NULL, NATPASV_EXPORT_FRONTS);
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  p = make_sub_pool(permanent_pool);
  done =
    natpasv_exported(p, &what, reason, sizeof(reason)) == 0 &&
    natpasv_export(argv[0], &what, answer, ctrl, reason, sizeof(reason)) == 0;
  destroy_pool(p);
  if (!done) {
    (void) pr_ctrls_add_response(ctrl, "%s", reason);
    return PR_CTRLS_STATUS_GENERIC_ERROR;
  }
  return PR_CTRLS_STATUS_OK;
}

/* Actions
 */

enum { STATUS, LEASES, EXPORT };

static ctrls_acttab_t actions[] = {
  [STATUS] = { "status", NULL, NULL, NULL },
  [LEASES] = { "leases", NULL, NULL, NULL },
  [EXPORT] = { "export", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};

static int handle(pr_ctrls_t *ctrl, int argc, char **argv);

static struct acls acls = {
  .owner = &natpasv_module,
  .name = "natpasv",
  .about = "passive port pools: status, leases, export",
  .directive = "NATPasvControlsACLs",
  .handle = handle,
  .actions = actions,
};

/* Only ports of live sessions are shown. The daemon takes a place of its own,
 * because every process that changes the table needs one. */
static void sweep(struct natpasv_table *table) {
  struct natpasv_lessee daemon = { .table = table };

  (void) natpasv_table_mend(table);
  if (natpasv_queue_enrol(&daemon) == 0) {
    (void) natpasv_queue_sweep(&daemon);
  }
}

static int handle(pr_ctrls_t *ctrl, int argc, char **argv) {
  struct natpasv_table *table;
  const ctrls_acttab_t *action;
  int status, format;
  pool *p;

  action = acls_permit(&acls, ctrl, argc > 0 ? argv[0] : NULL, &status);
  if (action == NULL) {
    return status;
  }

  if (action == &actions[EXPORT]) {
    return show_export(ctrl, argc - 1, argv + 1);
  }

  format = acls_format(ctrl, argc - 1, argv + 1,
    action == &actions[STATUS] ? ACLS_PROMETHEUS : ACLS_JSON);
  if (format < 0) {
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  table = natpasv_shared();
  if (table == NULL) {
    (void) pr_ctrls_add_response(ctrl, "the table of leases is not available");
    return PR_CTRLS_STATUS_GENERIC_ERROR;
  }

  sweep(table);

  /* ProFTPD keeps the pool of a request. */
  p = make_sub_pool(permanent_pool);
  if (action == &actions[STATUS]) {
    show_status(p, ctrl, table, (enum acls_format) format);
  } else {
    show_leases(p, ctrl, table, (enum acls_format) format);
  }
  destroy_pool(p);
  return PR_CTRLS_STATUS_OK;
}

void natpasv_ftpdctl_start(void) {
  (void) acls_start(&acls);
}

void natpasv_ftpdctl_stop(void) {
  acls_stop(&acls);
}

int natpasv_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size) {
  return acls_configure(&acls, cmd, reason, reason_size);
}

#else

void natpasv_ftpdctl_start(void) {
}

void natpasv_ftpdctl_stop(void) {
}

int natpasv_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size) {
  (void) cmd;
  snprintf(reason, reason_size,
    "this ProFTPD was built without controls (--enable-ctrls)");
  return -1;
}

#endif
