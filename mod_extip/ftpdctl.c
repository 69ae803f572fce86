/*
 * mod_extip - ftpdctl extip
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "check.h"
#include "common_acls.h"
#include "forward_status.h"
#include "ftpdctl.h"
#include "helper.h"
#include "metrics.h"
#include "mod_extip.h"
#include "schedule.h"
#include "shared.h"
#include "status.h"

#if defined(PR_USE_CTRLS)

static const struct extip_plan *ctrl_plan = NULL;

static int handle_extip(pr_ctrls_t *ctrl, int argc, char **argv);

static ctrls_acttab_t actions[] = {
  { "check", NULL, NULL, NULL },
  { "forwards", NULL, NULL, NULL },
  { "refresh", NULL, NULL, NULL },
  { "status", NULL, NULL, NULL },
  { NULL, NULL, NULL, NULL },
};

static struct acls acls = {
  .owner = &extip_module,
  .name = "extip",
  .about = "the external address: check, forwards, refresh, status",
  .directive = "ExtIPControlsACLs",
  .handle = handle_extip,
  .actions = actions,
};

static void add_line(void *ctrl, const char *line) {
  (void) pr_ctrls_add_response(ctrl, "%s", line);
}

static void read_record(
  const struct extip_discovery *discovery, struct extip_record *whole) {
  unsigned int wait;

  (void) extip_table_read_all(extip_shared_view(), discovery->record, whole);
  whole->status.helper = (uint32_t) extip_helper_pid(&wait);

  /* By today's wall clock, whatever it showed then. */
  if (whole->answer.confirmed.wall != 0) {
    whole->answer.confirmed.wall =
      time(NULL) - extip_moment_age(&whole->answer.confirmed);
  }
}

/* ftpdctl refuses an answer of more than 1,024 lines. */
#define TEXT_LINES_MAX 1000

static void show_text(pr_ctrls_t *ctrl) {
  struct report out = { add_line, ctrl };
  struct extip_record whole;

  for (size_t i = 0; i < ctrl_plan->discovery_count; i++) {
    if (ctrl->ctrls_cb_resps != NULL &&
        ctrl->ctrls_cb_resps->nelts > TEXT_LINES_MAX - EXTIP_STATUS_LINES_MAX) {
      (void) pr_ctrls_add_response(ctrl,
        "%zu more: see 'ftpdctl extip status json'",
        ctrl_plan->discovery_count - i);
      return;
    }

    read_record(&ctrl_plan->discoveries[i], &whole);
    extip_status_text(&whole, time(NULL), &out);
  }
}

static void show_json(pr_ctrls_t *ctrl) {
  struct json json = { .line = add_line, .user = ctrl };
  struct extip_record whole;
  unsigned int wait;
  pid_t helper = extip_helper_pid(&wait);

  json_report(&json, MOD_EXTIP_VERSION, extip_helper_since());
  if (helper != 0) {
    json_number(&json, "helper", helper);
  } else {
    json_null(&json, "helper");
  }
  json_open(&json, "answers", '[');
  for (size_t i = 0; i < ctrl_plan->discovery_count; i++) {
    read_record(&ctrl_plan->discoveries[i], &whole);
    extip_status_json(&whole, time(NULL), &json);
  }
  json_close(&json, ']');
  json_report_end(&json);
}

static void show_metrics(pr_ctrls_t *ctrl) {
  struct prometheus out = { .line = add_line, .user = ctrl };
  size_t count = ctrl_plan->discovery_count;
  pool *p = make_sub_pool(permanent_pool); /* ProFTPD keeps the request's */
  struct extip_record *records = pcalloc(p, count * sizeof(*records));

  for (size_t i = 0; i < count; i++) {
    read_record(&ctrl_plan->discoveries[i], &records[i]);
  }
  extip_metrics(
    &out, MOD_EXTIP_VERSION, extip_helper_since(), records, count, time(NULL));
  destroy_pool(p);
}

