/*
 * A module that hears of every passive listener, as mod_qos does, and writes
 * down what it is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

static int option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof(value);

  return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

static void data_listen_ev(const void *event_data, void *user_data) {
  const struct socket_ctx *sock = event_data;

  (void) user_data;
  pr_log_pri(PR_LOG_NOTICE,
    "data-listen: %s#%u keepalive=%d freebind=%d reuseaddr=%d reuseport=%d listens=%d",
    pr_netaddr_get_ipstr(sock->addr),
    (unsigned int) ntohs(pr_netaddr_get_port(sock->addr)),
    option(sock->sockfd, SOL_SOCKET, SO_KEEPALIVE),
    option(sock->sockfd, IPPROTO_IP, IP_FREEBIND),
    option(sock->sockfd, SOL_SOCKET, SO_REUSEADDR),
    option(sock->sockfd, SOL_SOCKET, SO_REUSEPORT),
    option(sock->sockfd, SOL_SOCKET, SO_ACCEPTCONN));
}

static int listen_test_sess_init(void);

__attribute__((visibility("default"))) module listen_test_module = {
  NULL, NULL, 0x20, "listen_test", NULL, NULL, NULL, NULL,
  listen_test_sess_init, "mod_listen_test/0", NULL, 0,
};

static int listen_test_sess_init(void) {
  pr_event_register(
    &listen_test_module, "core.data-listen", data_listen_ev, NULL);
  return 0;
}
