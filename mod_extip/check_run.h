/*
 * mod_extip - ftpdctl extip check: listens while a probe tries
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_CHECK_RUN_H
#define EXTIP_CHECK_RUN_H

#include "verdict.h"

/*
 * Listens on the passive ports of VERDICT, runs the helper PROGRAM with the
 * COUNT words of an ExtIPProbe, and writes into VERDICT what is seen until it
 * ends. It then has the privileges AS ("uid:gid"; "": its own). To be called
 * in a process that has no other purpose.
 */
void extip_check_run(struct extip_verdict *verdict, const char *program,
  char *const *words, size_t count, const char *as);

#endif
