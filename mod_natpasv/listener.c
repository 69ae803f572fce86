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

#include <poll.h>

/* The one that is open; a session has one at most. */
static struct {
  conn_t *conn;
  natpasv_closed closed;
  uint64_t opened_ms;
  char announced[INET_ADDRSTRLEN];
  struct natpasv_listener_end how;
} listener;

static int somebody_waits(int fd) {
  struct pollfd pfd = { .fd = fd, .events = POLLIN };

  return poll(&pfd, 1, 0) > 0;
}

static enum natpasv_end judge(const conn_t *conn) {
  if (conn->mode == CM_OPEN || conn->mode == CM_ERROR) {
    return NATPASV_REACHED;
  }

  if (conn->mode != CM_ACCEPT &&
      natpasv_now_ms() - listener.opened_ms < NATPASV_PATIENCE_MS) {
    return NATPASV_UNTRIED;
  }
  return somebody_waits(conn->listen_fd) ? NATPASV_REACHED
                                         : NATPASV_NOT_REACHED;
}

static void before_close(void *data) {
  listener.how.end = judge(data);
}

static void after_close(void *data) {
  natpasv_closed closed = listener.closed;
  struct natpasv_listener_end how = listener.how;

  (void) data;
  listener.conn = NULL;
  closed(&how);
}

/* A pool runs its cleanups, the latest first, and then destroys its subpools:
 * so the connection's own cleanup, which closes the socket, comes between
 * these two. */
static void watch(conn_t *conn, unsigned port, natpasv_closed closed) {
  pool *inner = make_sub_pool(conn->pool);

  pr_pool_tag(inner, MOD_NATPASV_VERSION " listener");
  listener.conn = conn;
  listener.closed = closed;
  listener.opened_ms = natpasv_now_ms();
  listener.how.port = port;
  listener.how.announced = NULL;
  register_cleanup2(inner, NULL, after_close);
  register_cleanup2(conn->pool, conn, before_close);
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

/* As inet.c's init_conn() does it for a port of PassivePorts. */
static void set_options(int fd, int family) {
  const struct tcp_keepalive *keepalive = main_server->tcp_keepalive;

  SET(fd, SOL_SOCKET, SO_REUSEADDR, 1);
#if defined(SO_REUSEPORT)
  if (main_server->tcp_reuse_port != -1) {
    SET(fd, SOL_SOCKET, SO_REUSEPORT, main_server->tcp_reuse_port);
  }
#endif
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

/* A socket bound to a port that is ours by lease. pr_inet_create_conn() would
 * do the same, but tells the operator to check ServerType and inetd whenever a
 * port is in use. */
static conn_t *bind_conn(const pr_netaddr_t *addr, unsigned port) {
  pr_netaddr_t *local;
  conn_t *conn;
  int fd, family = pr_netaddr_get_family(addr);

  fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (fd < 0) {
    return NULL;
  }

  set_options(fd, family);

  conn = pr_inet_create_conn(session.pool, fd, addr, (int) port, FALSE);
  if (conn == NULL) {
    int failure = errno;

    (void) close(fd);
    errno = failure;
    return NULL;
  }

  local = pr_netaddr_dup(conn->pool, addr);
  pr_netaddr_set_port2(local, (int) port);
  conn->local_addr = local;

  if (bind(fd, pr_netaddr_get_sockaddr(local),
        pr_netaddr_get_sockaddr_len(local)) < 0) {
    int failure = errno;

    pr_inet_close(conn->pool, conn);
    errno = failure;
    return NULL;
  }
  return conn;
}

conn_t *natpasv_listener_open(
  const pr_netaddr_t *addr, unsigned port, natpasv_closed closed) {
  conn_t *conn;

  conn = port == 0
           ? pr_inet_create_conn(session.pool, -1, addr, INPORT_ANY, FALSE)
           : bind_conn(addr, port);
  if (conn == NULL) {
    return NULL;
  }

  pr_inet_set_proto_opts(
    session.pool, conn, main_server->tcp_mss_len, 0, IPTOS_THROUGHPUT, 1);
  pr_inet_generate_socket_event(
    "core.data-listen", main_server, conn->local_addr, conn->listen_fd);

  if (pr_inet_listen(session.pool, conn, 1, 0) < 0) {
    int failure = errno;

    pr_inet_close(conn->pool, conn);
    errno = failure;
    return NULL;
  }

  conn->instrm = pr_netio_open(
    session.pool, PR_NETIO_STRM_DATA, conn->listen_fd, PR_NETIO_IO_RD);
  watch(conn, port, closed);
  return conn;
}

void natpasv_listener_announced(const char *address) {
  sstrncpy(listener.announced, address, sizeof(listener.announced));
  listener.how.announced = listener.announced;
}

void natpasv_listener_close(void) {
  conn_t *conn = listener.conn;

  if (conn == NULL) {
    return;
  }

  if (session.d == conn) {
    session.d = NULL;
  }
  pr_inet_close(conn->pool, conn);
}