static int handle_status(pr_ctrls_t *ctrl, int argc, char **argv) {
  switch (acls_format(ctrl, argc, argv, ACLS_PROMETHEUS)) {
    case ACLS_TEXT:
      show_text(ctrl);
      break;
    case ACLS_JSON:
      show_json(ctrl);
      break;
    case ACLS_PROMETHEUS:
      show_metrics(ctrl);
      break;
    default:
      return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  return PR_CTRLS_STATUS_OK;
}

static void show_forwards(pr_ctrls_t *ctrl,
  const struct extip_forward_table *table, size_t count, int format) {
  pool *p = make_sub_pool(permanent_pool);
  struct extip_forward *forwards = pcalloc(p, (count + 1) * sizeof(*forwards));
  struct json json = { .line = add_line, .user = ctrl };
  int64_t now = extip_now();

  for (size_t i = 0; i < count; i++) {
    (void) extip_forward_table_read(table, i, now, &forwards[i]);
  }
  if (format == ACLS_TEXT) {
    extip_forward_status_text(forwards, count, now, time(NULL), add_line, ctrl);
  } else {
    json_report(&json, MOD_EXTIP_VERSION, extip_helper_since());
    extip_forward_status_json(forwards, count, now, time(NULL), &json);
    json_report_end(&json);
  }
  destroy_pool(p);
}

static int handle_forwards(pr_ctrls_t *ctrl, int argc, char **argv) {
  const struct extip_forward_table *table = extip_shared_forwards_view();
  size_t count = table != NULL ? extip_forward_table_count(table) : 0;
  int format = acls_format(ctrl, argc, argv, ACLS_JSON);

  if (format < 0) {
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  if (count == 0 && format == ACLS_TEXT) {
    (void) pr_ctrls_add_response(
      ctrl, "no port is to be forwarded: ExtIPForward is off");
  } else {
    show_forwards(ctrl, table, count, format);
  }
  return PR_CTRLS_STATUS_OK;
}

/* Seconds until an early round may begin. */
static int64_t early_in(void) {
  int64_t latest = 0, now = time(NULL), wait;
  struct extip_record whole;

  for (size_t i = 0; i < ctrl_plan->discovery_count; i++) {
    read_record(&ctrl_plan->discoveries[i], &whole);
    latest = whole.status.early > latest ? whole.status.early : latest;
  }

  wait = latest + EXTIP_EARLY_GAP / 1000 - now;
  return latest <= now && wait > 0 ? wait : 0;
}

/* mod_ctrls closes the connection after each answer, so the answer cannot wait
 * for the end of the round. */
static int handle_refresh(pr_ctrls_t *ctrl, int argc, char **argv) {
  struct extip_wake all = { .addr = INADDR_ANY };
  unsigned int wait;
  int64_t early;

  if (acls_format(ctrl, argc, argv, ACLS_TEXT) < 0) {
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  if (extip_helper_pid(&wait) == 0) {
    (void) pr_ctrls_add_response(ctrl,
      "there is no helper process: the next one begins in %u s, with a round",
      wait);
    return PR_CTRLS_STATUS_OPERATION_DENIED;
  }

  early = early_in();
  if (extip_shared_wake(&all) < 0) {
    (void) pr_ctrls_add_response(
      ctrl, "the helper process cannot be woken: %s", strerror(errno));
    return PR_CTRLS_STATUS_OPERATION_DENIED;
  }

  if (early > 0) {
    (void) pr_ctrls_add_response(ctrl,
      "a round begins in %lld s, because the last one on request was less than %d s ago; see 'ftpdctl extip status'",
      (long long) early, EXTIP_EARLY_GAP / 1000);

  } else {
    (void) pr_ctrls_add_response(
      ctrl, "a round begins now; see 'ftpdctl extip status'");
  }
  return PR_CTRLS_STATUS_OK;
}

static int handle_check(pr_ctrls_t *ctrl, int argc, char **argv) {
  if (acls_format(ctrl, argc, argv, ACLS_TEXT) < 0) {
    return PR_CTRLS_STATUS_WRONG_PARAMETERS;
  }

  return extip_check_start(ctrl, ctrl_plan);
}

static int handle_extip(pr_ctrls_t *ctrl, int argc, char **argv) {
  int res;
  const ctrls_acttab_t *action =
    acls_permit(&acls, ctrl, argc > 0 ? argv[0] : NULL, &res);

  if (action == NULL) {
    return res;
  }

  if (ctrl_plan == NULL || ctrl_plan->discovery_count == 0) {
    (void) pr_ctrls_add_response(ctrl,
      "ExtIPEngine is off, there is no ExtIPSource, or there was no memory (see the log)");
    return PR_CTRLS_STATUS_OPERATION_DENIED;
  }

  if (strcmp(action->act_action, "status") == 0) {
    return handle_status(ctrl, argc - 1, argv + 1);
  }
  if (strcmp(action->act_action, "forwards") == 0) {
    return handle_forwards(ctrl, argc - 1, argv + 1);
  }
  return strcmp(action->act_action, "check") == 0
           ? handle_check(ctrl, argc - 1, argv + 1)
           : handle_refresh(ctrl, argc - 1, argv + 1);
}

void extip_ftpdctl_start(void) {
  (void) acls_start(&acls);
}

void extip_ftpdctl_stop(void) {
  acls_stop(&acls);
}

void extip_ftpdctl_show(const struct extip_plan *plan) {
  ctrl_plan = plan;
}

int extip_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size) {
  return acls_configure(&acls, cmd, reason, reason_size);
}

#else /* no controls in this ProFTPD */

void extip_ftpdctl_start(void) {
}

void extip_ftpdctl_stop(void) {
}

void extip_ftpdctl_show(const struct extip_plan *plan) {
  (void) plan;
}

int extip_ftpdctl_configure(cmd_rec *cmd, char *reason, size_t reason_size) {
  (void) cmd;
  snprintf(reason, reason_size,
    "this ProFTPD was built without controls (--enable-ctrls)");
  return -1;
}

#endif
