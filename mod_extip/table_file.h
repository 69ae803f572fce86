/*
 * mod_extip - the file of the table: what survives a restart
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_TABLE_FILE_H
#define EXTIP_TABLE_FILE_H

#include "table.h"

/*
 * The answers of the table, record by record. Each is kept twice with a
 * checksum, and the writer replaces the older copy. So one copy is complete
 * after a crash or a power failure in the middle of a write. The file is read
 * and written with pread(2) and pwrite(2) and not mapped, so truncating it ends
 * no process.
 */

/*
 * Opens the file at PATH for reading if only root and this user can have
 * written it. Returns the descriptor, or -1 with errno (ENOENT: there is none)
 * and a sentence in REASON.
 */
int extip_file_open(const char *path, char *reason, size_t reason_size);

/* Reads all EXTIP_TABLE_ANSWERS answers; those that are damaged become zeros.
 * Returns false if the file is not of the right form or is damaged. */
bool extip_file_read(int fd, struct extip_table_answer *answers);

/* The file, as its only writer keeps it. */
struct extip_file {
  int fd; /* -1: not open */
};

/*
 * Opens the file for writing, or creates it, and its directory. A file that is
 * damaged, or of another version, is renamed to PATH.aside and replaced by one
 * with the answers that could be read. Returns 0, with a line for the log in
 * REASON or ""; or -1 with the reason there.
 */
int extip_file_start(
  struct extip_file *file, const char *path, char *reason, size_t reason_size);

/* Takes the writer's lock. Returns 0, or -1 with errno EWOULDBLOCK if another
 * process has it. */
int extip_file_lock(const struct extip_file *file);

/*
 * Writes one of ANSWERS, or all of them if the file was truncated. SAFE: both
 * copies are on the disk at the return. Returns 0, or -1 with errno.
 */
int extip_file_write(const struct extip_file *file,
  const struct extip_table_answer *answers, size_t record, bool safe);

#endif
