/*
 * mod_extip - one libcurl transfer of a job
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#ifndef EXTIP_TRANSFER_H
#define EXTIP_TRANSFER_H

#include "job.h"

/* Zeroed, it holds nothing; it does not move while it holds something. */
struct extip_transfer {
  CURL *easy;
  struct curl_slist *resolve;

  /* The only addresses it connects to. */
  struct in_addr addrs[EXTIP_LOOKUP_MAX];
  size_t addr_count;
  curl_socket_t fd; /* the last one it opened; libcurl's */

  char error[CURL_ERROR_SIZE];
};

/* Where it goes: with these addresses libcurl resolves nothing itself. */
struct extip_transfer_target {
  const char *url;
  const char *host; /* the URL's, as it stands there */
  uint16_t port;
  const struct in_addr *addrs;
  size_t addr_count;
};

/*
 * Makes TRANSFER->easy with all that holds for every transfer: these addresses
 * only, the query's bind address and CA file, its certificate and name
 * verified, no proxy, no redirect followed, time until the job's deadline. The
 * caller sets what else it wants and calls extip_transfer_go(). Returns -1 when
 * that is not possible; the job is settled then.
 */
int extip_transfer_init(struct extip_transfer *transfer, struct extip_job *job,
  const struct extip_transfer_target *target);
int extip_transfer_go(struct extip_transfer *transfer, struct extip_job *job);

/* Notes in the job's answer who was connected to. */
void extip_transfer_note_peer(
  const struct extip_transfer *transfer, struct extip_job *job);

/* Settles the job as the end of its transfer with this CODE says. */
void extip_transfer_fail(
  const struct extip_transfer *transfer, struct extip_job *job, CURLcode code);

/* How far it is, for the driver's waiting. */
void extip_transfer_waiting(
  const struct extip_transfer *transfer, char *buf, size_t bufsz);

/* Leaves a zeroed TRANSFER. */
void extip_transfer_free(
  struct extip_transfer *transfer, struct extip_job *job);

#endif
