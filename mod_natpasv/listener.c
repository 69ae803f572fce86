/*
 * mod_natpasv - the listener of a passive data connection
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "listener.h"
#include "futex.h"

#include "privs.h"

#include <poll.h>

/* A listener that is open; lives as long as its connection's pool. */
struct watch {
  conn_t *conn;
  natpasv_closed closed;
  uint64_t opened_ms;
  bool given_up;
  unsigned int turned_away, dropped; /* the latter until it was given up */
  char announced[INET_ADDRSTRLEN];
  struct natpasv_listener_end how;
};

/* The one opened last, while it is open. */
static struct watch *current = NULL;

/* A socket with its options that is not bound yet, for the next PASV. No
 * conn_t: see watch_conn(). */
static struct { int fd, family; } spare = { .fd = -1 };

static const struct natpasv_guard *guard = NULL;

/* ProFTPD accepts everybody, and who connected is compared with the guard. */
static bool compares = false;

/* Other addresses that connect must not keep the client out. */
#define CROWD 64

static bool somebody_waits(int fd) {
  struct pollfd pfd = { .fd = fd, .events = POLLIN };

  return poll(&pfd, 1, 0) > 0;
}

/* ProFTPD closes the descriptor of a listener that was given up before the
 * connection. */
static unsigned int dropped_by(const struct watch *watch) {
  return watch->turned_away +
         (watch->given_up ? watch->dropped
                          : natpasv_filter_dropped(watch->conn->listen_fd));
}

static enum natpasv_end judge(const struct watch *watch) {
  const conn_t *conn = watch->conn;

  if (watch->how.given_up) {
    return NATPASV_NOT_REACHED;
  }

  if (conn->mode == CM_OPEN || conn->mode == CM_ERROR) {
    return NATPASV_REACHED;
  }

  if (conn->mode != CM_ACCEPT &&
      natpasv_now_ms() - watch->opened_ms < NATPASV_PATIENCE_MS) {
    return NATPASV_UNTRIED;
  }
  return somebody_waits(conn->listen_fd) ? NATPASV_REACHED
                                         : NATPASV_NOT_REACHED;
}

/* As ProFTPD's own cleanup of a connection does, which finds nothing left. */
static void close_socket(conn_t *conn) {
  if (conn->instrm != NULL) {
    (void) pr_netio_close(conn->instrm);
    conn->instrm = NULL;
  }
  (void) close(conn->listen_fd);
  conn->listen_fd = -1;
}

static void end(void *data) {
  struct watch *watch = data;
  conn_t *conn = watch->conn;

  if (conn->mode == CM_ERROR) {
    watch->how.given_up = watch->given_up;
  }
  watch->how.end = judge(watch);
  if (watch->how.end == NATPASV_NOT_REACHED) {
    watch->how.listened = conn->local_addr;
  }
  watch->how.awaited = conn->mode != CM_LISTEN;
  watch->how.dropped = dropped_by(watch);

  /* Before others may have the port. */
  close_socket(conn);
  if (current == watch) {
    current = NULL;
  }
  watch->closed(&watch->how);
}

/* In the connection's pool and not in one of its own: a pool that lives during
 * a transfer may get any free block from ProFTPD, also one of 64 KB, which the
 * transfer then has to ask for again. */
static void watch_conn(conn_t *conn, unsigned int port, natpasv_closed closed) {
  struct watch *watch = pcalloc(conn->pool, sizeof(struct watch));

  watch->conn = conn;
  watch->closed = closed;
  watch->opened_ms = natpasv_now_ms();
  watch->how.port = port;
  register_cleanup2(conn->pool, watch, end);
  current = watch;
}

static void set_option(
  int fd, int level, int option, int value, const char *name) {
  if (setsockopt(fd, level, option, (void *) &value, sizeof(value)) < 0) {
    pr_log_debug(DEBUG3, MOD_NATPASV_VERSION ": error setting %s: %s", name,
      strerror(errno));
  }
}

#define SET(fd, level, option, value) \
  set_option((fd), (level), (option), (value), #option)

/* Sets what inet.c's init_conn() sets for a port of PassivePorts, but never
 * SO_REUSEPORT, whatever SocketOptions says: with it, two processes could
 * listen on one port and read each other's transfers. init_conn() does not set
 * it on such a socket either, but in 1.3.7a it does. */
static void set_options(int fd, int family) {
  const struct tcp_keepalive *keepalive = main_server->tcp_keepalive;

  SET(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  SET(fd, SOL_SOCKET, SO_KEEPALIVE,
    keepalive == NULL || keepalive->keepalive_enabled != FALSE);
#if defined(IP_FREEBIND)
  SET(fd, IPPROTO_IP, IP_FREEBIND, 1);
#endif
#if defined(PR_USE_IPV6) && defined(IPV6_V6ONLY)
  if (family == AF_INET6) {
    SET(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  }
#else
  (void) family;
#endif
}

/* Some kernels let root alone set a filter, and a session that has logged in is
 * root only with RootRevoke off. */
static void set_guard(int fd) {
  int res, xerrno;

  if (guard == NULL || !guard->closed || compares) {
    return;
  }

  res = natpasv_filter_attach(fd, &guard->filter);
  xerrno = errno;
  if (res < 0 && xerrno == EPERM) {
    PRIVS_ROOT
    res = natpasv_filter_attach(fd, &guard->filter);
    xerrno = errno;
    PRIVS_RELINQUISH
  }

  compares = res < 0;
  if (compares) {
    pr_trace_msg(NATPASV_TRACE, 3,
      "the kernel takes no filter (%s): connections are compared",
      strerror(xerrno));
  }
}

static int make_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);

  if (fd >= 0) {
    set_options(fd, family);
    set_guard(fd);
  }
  return fd;
}

static void drop_spare(void) {
  if (spare.fd >= 0) {
    (void) close(spare.fd);
    spare.fd = -1;
  }
}

static int take_socket(int family) {
  int fd;

  if (spare.family != family) {
    drop_spare();
  }
  fd = spare.fd;
  spare.fd = -1;
  return fd >= 0 ? fd : make_socket(family);
}

void natpasv_listener_prepare(const pr_netaddr_t *addr) {
  if (spare.fd < 0) {
    spare.family = pr_netaddr_get_family(addr);
    spare.fd = make_socket(spare.family);
  }
}

/* pr_inet_create_conn() would do all this, but binds at once, and logs advice
 * about ServerType and inetd whenever a port is in use. */
static conn_t *make_conn(const pr_netaddr_t *addr) {
  int fd = take_socket(pr_netaddr_get_family(addr));
  conn_t *conn;

  if (fd < 0) {
    return NULL;
  }

  conn = pr_inet_create_conn(session.pool, fd, addr, INPORT_ANY, FALSE);
  if (conn == NULL) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
    return NULL;
  }

  conn->local_addr = pr_netaddr_dup(conn->pool, addr);
  pr_inet_set_proto_opts(
    conn->pool, conn, main_server->tcp_mss_len, 0, IPTOS_THROUGHPUT, 1);
  return conn;
}

