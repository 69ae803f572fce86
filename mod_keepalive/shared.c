/*
 * mod_keepalive - the memory that a daemon and its sessions share
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "shared.h"
#include "common_memory.h"
#include "log.h"

static struct memory memory = { .fd = -1 };

void keepalive_shared_start(void) {
  if (memory_make(&memory, "mod_keepalive.memory",
        sizeof(struct keepalive_table), KEEPALIVE_LAYOUT) < 0) {
    keepalive_log(
      "no memory to share with sessions: %s; 'ftpdctl keepalive status' will not show them",
      strerror(errno));
    return;
  }

  keepalive_table_start(memory.at, (int64_t) time(NULL));
}

struct keepalive_table *keepalive_shared_table(void) {
  return memory.at;
}
