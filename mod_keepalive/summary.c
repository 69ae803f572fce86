/*
 * mod_keepalive - one line about what is in force
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "summary.h"
#include "common_list.h"
#include "rule.h"

static void add_rule(const struct keepalive_rule *rule, struct list *list) {
  char text[128], quoted[136];

  (void) pr_snprintf(quoted, sizeof(quoted), "'%s'",
    keepalive_rule_print(rule, text, sizeof(text)));
  if (strstr(list->text, quoted) == NULL) {
    list_add(list, quoted);
  }
}

/* Adds the rules of a server, each once: those of <Global> are in all. */
static void add_rules(const server_rec *s, struct list *list) {

  for (config_rec *c = find_config(s->conf, CONF_PARAM, "KeepaliveRule", TRUE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "KeepaliveRule", TRUE)) {
    add_rule(c->argv[0], list);
  }
}

bool keepalive_summary_is_on(const server_rec *s) {
  const int *on = get_param_ptr(s->conf, "KeepaliveEngine", FALSE);

  return on != NULL && *on;
}

void keepalive_summary_say(void) {
  unsigned int all = 0, on = 0;
  char text[512];
  struct list list = list_begin(text, sizeof(text));

  for (const server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    all++;
    if (keepalive_summary_is_on(s)) {
      on++;
      add_rules(s, &list);
    }
  }

  if (on == 0) {
    pr_log_pri(PR_LOG_NOTICE,
      MOD_KEEPALIVE_VERSION ": in force for no server: KeepaliveEngine is off");
    return;
  }

  if (*text == '\0' && list.more == 0) {
    add_rule(&keepalive_rule_default, &list);
  }
  list_end(&list);
  pr_log_pri(PR_LOG_NOTICE,
    MOD_KEEPALIVE_VERSION ": in force for %u of %u servers: %s", on, all, text);
}
