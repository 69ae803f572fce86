/*
 * within-proftpd.h - sessions within "proftpd -t": ProFTPD's pools, tables,
 * events and streams are the real ones, and so are the sockets. A module for
 * tests includes this, and says which session there is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef WITHIN_PROFTPD_H
#define WITHIN_PROFTPD_H

#include "conf.h"

#include "tap.h"

#include <stdbool.h>

static pool *place;                      /* of the session */
static int control_fd = -1, client = -1; /* ProFTPD's end, and the client's */

static inline void pair(int *server, int *other) {
  struct sockaddr_in addr = { .sin_family = AF_INET,
    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof(addr);
  int listener = socket(AF_INET, SOCK_STREAM, 0);

  *other = socket(AF_INET, SOCK_STREAM, 0);
  (void) bind(listener, (struct sockaddr *) &addr, sizeof(addr));
  (void) listen(listener, 1);
  (void) getsockname(listener, (struct sockaddr *) &addr, &len);
  (void) connect(*other, (struct sockaddr *) &addr, sizeof(addr));
  *server = accept(listener, NULL, NULL);
  (void) close(listener);
  (void) fcntl(*other, F_SETFL, O_NONBLOCK);
}

/* Without asking a resolver. */
static inline const pr_netaddr_t *address(pool *p, const char *text) {
  struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };
  struct sockaddr_in ipv4 = { .sin_family = AF_INET };
  bool is_ipv6 = inet_pton(AF_INET6, text, &ipv6.sin6_addr) == 1;
  pr_netaddr_t *addr = pr_netaddr_alloc(p);

  (void) inet_pton(AF_INET, text, &ipv4.sin_addr);
  pr_netaddr_set_family(addr, is_ipv6 ? AF_INET6 : AF_INET);
  pr_netaddr_set_sockaddr(
    addr, is_ipv6 ? (struct sockaddr *) &ipv6 : (struct sockaddr *) &ipv4);
  return addr;
}

static inline conn_t *connection(int fd, int type, const char *peer) {
  pool *p = make_sub_pool(place);
  conn_t *conn = pcalloc(p, sizeof(*conn));

  conn->pool = p;
  conn->outstrm = pr_netio_open(p, type, fd, PR_NETIO_IO_WR);
  conn->remote_addr = address(p, peer);
  return conn;
}

static inline void forget(const char *directive) {
  while (remove_config(main_server->conf, directive, FALSE)) {
  }
}

static inline void configure_number(const char *directive, int value) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  c->argv[0] = palloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = value;
}

/* In place of ProFTPD's timers, with -Wl,--wrap. */
static struct {
  callback_t callback;
  int seconds, running;
  bool refused; /* there is no memory for one */
} timer;

int __wrap_pr_timer_add(int, int, module *, callback_t, const char *);
int __wrap_pr_timer_add(int seconds, int number, module *owner,
  callback_t callback, const char *about) {
  (void) number;
  (void) owner;
  (void) about;
  if (timer.refused) {
    errno = ENOMEM;
    return -1;
  }

  timer.callback = callback;
  timer.seconds = seconds;
  timer.running++;
  return 4711;
}

int __wrap_pr_timer_remove(int, module *);
int __wrap_pr_timer_remove(int number, module *owner) {
  (void) owner;
  timer.running -= number == 4711;
  return 0;
}

/* What the client has got since the last time. */
static inline const char *wire(void) {
  static char text[4096];
  ssize_t len = recv(client, text, sizeof(text) - 1, MSG_DONTWAIT);

  text[len > 0 ? len : 0] = '\0';
  return text;
}

static inline const char *note(const char *key) {
  return pr_table_get(session.notes, key, NULL);
}

/* All tests, at the end of the configuration; and the end of a session. */
static void run_tests(void);
static void leave(void);

static inline void postparse_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  (void) setvbuf(stdout, NULL, _IOLBF, 0);
  pr_netaddr_enable_ipv6();
  run_tests();
  leave();
  done_testing();
  fflush(stdout);
}

#define TEST_MODULE(NAME, COMMANDS)                                       \
  __attribute__((visibility("default"))) extern module NAME##_module;     \
  static int test_init(void) {                                            \
    return pr_event_register(                                             \
      &NAME##_module, "core.postparse", postparse_ev, NULL);              \
  }                                                                       \
  module NAME##_module = { NULL, NULL, 0x20, #NAME, NULL, COMMANDS, NULL, \
    test_init, NULL, "mod_" #NAME "/0", NULL, 0 }

#endif
