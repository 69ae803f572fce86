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
 * One call of getaddrinfo(3), for IPv4 addresses, in a process of its own:
 * nothing else can be ended at a deadline with all that it holds, and asks
 * /etc/hosts and whatever the host is set up for as well.
 */
struct extip_lookup;

/* NULL with errno when there is no memory, descriptor or process. The child
 * ends itself about TIMEOUT_MS later at the latest, and with its parent. */
struct extip_lookup *extip_lookup_start(const char *name, unsigned timeout_ms);

const char *extip_lookup_name(const struct extip_lookup *lookup);

/* To be watched for reading; -1 when the lookup is done. */
int extip_lookup_fd(const struct extip_lookup *lookup);

/* Reads the outcome once the descriptor is readable. */
void extip_lookup_read(struct extip_lookup *lookup);

/* Of a lookup that is done: the addresses; none means failure, and *WHY (a
 * constant) says which. */
size_t extip_lookup_result(const struct extip_lookup *lookup,
  const struct in_addr **addrs, const char **why);

/* Ends the process, if it still runs, and frees all. */
void extip_lookup_free(struct extip_lookup *lookup);

#endif
