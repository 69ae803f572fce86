/*
 * mod_extip - the table: what is known, on disk and for all processes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_TABLE_H
#define EXTIP_TABLE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The table is one file of fixed-size records. One process writes (the helper,
 * which holds extip_table_lock()), any number read, without a lock: each record
 * is kept twice with a checksum, and the writer replaces the older copy, so a
 * reader always finds one that is whole. The same holds for the disk after a
 * crash or a power failure in the middle of a write.
 *
 * Processes read and write with pread(2) and pwrite(2) and do not map the file:
 * whoever truncates it cannot kill a session with SIGBUS.
 */

#define EXTIP_TABLE_ANSWERS  64 /* virtual hosts with an answer of their own */
#define EXTIP_TABLE_SOURCES  16 /* sources of one answer */
#define EXTIP_TABLE_KEY_SIZE 96 /* bytes of a record's name with its NUL */

/* What a session needs, and what survives a restart. Times are seconds since
 * the epoch, 0: never. Addresses are in network order, 0: none. */
struct extip_table_answer {
  char key[EXTIP_TABLE_KEY_SIZE]; /* which virtual host; "": record is free */
  uint32_t addr;                  /* the address in use */
  uint32_t bind;                  /* ExtIPBind it was found with */
  int64_t since;                  /* when it was adopted */
  int64_t confirmed;              /* when a round last said so */
  uint32_t previous;              /* the address before it */
  uint32_t reserved;
};

/* How one source did, for "ftpdctl extip status". */
struct extip_table_source {
  char text[112];          /* the source without credentials */
  char reason[160];        /* of the last failure; "": it answered */
  int64_t asked, answered; /* last round; last usable answer */
  uint32_t addr;           /* its last answer */
  uint32_t latency_ms;     /* of its last answer */
  char status[16];         /* "ok", "timeout", ... */
};

/* How an answer is being found; of no use after a restart. */
struct extip_table_status {
  int64_t next;         /* when the next round is due */
  int64_t began, ended; /* last round; began > ended: under way */
  int64_t early;        /* when the last round before its time began */
  uint64_t rounds;      /* of this helper */
  uint32_t failures;    /* rounds in a row without a decision */
  uint32_t quorum;
  uint32_t helper; /* process id */
  uint32_t source_count;
  char verdict[128]; /* of the last round, a sentence */
  struct extip_table_source sources[EXTIP_TABLE_SOURCES];
};

struct extip_table {
  int read_fd;  /* for the daemon and its sessions */
  int write_fd; /* for the helper */
};

/*
 * Opens the table, or creates it. A file that is damaged, or of another
 * version, is renamed to PATH.aside and replaced by one that holds what could
 * still be read. Returns 0, with a remark for the log in WHY if there is one
 * (else ""), or -1 with the reason in WHY: no such directory, or one where
 * others may write, or a file that is not ours alone.
 */
int extip_table_open(
  const char *path, struct extip_table *table, char *why, size_t whysz);

/* The same without a file: it lasts as long as the daemon. 0, or -1/errno. */
int extip_table_anonymous(struct extip_table *table);

/* Closes both descriptors; a table that is not open has -1 in both. */
void extip_table_close(struct extip_table *table);

/* The writer's lock: 0, or -1 with errno EWOULDBLOCK when another has it. */
int extip_table_lock(int write_fd);

/*
 * Finds the record of each KEY, or takes a free one, or that of the unused key
 * that was confirmed longest ago. COUNT is at most EXTIP_TABLE_ANSWERS. The
 * record's numbers go to RECORDS. 0, or -1 with errno.
 */
int extip_table_claim(
  int write_fd, const char *const *keys, size_t count, size_t *records);

/* The number of the record of KEY, or -1 with errno ENOENT. */
int extip_table_find(int fd, const char *key);

/* 0; or -1 with errno EBADMSG when neither copy is whole, EIO when the file is
 * shorter than that, EINVAL for a record that cannot be. */
int extip_table_read(int fd, size_t record, struct extip_table_answer *answer);
int extip_table_read_status(
  int fd, size_t record, struct extip_table_status *status);

/* Writes both copies, the first with fdatasync(2) before the second is touched.
 * 0, or -1 with errno. */
int extip_table_write(
  int write_fd, size_t record, const struct extip_table_answer *answer);

/* Writes the older copy, without waiting for the disk. */
int extip_table_write_status(
  int write_fd, size_t record, const struct extip_table_status *status);

#endif
