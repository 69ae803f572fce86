/*
 * mod_keepalive - what became of a keepalive, in words
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "method.h"

const char *keepalive_result_reason(enum keepalive_result result) {
  static const char *const reasons[KEEPALIVE_RESULTS] = {
    [KEEPALIVE_SENT] = "sent",
    [KEEPALIVE_BUSY] = "a reply was being written",
    [KEEPALIVE_FULL] = "the control connection took no more",
    [KEEPALIVE_HANDSHAKE] = "TLS was in a handshake",
    [KEEPALIVE_FAILED] = "the write failed",
  };

  return reasons[result];
}
