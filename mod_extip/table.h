/*
 * mod_extip - the table: the known addresses, for all processes
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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"

/*
 * The table is memory of the daemon, the only process that writes it. The
 * results of the helper reach the daemon as messages. Sessions read the table
 * without a lock. Each record is kept twice, and the writer replaces the copy
 * that is not valid, so a reader always finds a complete one, whichever process
 * dies.
 */

#define EXTIP_TABLE_ANSWERS    64 /* discoveries */
#define EXTIP_TABLE_SOURCES    16 /* sources of one discovery */
#define EXTIP_TABLE_SERVERS    16 /* servers that a record remembers */
#define EXTIP_TABLE_LABEL_SIZE 96 /* bytes of a record's name with its NUL */

/* What a session needs and what survives a restart. Times are seconds since the
 * epoch, 0: never. Addresses are in network order, 0: none. */
struct extip_table_answer {
  char label[EXTIP_TABLE_LABEL_SIZE]; /* for people */

  /* The owner of the record, see extip_table_score(). */
  uint64_t asked; /* what is asked; 0: the record is free */
  uint64_t servers[EXTIP_TABLE_SERVERS];

  uint32_t addr;     /* the address in use */
  uint32_t previous; /* the address before it */
  uint32_t bind;     /* ExtIPBind it was found with */
  uint32_t cut;      /* rounds in a row that did not end, with inetd */
  int64_t since;     /* when it was adopted */
  int64_t next;      /* when the next round is due */
  struct extip_moment confirmed; /* when a round last confirmed it */
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

/* How an answer was found; of no use after a restart. */
struct extip_table_status {
  int64_t began, ended; /* last round; began > ended: under way */
  int64_t early;        /* when the last early round began */
  uint64_t rounds;      /* of this helper */
  uint32_t failures;    /* rounds in a row without a decision */
  uint32_t quorum;
  uint32_t helper; /* process id */
  uint32_t source_count;
  uint32_t max_age;    /* ExtIPMaxAge in seconds; 0: none */
  uint32_t behind_nat; /* the router's private address in the last round */
  char verdict[128];   /* of the last round, a sentence */
  struct extip_table_source sources[EXTIP_TABLE_SOURCES];
};

struct extip_record {
  struct extip_table_answer answer;
  struct extip_table_status status;
};

/* All bytes 0: an empty table. The counts are side by side, so that nobody
 * touches the pages of records that were never written. */
struct extip_table {
  /* Of each record; the copy of number WRITES % 2 counts. */
  _Atomic uint64_t writes[EXTIP_TABLE_ANSWERS];
  struct extip_record copies[EXTIP_TABLE_ANSWERS][2];
};

/* RECORD is below EXTIP_TABLE_ANSWERS. Returns false, with zeros, if the writer
 * was faster each time, which hardly ever happens. */
bool extip_table_read(const struct extip_table *table, size_t record,
  struct extip_table_answer *answer);
bool extip_table_read_all(
  const struct extip_table *table, size_t record, struct extip_record *whole);

/* To be called in the writing process only. */
void extip_table_write(
  struct extip_table *table, size_t record, const struct extip_record *whole);

/* Makes of what was read from a file, or sent by the helper, an answer that
 * nobody need be careful with: its string ends, its times are in range. */
void extip_answer_make_safe(struct extip_table_answer *answer);

/* The bytes of a record up to the last source that it has, which are sent. */
size_t extip_record_size(const struct extip_record *whole);

/* Makes a record of these first SIZE bytes of one; false if they are not one.
 */
bool extip_record_complete(struct extip_record *whole, size_t size);

/* Makes of what the helper sent a record of that kind; whose it is stays as it
 * was BEFORE. */
void extip_record_make_safe(
  struct extip_record *whole, const struct extip_table_answer *before);

/* A hash of the LEN bytes that identify what is asked, or a server. Never 0. */
uint64_t extip_table_id(const void *data, size_t len);

/*
 * How well a record fits what is asked and a server, from 0 (neither) to 3
 * (both). A record belongs to what is asked. If another server asks the same,
 * it finds the record by that; if a server asks something else, it finds its
 * record by the server.
 */
unsigned int extip_table_score(
  const struct extip_table_answer *answer, uint64_t asked, uint64_t server);

/* The record that fits best, or -1. RECORD is the one that fitted before, or
 * -1. */
int extip_table_find(
  const struct extip_table *table, int record, uint64_t asked, uint64_t server);

/*
 * Gives each of COUNT answers a record, in which label, asked and servers are
 * what OWNERS say, and the rest what is known: from the record that fits best.
 * Records that nobody wants stay for as long as there is room. COUNT is at most
 * EXTIP_TABLE_ANSWERS.
 */
void extip_table_claim(struct extip_table *table,
  const struct extip_table_answer *owners, size_t count, size_t *records);

#endif
