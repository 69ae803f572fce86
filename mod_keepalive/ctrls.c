/*
 * mod_keepalive - ftpdctl keepalive status
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "ctrls.h"
#include "log.h"
#include "session.h"
#include "status.h"

#if defined(PR_USE_CTRLS)
#include "mod_ctrls.h"

/* ProFTPD 1.3.8 knows only 0 and -1. */
#if !defined(PR_CTRLS_STATUS_OK)
#define PR_CTRLS_STATUS_OK               0
#define PR_CTRLS_STATUS_GENERIC_ERROR    -1
#define PR_CTRLS_STATUS_ACCESS_DENIED    -1
#define PR_CTRLS_STATUS_WRONG_PARAMETERS -1
#endif

static pool *acl_pool = NULL;

static ctrls_acttab_t acttab[] = {
  { "status", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};

static void add_line(void *ctrl, const char *line) {
  (void) pr_ctrls_add_response(ctrl, "%s", line);
}

static int handle_status(pr_ctrls_t *ctrl, int json) {
  struct keepalive_table *table = keepalive_session_open_table();

  if (table == NULL) {
    (void) pr_ctrls_add_response(
      ctrl, "no table of sessions: %s", strerror(errno));
    return PR_CTRLS_STATUS_GENERIC_ERROR;
  }

  if (json) {
    keepalive_status_json(table, add_line, ctrl);

  } else {
    keepalive_status_text(table, (int64_t) time(NULL), add_line, ctrl);
  }

  keepalive_table_close(table);
  return PR_CTRLS_STATUS_OK;
}

static int handle_keepalive(pr_ctrls_t *ctrl, int argc, char **argv) {
  int json = argc == 2 && strcmp(argv[1], "json") == 0;

  if (argc < 1 || argc != 1 + json ||
      strcmp(argv[0], acttab[0].act_action) != 0) {
    (void) pr_ctrls_add_response(ctrl, "usage: keepalive status [json]");
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  /* The name from the table: for one that is not in it this says yes. */
  if (!pr_ctrls_check_acl(ctrl, acttab, acttab[0].act_action)) {
    (void) pr_ctrls_add_response(ctrl, "access denied");
    return PR_CTRLS_STATUS_ACCESS_DENIED;
  }

  return handle_status(ctrl, json);
}

/* Whoever can signal the daemon and read its configuration need not be allowed
 * to ask it first.
 */
static void allow_root(ctrls_acl_t *acl) {
  (void) pr_ctrls_init_acl(acl);
  acl->acl_users.uids = pcalloc(acl_pool, sizeof(uid_t));
  acl->acl_users.nuids = 1;
}

void keepalive_ctrls_start(void) {
  keepalive_ctrls_stop();
  if (pr_ctrls_register(&keepalive_module, "keepalive",
        "sessions that are kept alive: status [json]", handle_keepalive) < 0) {
    keepalive_log("cannot register 'ftpdctl keepalive': %s", strerror(errno));
    return;
  }

  acl_pool = make_sub_pool(permanent_pool);
  pr_pool_tag(acl_pool, MOD_KEEPALIVE_VERSION " controls");
  acttab[0].act_acl = pcalloc(acl_pool, sizeof(ctrls_acl_t));
  allow_root(acttab[0].act_acl);
}

void keepalive_ctrls_stop(void) {
  if (acl_pool != NULL) {
    (void) pr_ctrls_unregister(&keepalive_module, "keepalive");
    destroy_pool(acl_pool);
    acl_pool = NULL;
  }
}

const char *keepalive_ctrls_set_acls(cmd_rec *cmd) {
  const char *access = cmd->argv[2], *type = cmd->argv[3], *bad;
  char **actions = pr_ctrls_parse_acl(cmd->tmp_pool, cmd->argv[1]);

  if (acl_pool == NULL) {
    return "needs 'ftpdctl keepalive', which is not registered";
  }

  if (strcmp(access, "allow") != 0 && strcmp(access, "deny") != 0) {
    return pstrcat(
      cmd->tmp_pool, "'", access, "': expected allow or deny", NULL);
  }

  if (strcmp(type, "user") != 0 && strcmp(type, "group") != 0) {
    return pstrcat(cmd->tmp_pool, "'", type, "': expected user or group", NULL);
  }

  bad = pr_ctrls_set_module_acls(
    acttab, acl_pool, actions, access, type, cmd->argv[4]);
  return bad == NULL ? NULL
                     : pstrcat(cmd->tmp_pool, "action '", bad,
                         "': expected status or all", NULL);
}

#else

void keepalive_ctrls_start(void) {
}

void keepalive_ctrls_stop(void) {
}

const char *keepalive_ctrls_set_acls(cmd_rec *cmd) {
  (void) cmd;
  return "needs a ProFTPD with Controls (--enable-ctrls)";
}

#endif
