/*
 * mod_extip - what the configuration asks for, server by server
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

#include "engine.h"

#define EXTIP_OPT_ALLOW_RESERVED  0x01
#define EXTIP_OPT_ANNOUNCE_TO_ALL 0x02

/* ExtIPSource as the parser leaves it in a config_rec's argv[0]. */
struct extip_source_conf {
  struct extip_source_conf *next;
  struct extip_source *source;
  const char *spec; /* all its words: equal words, equal source */
  bool global;      /* from <Global>, so a server's own sources replace it */
};

/* Seconds to the first retry when ExtIPRefresh does not say. */
#define EXTIP_RETRY 5

/* ExtIPRefresh in argv[0]; seconds. */
struct extip_refresh_conf {
  unsigned refresh, retry;
};

/* How mod_extip is set up for one server. */
struct extip_vhost {
  const server_rec *server;
  bool engine;
  bool announce_to_all;
  unsigned max_age;                /* seconds; 0: none */
  const struct extip_quest *quest; /* NULL: no source */
};

struct extip_plan {
  struct extip_vhost *vhosts;
  size_t vhost_count;

  /* Servers that ask the same way share one. */
  struct extip_quest *quests;
  size_t quest_count;
};

/* Reads the configuration of all servers; the result lives in POOL. What cannot
 * be as it is configured is left out and logged. */
struct extip_plan *extip_plan_make(pool *p, xaset_t *servers);

/* NULL when the server is not in the plan, or the plan is NULL. */
const struct extip_vhost *extip_plan_find(
  const struct extip_plan *plan, const server_rec *server);

#endif
