/*
 * mod_extip - what each server's configuration asks for
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_PLAN_H
#define EXTIP_PLAN_H

#include "conf.h"

#include "task.h"

#define EXTIP_OPT_ALLOW_RESERVED  0x01
#define EXTIP_OPT_ANNOUNCE_TO_ALL 0x02

/* ExtIPSource, as the parser stores it in argv[0] of a config_rec. */
struct extip_source_conf {
  struct extip_source_conf *next;
  struct extip_source *source;
  char **words; /* as configured, with a NULL at their end */
  bool global;  /* from <Global>, so a server's own sources replace it */
};

/* Seconds to the first retry if ExtIPRefresh does not set it. */
#define EXTIP_RETRY 5

/* ExtIPRefresh in argv[0]; seconds. */
struct extip_refresh_conf {
  unsigned int refresh, retry;
};

/* How mod_extip is set up for one server. */
struct extip_vhost {
  const server_rec *server;
  bool engine;
  bool announce_to_all;
  unsigned int max_age;                    /* seconds; 0: none */
  const struct extip_discovery *discovery; /* NULL: no source */

  /* Identifies its record, see extip_table_score(). */
  uint64_t asked, id;
};

struct extip_plan {
  struct extip_vhost *vhosts;
  size_t vhost_count;

  /* Servers that ask in the same way share one. Each has an owner, which
   * identifies its record for extip_table_claim(). */
  struct extip_discovery *discoveries;
  struct extip_table_answer *owners;
  size_t discovery_count;
  const char *left_out; /* the first server for which there is no room */
};

/* Reads the configuration of all servers. The result is in POOL. What cannot be
 * done as configured is left out and logged. NULL with a reason if there are
 * more than EXTIP_TABLE_ANSWERS discoveries. */
struct extip_plan *extip_plan_make(
  pool *p, xaset_t *servers, char *reason, size_t reason_size);

/* NULL when the server is not in the plan, or the plan is NULL. */
const struct extip_vhost *extip_plan_find(
  const struct extip_plan *plan, const server_rec *server);

#endif
