/*
 * mod_extip - ftpdctl extip status, status json and refresh
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "ctrl.h"
#include "helper.h"
#include "mod_extip.h"
#include "report.h"
#include "status.h"

#if defined(PR_USE_CTRLS)
#include "mod_ctrls.h"

#if !defined(PR_CTRLS_STATUS_OK)
#define PR_CTRLS_STATUS_OK               0
#define PR_CTRLS_STATUS_ACCESS_DENIED    -1
#define PR_CTRLS_STATUS_WRONG_PARAMETERS -1
#define PR_CTRLS_STATUS_OPERATION_DENIED -1
#endif

static const struct extip_plan *ctrl_plan = NULL;
static const struct extip_table *ctrl_table = NULL;
static pool *acl_pool = NULL;

static ctrls_acttab_t acttab[] = {
  { "refresh", NULL, NULL, NULL },
  { "status", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};

static void add_line(void *ctrl, const char *line) {
  (void) pr_ctrls_add_response(ctrl, "%s", line);
}

/* Both parts of the record of one quest; a quest that the helper has not begun
 * with is shown as one of which nothing is known. */
static void read_quest(const struct extip_quest *quest,
  struct extip_table_answer *answer, struct extip_table_status *status) {
  int record = extip_table_find(ctrl_table->read_fd, quest->key);

  memset(answer, 0, sizeof(*answer));
  memset(status, 0, sizeof(*status));
  if (record >= 0) {
    (void) extip_table_read(ctrl_table->read_fd, (size_t) record, answer);
    (void) extip_table_read_status(
      ctrl_table->read_fd, (size_t) record, status);
  }

  sstrncpy(answer->key, quest->key, sizeof(answer->key));
}

/* ftpdctl refuses an answer of more than 1,024 lines. */
#define TEXT_LINES_MAX 1000

static void show_text(pr_ctrls_t *ctrl) {
  struct extip_table_answer answer;
  struct extip_table_status status;

  for (size_t i = 0; i < ctrl_plan->quest_count; i++) {
    if (ctrl->ctrls_cb_resps != NULL &&
        ctrl->ctrls_cb_resps->nelts > TEXT_LINES_MAX - EXTIP_STATUS_LINES_MAX) {
      (void) pr_ctrls_add_response(ctrl,
        "%zu more: see 'ftpdctl extip status "
        "json'",
        ctrl_plan->quest_count - i);
      return;
    }

    read_quest(&ctrl_plan->quests[i], &answer, &status);
    extip_status_text(&answer, &status, time(NULL), add_line, ctrl);
  }
}

static void show_json(pr_ctrls_t *ctrl) {
  struct extip_table_answer answer;
  struct extip_table_status status;

  add_line(ctrl, "[");
  for (size_t i = 0; i < ctrl_plan->quest_count; i++) {
    read_quest(&ctrl_plan->quests[i], &answer, &status);
    extip_status_json(
      &answer, &status, i + 1 == ctrl_plan->quest_count, add_line, ctrl);
  }
  add_line(ctrl, "]");
}