static int close_failed(conn_t *conn, int xerrno) {
  pr_inet_close(conn->pool, conn);
  errno = xerrno;
  return -1;
}

/* PORT 0 is one of the kernel's choice. */
static int bind_conn(
  conn_t *conn, const pr_netaddr_t *addr, unsigned int port) {
  pr_netaddr_t *local = pr_netaddr_dup(conn->pool, addr);
  struct sockaddr *sockaddr = pr_netaddr_get_sockaddr(local);
  socklen_t len = (socklen_t) pr_netaddr_get_sockaddr_len(local);

  pr_netaddr_set_port2(local, port);
  if (bind(conn->listen_fd, sockaddr, len) < 0 ||
      getsockname(conn->listen_fd, sockaddr, &len) < 0) {
    return close_failed(conn, errno);
  }
  conn->local_addr = local;
  conn->local_port = ntohs(pr_netaddr_get_port(local));
  return 0;
}

static int listen_conn(conn_t *conn) {
  pr_inet_generate_socket_event(
    "core.data-listen", main_server, conn->local_addr, conn->listen_fd);

  return pr_inet_listen(session.pool, conn, compares ? CROWD : 1, 0) < 0
           ? close_failed(conn, errno)
           : 0;
}

conn_t *natpasv_listener_open(
  const pr_netaddr_t *addr, unsigned int port, natpasv_closed closed) {
  conn_t *conn = make_conn(addr);

  if (conn == NULL || bind_conn(conn, addr, port) < 0 ||
      listen_conn(conn) < 0) {
    return NULL;
  }

  watch_conn(conn, port, closed);
  return conn;
}

void natpasv_listener_open_stream(void) {
  conn_t *conn = current->conn;

  conn->instrm = pr_netio_open(
    session.pool, PR_NETIO_STRM_DATA, conn->listen_fd, PR_NETIO_IO_RD);
}

void natpasv_listener_announced(const char *address) {
  sstrncpy(current->announced, address, sizeof(current->announced));
  current->how.announced = current->announced;
}

bool natpasv_listener_is_open(void) {
  return current != NULL;
}

bool natpasv_listener_is_awaited(void) {
  return current != NULL && current->conn->mode == CM_ACCEPT;
}

unsigned int natpasv_listener_dropped(void) {
  return dropped_by(current);
}

const struct natpasv_guard *natpasv_listener_to_compare(void) {
  return current != NULL && compares ? guard : NULL;
}

int natpasv_listener_fd(void) {
  return current->conn->listen_fd;
}

void natpasv_listener_turned_away(void) {
  current->turned_away++;
}

void natpasv_listener_refuse(void) {
  current->how.given_up = true;
}

void natpasv_listener_give_up(unsigned int ms) {
  struct timeval limit = {
    .tv_sec = ms / 1000,
    .tv_usec = (suseconds_t) (ms % 1000) * 1000,
  };

  current->dropped = natpasv_filter_dropped(current->conn->listen_fd);
  current->given_up = true;
  if (setsockopt(current->conn->listen_fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
        sizeof(limit)) < 0) {
    pr_trace_msg(
      NATPASV_TRACE, 1, "error setting SO_RCVTIMEO: %s", strerror(errno));
  }
}

void natpasv_listener_drop(conn_t **conn) {
  if (*conn != NULL) {
    pr_inet_close((*conn)->pool, *conn);
    *conn = NULL;
  }
}

/* A client whose connection may be let in after a while is not kept from it by
 * a filter: many clients connect before they send the command for the transfer,
 * and others would be let in when they try again, with SYNs at 0, 1, 3 and 7
 * seconds. */
void natpasv_listener_guard(const struct natpasv_guard *which) {
  guard = which;
  compares = which->closed && which->opens;
  drop_spare();
}

void natpasv_listener_close(void) {
  conn_t *conn = current != NULL ? current->conn : NULL;

  if (conn == NULL) {
    return;
  }

  if (session.d == conn) {
    session.d = NULL;
  }
  pr_inet_close(conn->pool, conn);
}
