/*
 * mod_natpasv - what the operator is told about clients
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * Lines for the log, each with its remedy, and each limited in rate so that no
 * client can fill the log.
 */

#ifndef NATPASV_SAY_H
#define NATPASV_SAY_H

#include "count.h"
#include "pools.h"
#include "rules.h"

struct natpasv_unreached {
  const struct natpasv_pool *pool; /* NULL the kernel's choice */
  struct natpasv_row *row;
  const char *port;
  const pr_netaddr_t *listened; /* where */
  const char *announced;        /* dotted address, NULL for EPSV */
  unsigned int dropped;
  bool from_lan; /* the client */
  bool asked;    /* the client sent the command for a transfer */
};

/* No client connected to a listener. */
void natpasv_say_unreached(const struct natpasv_unreached *how);

/* Somebody at another address was taken for the client, after so many had
 * connected. */
void natpasv_say_opened(struct natpasv_row *row, unsigned int others);

/* This many ports are leased, of those of a pool that its clients can have. */
void natpasv_say_leased(const struct natpasv_pool *pool,
  struct natpasv_row *row, unsigned int leased, unsigned int size);

/* The router forwards no port of a pool. */
void natpasv_say_not_forwarded(
  const struct natpasv_pool *pool, struct natpasv_row *row);

/* Many sessions in a row came from one local address, and were told the local
 * one. */
void natpasv_say_proxy(const char *told);

/* A local client was not told MasqueradeAddress. */
void natpasv_say_local(const struct natpasv_rule *rule, struct natpasv_row *row,
  const char *told, const char *masquerade);

/* A PASV or EPSV was refused, because no port was free for the client. */
void natpasv_say_refused(
  struct natpasv_row *row, const char *command, const char *why);

/* A PORT or EPRT, or a transfer without one, was refused. */
void natpasv_say_active_refused(
  struct natpasv_row *row, const char *command, const char *why);

/* No connection to a client could be made. */
void natpasv_say_active_failed(
  struct natpasv_row *row, const char *addr, const char *why);

/* A client connected to its listener, and mod_tls refused the connection. */
void natpasv_say_tls(struct natpasv_row *row);

#endif
