/*
 * common_acls.h - an action of ftpdctl and who may ask for it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Include it after "conf.h", in the one file that handles the action. */

#ifndef COMMON_ACLS_H
#define COMMON_ACLS_H

#include <stdbool.h>

#include "common_compat.h"

#if defined(PR_USE_CTRLS)

/* What a module offers as "ftpdctl NAME ACTION". */
struct acls {
  module *owner;
  const char *name;
  const char *about;
  const char *directive; /* that says who may ask */
  int (*handle)(pr_ctrls_t *ctrl, int argc, char **argv);
  ctrls_acttab_t *actions; /* the last with a name of NULL */
  pool *pool;              /* of the access lists; NULL: not registered */
};

static inline void acls_stop(struct acls *acls) {
  if (acls->pool != NULL) {
    (void) pr_ctrls_unregister(acls->owner, acls->name);
    for (ctrls_acttab_t *a = acls->actions; a->act_action != NULL; a++) {
      a->act_acl = NULL;
    }
    destroy_pool(acls->pool);
    acls->pool = NULL;
  }
}

/* Registers the actions, with access lists that allow root alone. To be called
 * at init, and again at core.restart because access lists belong to one
 * configuration. Returns 0, or -1 with errno after a line in the log. */
static inline int acls_start(struct acls *acls) {
  acls_stop(acls);
  if (pr_ctrls_register(acls->owner, acls->name, acls->about, acls->handle) <
      0) {
    int xerrno = errno;

    pr_log_pri(PR_LOG_WARNING, "mod_%s: 'ftpdctl %s' is not available: %s",
      acls->owner->name, acls->name, strerror(xerrno));
    errno = xerrno;
    return -1;
  }

  acls->pool = make_sub_pool(permanent_pool);
  pr_pool_tag(acls->pool, "access lists of ftpdctl");
  for (ctrls_acttab_t *a = acls->actions; a->act_action != NULL; a++) {
    a->act_acl = pcalloc(acls->pool, sizeof(*a->act_acl));
    (void) pr_ctrls_init_acl(a->act_acl);
  }
  return 0;
}

/* Answers that WORD is not one of those ALLOWED. 1.3.9 takes ASCII alone. */
__attribute__((noinline, unused)) static void acls_refuse(
  pr_ctrls_t *ctrl, const char *word, const char *allowed) {
  char shown[40];
  size_t len = 0;

  for (; word != NULL && word[len] != '\0' && len + 1 < sizeof(shown); len++) {
    shown[len] = word[len] > ' ' && word[len] < 0x7f ? word[len] : '?';
  }
  shown[len] = '\0';
  if (word == NULL) {
    (void) pr_ctrls_add_response(
      ctrl, "a word is missing: expected %s", allowed);
  } else {
    (void) pr_ctrls_add_response(ctrl, "'%s': allowed are %s", shown, allowed);
  }
}

/* Appends the names of all actions to a list. */
static inline void acls_names(
  const struct acls *acls, char *list, size_t size) {
  size_t len = strlen(list);

  for (ctrls_acttab_t *a = acls->actions; a->act_action != NULL && len < size;
       a++) {
    len += (size_t) snprintf(
      list + len, size - len, "%s%s", len > 0 ? ", " : "", a->act_action);
  }
}

/* Returns the action that NAME asks for if the client is allowed to use it;
 * otherwise NULL, after an answer, with the STATUS to return. root is always
 * allowed, because it can signal the daemon and read its memory anyway. NAME
 * may be NULL. */
static inline const ctrls_acttab_t *acls_permit(
  const struct acls *acls, pr_ctrls_t *ctrl, const char *name, int *status) {
  const ctrls_acttab_t *a = acls->actions;
  char names[120] = "";

  while (
    name != NULL && a->act_action != NULL && strcmp(name, a->act_action) != 0) {
    a++;
  }

  if (name == NULL || a->act_action == NULL) {
    acls_names(acls, names, sizeof(names));
    acls_refuse(ctrl, name, names);
    *status = PR_CTRLS_STATUS_WRONG_PARAMETERS;
    return NULL;
  }

  /* pr_ctrls_check_acl() allows a name that is not in the table. */
  if (ctrl->ctrls_cl->cl_uid != 0 &&
      pr_ctrls_check_acl(ctrl, acls->actions, a->act_action) != TRUE) {
    (void) pr_ctrls_add_response(ctrl, "access to '%s %s' denied: see %s",
      acls->name, a->act_action, acls->directive);
    *status = PR_CTRLS_STATUS_ACCESS_DENIED;
    return NULL;
  }

  return a;
}

/* What may follow an action, one word at most. */
enum acls_format { ACLS_TEXT, ACLS_JSON, ACLS_PROMETHEUS, ACLS_FORMATS };

/* Returns the form in which the words ARGV, which follow the action, want the
 * answer: one of those up to LAST. -1 after an answer. */
static inline int acls_format(
  pr_ctrls_t *ctrl, int argc, char **argv, enum acls_format last) {
  static const char *const words[] = {
    [ACLS_JSON] = "json", [ACLS_PROMETHEUS] = "prometheus"
  };
  static const char *const allowed[] = { [ACLS_TEXT] = "no words",
    [ACLS_JSON] = "json or nothing",
    [ACLS_PROMETHEUS] = "json, prometheus or nothing" };

  for (enum acls_format f = ACLS_JSON; argc == 1 && f <= last; f++) {
    if (strcmp(argv[0], words[f]) == 0) {
      return f;
    }
  }

  if (argc == 0) {
    return ACLS_TEXT;
  }

  acls_refuse(ctrl, argv[argc - 1], allowed[last]);
  return -1;
}

/* Reads a ControlsACLs directive: actions|all allow|deny user|group list.
 * Returns 0, or -1 with a sentence in REASON. */
static inline int acls_configure(
  struct acls *acls, cmd_rec *cmd, char *reason, size_t reason_size) {
  static const char *const words[][2] = { { "allow", "deny" },
    { "user", "group" } };
  const char *bad;

  if (cmd->argc != 5) {
    snprintf(reason, reason_size,
      "expected <actions>|all allow|deny user|group <names>");
    return -1;
  }

  for (size_t i = 0; i < 2; i++) {
    const char *word = cmd->argv[2 + i];

    if (strcmp(word, words[i][0]) != 0 && strcmp(word, words[i][1]) != 0) {
      snprintf(reason, reason_size, "'%s': expected %s or %s", word,
        words[i][0], words[i][1]);
      return -1;
    }
  }

  if (acls->pool == NULL) {
    snprintf(reason, reason_size, "'ftpdctl %s' is not available", acls->name);
    return -1;
  }

  bad = pr_ctrls_set_module_acls(acls->actions, acls->pool,
    pr_ctrls_parse_acl(cmd->tmp_pool, cmd->argv[1]), cmd->argv[2], cmd->argv[3],
    cmd->argv[4]);
  if (bad == NULL) {
    return 0;
  }

  snprintf(reason, reason_size, "action '%s': expected all", bad);
  acls_names(acls, reason, reason_size);
  return -1;
}

#endif

#endif
