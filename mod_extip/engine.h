/*
 * mod_extip - when to ask, and what follows from the answers
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

#include "round.h"
#include "task.h"

struct extip_engine;

/* Is called for each record that has changed. CHANGED: the answer in use has
 * changed, and not only how it was found. */
typedef void (*extip_publish)(
  size_t record, const struct extip_record *whole, bool changed, void *user);

/*
 * Prepares to find what TASK asks for, in LOOP; both are the caller's and stay.
 * KNOWN has the record of each discovery, in their order; an address in it that
 * was found with another ExtIPBind, or may not be announced, is forgotten. NULL
 * with errno.
 */
struct extip_engine *extip_engine_start(const struct extip_task *task,
  struct extip_loop *loop, const struct extip_record *known,
  extip_publish publish, void *user);

void extip_engine_free(struct extip_engine *engine);

/* Starts the rounds that are due. Returns the milliseconds until the next
 * one. */
int64_t extip_engine_turn(struct extip_engine *engine);

/* Whether a round is under way. */
bool extip_engine_asks(const struct extip_engine *engine);

/* Asks for an early round of all discoveries in DELAY_MS, because the host has
 * changed, or the operator has asked for it. */
void extip_engine_wake(struct extip_engine *engine, unsigned int delay_ms);

/* The same for one discovery, because a client could not reach ADDR. Each time
 * a round has not changed the address, the next one is delayed more. */
void extip_engine_doubt(
  struct extip_engine *engine, size_t record, struct in_addr addr);

#endif
