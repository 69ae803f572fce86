/*
 * mod_extip - runs rounds: asks, decides, publishes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_ENGINE_H
#define EXTIP_ENGINE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "round.h"
#include "table.h"

/* An answer to be found: what the configuration says about one virtual host, or
 * about several that ask the same way. The caller owns all it points at. */
struct extip_quest {
  const char *key; /* unique; below EXTIP_TABLE_KEY_SIZE bytes */
  struct extip_source **sources;
  size_t source_count;              /* 1 to EXTIP_TABLE_SOURCES */
  unsigned quorum;                  /* 0: extip_vote_quorum() */
  unsigned refresh, retry, timeout; /* seconds */
  struct in_addr bind;              /* INADDR_ANY: none */
  const char *ca_file;              /* NULL: the system's */
  bool allow_reserved;
};

enum extip_loudness { EXTIP_LOG_INFO, EXTIP_LOG_NOTICE, EXTIP_LOG_WARNING };

/* What the engine tells its process. */
struct extip_engine_calls {
  void (*log)(enum extip_loudness loudness, const char *text);
  void (*changed)(
    struct in_addr addr); /* an address was adopted; may be NULL */
};

struct extip_engine;

/* When the first rounds are due. */
enum extip_start {
  EXTIP_START_NOW,   /* at once */
  EXTIP_START_EARLY, /* as an early round, for what is known: after a SIGHUP */
  EXTIP_START_WHEN_DUE /* when the process before us would have, for what is
                        * known: with inetd */
};

/*
 * Prepares to answer COUNT quests (at most EXTIP_TABLE_ANSWERS) in the table at
 * WRITE_FD, whose lock the caller has. What the table remembers is kept as
 * known, unless it was found with another ExtIPBind or may not be announced.
 * NULL with errno when it cannot be done.
 */
struct extip_engine *extip_engine_start(const struct extip_quest *quests,
  size_t count, int write_fd, const struct extip_engine_calls *calls,
  enum extip_start start);

void extip_engine_free(struct extip_engine *engine);

/* Milliseconds until something is to be done; 0: extip_engine_run() now. */
int64_t extip_engine_wait(const struct extip_engine *engine);

/* Asks for an early round in DELAY_MS, see extip_early_request(). */
void extip_engine_wake(struct extip_engine *engine, unsigned delay_ms);

/* Runs the round that is due, with all quests that are due or soon will be.
 * Returns when it is over, or when STOP_FD (-1: none) becomes readable. */
void extip_engine_run(struct extip_engine *engine, int stop_fd);

#endif
