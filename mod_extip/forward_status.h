/*
 * mod_extip - the forwards as a report, for people and for machines
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FORWARD_STATUS_H
#define EXTIP_FORWARD_STATUS_H

#include "common_json.h"
#include "portforward.h"

/* The largest number of forwards that are printed as text, in two lines each.
 * ftpdctl takes fewer than 1,000. */
#define EXTIP_FORWARD_STATUS_MAX 450

/* The times of a forward are those of two clocks: NOW is extip_now(), WALL
 * seconds since the epoch. Lines are printable ASCII below 300 bytes. */
void extip_forward_status_text(const struct extip_forward *forwards,
  size_t count, int64_t now, int64_t wall, json_line line, void *user);

/* The same as the array "forwards" of the object that the caller has opened
 * with json_report(). */
void extip_forward_status_json(const struct extip_forward *forwards,
  size_t count, int64_t now, int64_t wall, struct json *json);

#endif
