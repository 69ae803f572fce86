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
 * A lease ends with its listener. ProFTPD closes the listener after it has
 * accepted the data connection, and wherever a transfer fails, and always does
 * so by destroying its pool.
 */

#ifndef NATPASV_LISTENER_H
#define NATPASV_LISTENER_H

#include "from.h"

/* How a listener ended. */
enum natpasv_end {
  NATPASV_REACHED, /* a connection was made, perhaps from another address */
  NATPASV_UNTRIED, /* too soon to say that the client could not connect */
  NATPASV_NOT_REACHED
};

struct natpasv_listener_end {
  unsigned int port;
  enum natpasv_end end;
  const pr_netaddr_t *listened; /* where, if it was not reached */
  bool given_up;         /* the client left while ProFTPD waited for it */
  bool awaited;          /* the client sent the command for a transfer */
  const char *announced; /* dotted address, NULL for EPSV */
  unsigned int dropped;  /* packets of those whom the guard keeps out */
};

/* A listener that nobody reached counts as evidence if it was at least this
 * old, or if the client sent the command for the transfer. A client that asks
 * again or leaves sooner is assumed not to have tried. */
#define NATPASV_PATIENCE_MS 1000

/* Sets who may connect to the listeners opened from now on. The guard is not
 * copied. A socket that was created for another guard is closed. */
void natpasv_listener_guard(const struct natpasv_guard *guard);

/* Called once the port is closed. */
typedef void (*natpasv_closed)(const struct natpasv_listener_end *how);

/* Opens a listener with all options that ProFTPD's own PASV sets. NULL with
 * errno; EADDRINUSE: the port is in use. With port 0, the kernel chooses
 * one. */
conn_t *natpasv_listener_open(
  const pr_netaddr_t *addr, unsigned int port, natpasv_closed closed);

/* Creates the stream on which ProFTPD accepts the connection. This costs as
 * much as all the rest, and no command needs it before the next one. */
void natpasv_listener_open_stream(void);

/* Creates the socket for the next listener on such an address in advance, now
 * that the client has its reply. */
void natpasv_listener_prepare(const pr_netaddr_t *addr);

/* What the client was told. */
void natpasv_listener_announced(const char *address);

/* Whether there is an open listener, and ProFTPD waits for its connection. */
bool natpasv_listener_is_open(void);
bool natpasv_listener_is_awaited(void);

/* Its guard if connections that were accepted are to be compared with it; NULL
 * if the kernel does that. Its descriptor. */
const struct natpasv_guard *natpasv_listener_to_compare(void);
int natpasv_listener_fd(void);

/* A connection was closed again; and nobody is to be served at all. */
void natpasv_listener_turned_away(void);
void natpasv_listener_refuse(void);

/* Packets that were dropped, and connections that were closed. */
unsigned int natpasv_listener_dropped(void);

/* ProFTPD stops waiting after this time, unless somebody connects. */
void natpasv_listener_give_up(unsigned int ms);

/* Closes a data connection, if there is one, and forgets it. */
void natpasv_listener_drop(conn_t **conn);

/* Closes the listener opened last if it is open. */
void natpasv_listener_close(void);

#endif
