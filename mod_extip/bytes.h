/*
 * mod_extip - numbers in messages, in network order
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_BYTES_H
#define EXTIP_BYTES_H

#include <stdint.h>

static inline unsigned int get16(const unsigned char *bytes) {
  return (unsigned int) bytes[0] << 8 | bytes[1];
}

static inline uint32_t get32(const unsigned char *bytes) {
  return (uint32_t) get16(bytes) << 16 | get16(bytes + 2);
}

static inline void put16(unsigned char *bytes, unsigned int value) {
  bytes[0] = (unsigned char) (value >> 8);
  bytes[1] = (unsigned char) value;
}

static inline void put32(unsigned char *bytes, uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes + 2, value & 0xffff);
}

#endif
