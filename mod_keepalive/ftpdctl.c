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

#include "ftpdctl.h"
#include "common_acls.h"
#include "metrics.h"
#include "shared.h"
#include "status.h"

#if defined(PR_USE_CTRLS)

static int handle_keepalive(pr_ctrls_t *ctrl, int argc, char **argv);

static ctrls_acttab_t actions[] = {
  { "status", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};

static struct acls acls = {
  .owner = &keepalive_module,
  .name = "keepalive",
  .about = "keepalives of control connections: status",
  .directive = "KeepaliveControlsACLs",
  .handle = handle_keepalive,
  .actions = actions,
};

static void add_line(void *user, const char *line) {
  (void) pr_ctrls_add_response(user, "%s", line);
}

static int handle_keepalive(pr_ctrls_t *ctrl, int argc, char **argv) {
  struct keepalive_table *table = keepalive_shared_table();
  struct report report = { add_line, ctrl };
  int status = PR_CTRLS_STATUS_OK, format;

  if (acls_permit(&acls, ctrl, argc > 0 ? argv[0] : NULL, &status) == NULL) {
    return status;
  }

  format = acls_format(ctrl, argc - 1, argv + 1, ACLS_PROMETHEUS);
  if (format < 0) {
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  if (table == NULL) {
    (void) pr_ctrls_add_response(
      ctrl, "KeepaliveEngine is off, or there was no memory (see the log)");
    return PR_CTRLS_STATUS_GENERIC_ERROR;
  }

  switch (format) {
    case ACLS_JSON:
      keepalive_status_json(table, MOD_KEEPALIVE_VERSION, add_line, ctrl);
      break;
    case ACLS_PROMETHEUS:
      keepalive_metrics(table, MOD_KEEPALIVE_VERSION, add_line, ctrl);
      break;
    default:
      keepalive_status_text(table, (int64_t) time(NULL), &report);
  }
  return PR_CTRLS_STATUS_OK;
}

void keepalive_ftpdctl_start(void) {
  (void) acls_start(&acls);
}

void keepalive_ftpdctl_stop(void) {
  acls_stop(&acls);
}

int keepalive_ftpdctl_configure(
  cmd_rec *cmd, char *reason, size_t reason_size) {
  return acls_configure(&acls, cmd, reason, reason_size);
}

#else

void keepalive_ftpdctl_start(void) {
}

void keepalive_ftpdctl_stop(void) {
}

int keepalive_ftpdctl_configure(
  cmd_rec *cmd, char *reason, size_t reason_size) {
  (void) cmd;
  snprintf(reason, reason_size,
    "this ProFTPD was built without controls (--enable-ctrls)");
  return -1;
}

#endif
