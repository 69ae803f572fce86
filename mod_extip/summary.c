/*
 * mod_extip - one line about what is in force
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "common_list.h"
#include "mod_extip.h"
#include "shared.h"
#include "summary.h"
#include "vote.h"

static unsigned int quorum_of(const struct extip_discovery *discovery) {
  const char *keys[EXTIP_TABLE_SOURCES];

  for (size_t i = 0; i < discovery->source_count; i++) {
    keys[i] = discovery->sources[i]->key;
  }
  return discovery->quorum > 0
           ? discovery->quorum
           : extip_vote_quorum(keys, discovery->source_count);
}

static void print(
  const struct extip_discovery *discovery, char *text, size_t size) {
  struct extip_table_answer answer = { .addr = INADDR_ANY };
  char known[INET_ADDRSTRLEN] = "no address yet";

  if (extip_table_read(extip_shared_view(), discovery->record, &answer) &&
      answer.addr != INADDR_ANY) {
    (void) inet_ntop(AF_INET, &answer.addr, known, sizeof(known));
  }
  (void) snprintf(text, size,
    "%s asks %zu source%s every %u s, quorum %u, knows %s", discovery->label,
    discovery->source_count, discovery->source_count == 1 ? "" : "s",
    discovery->refresh, quorum_of(discovery), known);
}

void extip_summary_say(
  const struct extip_plan *plan, const struct extip_router_task *router) {
  char text[512], item[256], forwards[64] = "";
  struct list list = list_begin(text, sizeof(text));
  unsigned int servers = 0;

  for (size_t i = 0; i < plan->vhost_count; i++) {
    servers += plan->vhosts[i].discovery != NULL;
  }

  if (servers == 0) {
    pr_log_pri(PR_LOG_NOTICE, MOD_EXTIP_VERSION
      ": in force for no server: ExtIPEngine is off, or there is no ExtIPSource");
    return;
  }

  for (size_t i = 0; i < plan->discovery_count; i++) {
    print(&plan->discoveries[i], item, sizeof(item));
    list_add(&list, item);
  }
  list_end(&list);

  if (router->port_count > 0) {
    (void) snprintf(forwards, sizeof(forwards),
      "; the router is asked to forward %zu port%s", router->port_count,
      router->port_count == 1 ? "" : "s");
  }
  pr_log_pri(PR_LOG_NOTICE,
    MOD_EXTIP_VERSION ": in force for %u of %zu servers: %s%s", servers,
    plan->vhost_count, text, forwards);
}
