/*
 * mod_natpasv - the listener of a passive data connection
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/*
 * The end of a lease hangs on the end of the listener: ProFTPD closes it when
 * the data connection was accepted, and in all the places where a transfer
 * comes to nothing, always by destroying its pool.
 */

#ifndef NATPASV_LISTENER_H
#define NATPASV_LISTENER_H

#include "mod_natpasv.h"

/* Why a listener was closed. */
enum natpasv_end {
  NATPASV_REACHED, /* somebody connected, be it the wrong one */
  NATPASV_UNTRIED, /* too soon to say that the client could not connect */
  NATPASV_NOT_REACHED
};

struct natpasv_listener_end {
  unsigned port;
  enum natpasv_end end;
  const char *announced; /* dotted address, NULL for EPSV */
};

/* A listener that nobody reached counts as evidence from this age on, or if
 * the client sent the command for the transfer; a client that asks again or
 * leaves sooner did not try. */
#define NATPASV_PATIENCE_MS 1000

/* Called once the port is closed. */
typedef void (*natpasv_closed)(const struct natpasv_listener_end *how);

/* Listens, with all that stock PASV sets on the socket. NULL with errno;
 * EADDRINUSE: somebody else has the port. Port 0 is the kernel's choice. */
conn_t *natpasv_listener_open(
  const pr_netaddr_t *addr, unsigned port, natpasv_closed closed);

/* Gives the listener opened last the stream that ProFTPD accepts it on: it
 * costs as much as the rest, and no command looks for it before the next. */
void natpasv_listener_open_stream(void);

/* Makes the socket for the next listener on such an address ready, now that the
 * client has its answer and nobody waits. */
void natpasv_listener_prepare(const pr_netaddr_t *addr);

/* What the client was told. */
void natpasv_listener_announced(const char *address);

/* Closes a data connection, if there is one, and forgets it. */
void natpasv_listener_drop(conn_t **conn);

/* Closes the listener opened last if it is open. */
void natpasv_listener_close(void);

#endif
