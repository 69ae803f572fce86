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

/* A listener that is open; lives as long as its connection's pool. */
struct watch {
  conn_t *conn;
  natpasv_closed closed;
  uint64_t opened_ms;
  char announced[INET_ADDRSTRLEN];
  struct natpasv_listener_end how;
};

/* The one opened last, while it is open. */
static struct watch *current = NULL;

/* A socket with all its options that is not bound yet, so that the next PASV
 * need not make it. */
static conn_t *spare = NULL;

static int somebody_waits(int fd) {
  struct pollfd pfd = { .fd = fd, .events = POLLIN };

  return poll(&pfd, 1, 0) > 0;
}

static enum natpasv_end judge(const struct watch *watch) {
  const conn_t *conn = watch->conn;

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

static void before_close(void *data) {
  struct watch *watch = data;

  watch->how.end = judge(watch);
}

static void after_close(void *data) {
  struct watch *watch = data;

  if (current == watch) {
    current = NULL;
  }
  watch->closed(&watch->how);
}

/* A pool runs its cleanups, the latest first, and then destroys its subpools:
 * so the connection's own cleanup, which closes the socket, comes between
 * these two. */
static void watch_conn(conn_t *conn, unsigned port, natpasv_closed closed) {
  pool *inner = make_sub_pool(conn->pool);
  struct watch *watch;

  pr_pool_tag(inner, MOD_NATPASV_VERSION " listener");
  watch = pcalloc(inner, sizeof(struct watch));
  watch->conn = conn;
  watch->closed = closed;
  watch->opened_ms = natpasv_now_ms();
  watch->how.port = port;
  register_cleanup2(inner, watch, after_close);
  register_cleanup2(conn->pool, watch, before_close);
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

/* pr_inet_create_conn() would do all of it, but tells the operator to check
 * ServerType and inetd whenever a port is in use, and binds at once. */
static conn_t *make_conn(const pr_netaddr_t *addr) {
  int family = pr_netaddr_get_family(addr);
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  conn_t *conn;

  if (fd < 0) {
    return NULL;
  }
  set_options(fd, family);

  conn = pr_inet_create_conn(session.pool, fd, addr, INPORT_ANY, FALSE);
  if (conn == NULL) {
    int failure = errno;

    (void) close(fd);
    errno = failure;
    return NULL;
  }

  conn->local_addr = pr_netaddr_dup(conn->pool, addr);
  pr_inet_set_proto_opts(
    conn->pool, conn, main_server->tcp_mss_len, 0, IPTOS_THROUGHPUT, 1);
  return conn;
}

static conn_t *take_conn(const pr_netaddr_t *addr) {
  conn_t *conn = spare;

  spare = NULL;
  if (conn != NULL &&
      pr_netaddr_get_family(conn->local_addr) != pr_netaddr_get_family(addr)) {
    pr_inet_close(conn->pool, conn);
    conn = NULL;
  }
  return conn != NULL ? conn : make_conn(addr);
}

void natpasv_listener_prepare(const pr_netaddr_t *addr) {
  if (spare == NULL) {
    spare = make_conn(addr);
  }
}

static int close_failed(conn_t *conn, int failure) {
  pr_inet_close(conn->pool, conn);
  errno = failure;
  return -1;
}

static int bind_conn(conn_t *conn, const pr_netaddr_t *addr, unsigned port) {
  pr_netaddr_t *local = pr_netaddr_dup(conn->pool, addr);

  pr_netaddr_set_port2(local, port);
  conn->local_addr = local;
  conn->local_port = (int) port;
  if (bind(conn->listen_fd, pr_netaddr_get_sockaddr(local),
        pr_netaddr_get_sockaddr_len(local)) < 0) {
    return close_failed(conn, errno);
  }
  return 0;
}

static int listen_conn(conn_t *conn) {
  pr_inet_generate_socket_event(
    "core.data-listen", main_server, conn->local_addr, conn->listen_fd);

  return pr_inet_listen(session.pool, conn, 1, 0) < 0
           ? close_failed(conn, errno)
           : 0;
}

conn_t *natpasv_listener_open(
  const pr_netaddr_t *addr, unsigned port, natpasv_closed closed) {
  conn_t *conn;

  if (port == 0) {
    conn = pr_inet_create_conn(session.pool, -1, addr, INPORT_ANY, FALSE);
    if (conn != NULL) {
      pr_inet_set_proto_opts(
        conn->pool, conn, main_server->tcp_mss_len, 0, IPTOS_THROUGHPUT, 1);
    }

  } else {
    conn = take_conn(addr);
    if (conn != NULL && bind_conn(conn, addr, port) < 0) {
      return NULL;
    }
  }

  if (conn == NULL || listen_conn(conn) < 0) {
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

void natpasv_listener_drop(conn_t **conn) {
  if (*conn != NULL) {
    pr_inet_close((*conn)->pool, *conn);
    *conn = NULL;
  }
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