static int handle_status(pr_ctrls_t *ctrl, int argc, char **argv) {
  bool json = argc == 1 && strcmp(argv[0], "json") == 0;

  if (argc > 0 && !json) {
    (void) pr_ctrls_add_response(ctrl, "usage: extip status [json]");
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  if (json) {
    show_json(ctrl);

  } else {
    show_text(ctrl);
  }

  return PR_CTRLS_STATUS_OK;
}

/* mod_ctrls closes the connection after each answer, so that it cannot be kept
 * for the end of the round. */
static int handle_refresh(pr_ctrls_t *ctrl, int argc, char **argv) {
  struct extip_table_answer answer;
  struct extip_table_status status;
  bool under_way = false;

  (void) argv;
  if (argc > 0) {
    (void) pr_ctrls_add_response(ctrl, "usage: extip refresh");
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  for (size_t i = 0; i < ctrl_plan->quest_count; i++) {
    read_quest(&ctrl_plan->quests[i], &answer, &status);
    under_way |= status.began > status.ended;
  }

  if (extip_helper_wake(EXTIP_WAKE_OPERATOR) < 0) {
    (void) pr_ctrls_add_response(ctrl, "there is no helper process to ask");
    return PR_CTRLS_STATUS_OPERATION_DENIED;
  }

  (void) pr_ctrls_add_response(ctrl, "%s; see 'ftpdctl extip status'",
    under_way ? "a round is under way, another follows it"
              : "a round is under way");
  return PR_CTRLS_STATUS_OK;
}

static int handle_extip(pr_ctrls_t *ctrl, int argc, char **argv) {
  static const struct {
    const char *action;
    int (*handle)(pr_ctrls_t *, int, char **);
  } actions[] = {
    { "refresh", handle_refresh },
    { "status", handle_status },
  };

  for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
    if (argc < 1 || strcmp(argv[0], actions[i].action) != 0) {
      continue;
    }

    /* The name from the table: for one that is not in it this says yes. */
    if (!pr_ctrls_check_acl(ctrl, acttab, actions[i].action)) {
      (void) pr_ctrls_add_response(ctrl, "access denied");
      return PR_CTRLS_STATUS_ACCESS_DENIED;
    }

    if (ctrl_plan == NULL || ctrl_plan->quest_count == 0) {
      (void) pr_ctrls_add_response(ctrl, "ExtIPEngine is off, or there is no "
                                         "ExtIPSource");
      return PR_CTRLS_STATUS_OPERATION_DENIED;
    }

    return actions[i].handle(ctrl, argc - 1, argv + 1);
  }

  (void) pr_ctrls_add_response(ctrl, "usage: extip status [json] | refresh");
  return PR_CTRLS_STATUS_WRONG_PARAMETERS;
}

/* Whoever can signal the daemon and read its configuration need not be allowed
 * to ask it first. */
static void allow_root(ctrls_acl_t *acl) {
  (void) pr_ctrls_init_acl(acl);
  acl->acl_users.uids = pcalloc(acl_pool, sizeof(uid_t));
  acl->acl_users.nuids = 1;
}

void extip_ctrl_start(void) {
  extip_ctrl_stop();
  if (pr_ctrls_register(&extip_module, "extip", "the address the world sees",
        handle_extip) < 0) {
    extip_log(
      EXTIP_LOG_NOTICE, "cannot register 'ftpdctl extip': %s", strerror(errno));
    return;
  }

  acl_pool = make_sub_pool(permanent_pool);
  pr_pool_tag(acl_pool, "mod_extip controls");
  for (size_t i = 0; acttab[i].act_action != NULL; i++) {
    acttab[i].act_acl = pcalloc(acl_pool, sizeof(ctrls_acl_t));
    allow_root(acttab[i].act_acl);
  }
}

void extip_ctrl_stop(void) {
  if (acl_pool != NULL) {
    (void) pr_ctrls_unregister(&extip_module, "extip");
    destroy_pool(acl_pool);
    acl_pool = NULL;
  }
}

void extip_ctrl_show(
  const struct extip_plan *plan, const struct extip_table *table) {
  ctrl_plan = plan;
  ctrl_table = table;
}

const char *extip_ctrl_set_acl(pool *p, const char *actions, const char *allow,
  const char *type, char *list) {
  const char *bad_action = NULL;

  if (acl_pool == NULL) {
    return "controls are not available";
  }

  if (pr_ctrls_set_module_acls2(acttab, acl_pool,
        pr_ctrls_parse_acl(p, actions), allow, type, list, &bad_action) < 0) {
    return bad_action == NULL
             ? strerror(errno)
             : pstrcat(p, "unknown action '", bad_action,
                 "': allowed are refresh, status and all", NULL);
  }

  return NULL;
}

#else /* no controls in this ProFTPD */

void extip_ctrl_start(void) {
}

void extip_ctrl_stop(void) {
}

void extip_ctrl_show(
  const struct extip_plan *plan, const struct extip_table *table) {
  (void) plan;
  (void) table;
}

const char *extip_ctrl_set_acl(pool *p, const char *actions, const char *allow,
  const char *type, char *list) {
  (void) p;
  (void) actions;
  (void) allow;
  (void) type;
  (void) list;
  return "this ProFTPD is built without controls (--enable-ctrls)";
}

#endif
