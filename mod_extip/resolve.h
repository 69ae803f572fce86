/*
 * mod_extip - resolves names, and can be stopped
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_RESOLVE_H
#define EXTIP_RESOLVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#define EXTIP_LOOKUP_MAX 8 /* addresses kept of one name */

/*
 * One call of getaddrinfo(3), for IPv4 addresses, in a process of its own. Only
 * a process can be ended at a deadline with everything that it holds, and only
 * getaddrinfo(3) asks /etc/hosts and all else that this host is configured for.
 */
struct extip_lookup;

/* NULL with errno when there is no memory, descriptor or process. The child
 * ends itself about TIMEOUT_MS later at the latest, and with its parent. */
struct extip_lookup *extip_lookup_start(
  const char *name, unsigned int timeout_ms);

const char *extip_lookup_name(const struct extip_lookup *lookup);

/* To be watched for reading; -1 when the lookup is done. */
int extip_lookup_fd(const struct extip_lookup *lookup);

/* Reads the result once the descriptor is readable. */
void extip_lookup_read(struct extip_lookup *lookup);

/* The addresses of a lookup that is done. None means failure, and *REASON, a
 * constant, says why. */
size_t extip_lookup_result(const struct extip_lookup *lookup,
  const struct in_addr **addrs, const char **reason);

/* Ends the process, if it still runs, and frees all. */
void extip_lookup_free(struct extip_lookup *lookup);

#endif
