/*
 * mod_extip - the file of the forwards: what this server has on the router
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_FORWARD_FILE_H
#define EXTIP_FORWARD_FILE_H

#include "forward.h"

/*
 * Beside ExtIPTable, so that a new start renews its forwards or removes them:
 * a router lets only the nonce of a forward change it. Text, a line each:
 *
 *   extip-forwards 1
 *   61000 61000 pcp 0011223344556677889900aa
 *   end
 *
 * The inside port, the outside port, the protocol and the nonce. A file without
 * its last line was cut off and counts as empty.
 */

/* Opens or creates the file as root, readable by nobody else. Returns the
 * descriptor, or -1 with a sentence in REASON. */
int extip_forward_file_open(const char *path, char *reason, size_t reason_size);

/* Reads at most SIZE forwards; returns their number. */
size_t extip_forward_file_read(
  int fd, struct extip_forward_held *held, size_t size);

/* Replaces what is in the file, and waits until it is on the disk. Returns 0,
 * or -1 with errno. */
int extip_forward_file_write(
  int fd, const struct extip_forward_held *held, size_t count);

/* For tests: the text of the file, and the reader of LEN bytes of it. */
char *extip_forward_file_print(
  const struct extip_forward_held *held, size_t count, size_t *len);
size_t extip_forward_file_parse(
  const char *text, size_t len, struct extip_forward_held *held, size_t size);

#endif
