/*
 * mod_natpasv_listener_test - how listeners end, whom they admit, and who is
 * turned away after he has connected.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/client.h"
#include "../../mod_natpasv/listener.h"
#include "../../mod_natpasv/strangers.h"
#include "natpasv-session.h"

#define CLIENT "127.0.0.2"
#define OTHER  "127.0.0.3"

static struct natpasv_listener_end ended;
static char ended_announced[64];
static int ends;

static void closed(const struct natpasv_listener_end *how) {
  ended = *how;
  ended_announced[0] = '\0';
  if (how->announced != NULL) {
    sstrncpy(ended_announced, how->announced, sizeof(ended_announced));
  }
  ends++;
}

/* In place of natpasv_filter_attach(), with -Wl,--wrap: the kernel may refuse
 * filters. */
static int refuses, attached;

int __real_natpasv_filter_attach(int, const struct natpasv_filter *);
int __wrap_natpasv_filter_attach(int, const struct natpasv_filter *);
int __wrap_natpasv_filter_attach(int fd, const struct natpasv_filter *filter) {
  attached++;
  if (refuses != 0) {
    errno = refuses;
    return -1;
  }
  return __real_natpasv_filter_attach(fd, filter);
}

static struct natpasv_guard guard;

static void admit(bool closed_to_others, bool opens) {
  const pr_netaddr_t *addr = address(place, CLIENT);

  guard = (struct natpasv_guard){ .closed = closed_to_others, .opens = opens };
  (void) natpasv_filter_add(
    &guard.filter, AF_INET, pr_netaddr_get_inaddr(addr), 32);
  natpasv_listener_guard(&guard);
}

static conn_t *open_port(unsigned int port) {
  conn_t *conn = natpasv_listener_open(session.c->local_addr, port, closed);

  session.d = conn;
  return conn;
}

/* A connection from that address; -1 if there is none within 0.2 s. */
static int connect_from(const conn_t *conn, const char *from) {
  struct sockaddr_in addr = { .sin_family = AF_INET };
  struct timeval limit = { 0, 200000 };
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  (void) inet_pton(AF_INET, from, &addr.sin_addr);
  (void) bind(fd, (struct sockaddr *) &addr, sizeof(addr));
  (void) inet_pton(AF_INET, "127.0.0.1", &addr.sin_addr);
  addr.sin_port = htons((uint16_t) conn->local_port);
  if (connect(fd, (struct sockaddr *) &addr, sizeof(addr)) < 0) {
    (void) close(fd);
    return -1;
  }
  return fd;
}

static const char *end_of(conn_t *conn) {
  static const char *const names[] = { "reached", "untried", "not reached" };

  ends = 0;
  natpasv_listener_drop(&conn);
  ok(ends == 1 && conn == NULL && !natpasv_listener_is_open(),
    "the listener ends");
  return names[ended.end];
}

/* A listener of that age in milliseconds, in a state of ProFTPD's. */
static const char *judged(int mode, unsigned int ms) {
  conn_t *conn = open_port(0);

  conn->mode = mode;
  world.now_ms += ms;
  return end_of(conn);
}

static void test_ends(void) {
  conn_t *conn;
  unsigned int port;

  arrive(CLIENT, "127.0.0.1");
  admit(false, false);
  ok(!natpasv_listener_is_open() && !natpasv_listener_is_awaited(),
    "no listener yet");
  conn = open_port(0);
  port = conn->local_port;
  ok(natpasv_listener_is_open() && !natpasv_listener_is_awaited(),
    "a listener is open");
  ok(port >= 1024 && natpasv_listener_fd() == conn->listen_fd,
    "... on a port of the kernel's choice");
  conn->mode = CM_ACCEPT;
  ok(natpasv_listener_is_awaited(), "... and ProFTPD waits for a connection");
  conn->mode = CM_LISTEN;
  natpasv_listener_announced("198.51.100.7");
  is_str(end_of(conn), "untried", "one that ends at once");
  ok(ended.port == 0 && !ended.awaited && !ended.given_up &&
       ended.dropped == 0 && ended.listened == NULL,
    "... had no port of a pool, and nothing has happened to it");
  is_str(ended_announced, "198.51.100.7", "... but to be announced");

  conn = open_port(port);
  is_int(conn->local_port, port, "a port of a pool");
  errno = 0;
  ok(natpasv_listener_open(session.c->local_addr, port, closed) == NULL &&
       errno == EADDRINUSE,
    "... that nobody else can have");
  is_str(end_of(conn), "untried", "...");
  ok(ended.port == port && ended.announced == NULL,
    "... which is told, as EPSV tells no address");

  is_str(judged(CM_LISTEN, 999), "untried", "for less than a second");
  is_str(judged(CM_LISTEN, 1000), "not reached", "for a second");
  ok(!ended.awaited && ended.listened != NULL, "... without a transfer");
  is_str(judged(CM_ACCEPT, 0), "not reached", "with one, at any time");
  ok(ended.awaited, "... which is told");
  is_str(judged(CM_OPEN, 2000), "reached", "a connection was accepted");
  ok(ended.listened == NULL && ended.awaited, "... on it");
  is_str(judged(CM_ERROR, 2000), "reached", "an error was no lack of one");
  ok(!ended.given_up, "... nor was anything given up");

  conn = open_port(0);
  (void) connect_from(conn, OTHER);
  world.now_ms += 1000;
  is_str(end_of(conn), "reached", "somebody waits to be accepted");

  conn = open_port(0);
  natpasv_listener_give_up(0);
  conn->mode = CM_ERROR;
  is_str(end_of(conn), "not reached", "a wait that was given up");
  ok(ended.given_up && ended.awaited, "... is told apart");
  conn = open_port(0);
  natpasv_listener_give_up(0);
  conn->mode = CM_OPEN;
  is_str(end_of(conn), "reached", "... if nobody has come in the end");
  ok(!ended.given_up, "...");
  conn = open_port(0);
  natpasv_listener_refuse();
  conn->mode = CM_OPEN;
  is_str(end_of(conn), "not reached", "nobody was to be served");
  ok(ended.given_up, "... since the client has left");

  conn = open_port(0);
  natpasv_listener_turned_away();
  natpasv_listener_turned_away();
  is_int(natpasv_listener_dropped(), 2, "connections that were closed again");
  (void) end_of(conn);
  is_int(ended.dropped, 2, "... are told at the end");
  conn = open_port(0);
  is_int(natpasv_listener_dropped(), 0, "... and are this listener's");

  ends = 0;
  natpasv_listener_close();
  ok(ends == 1 && session.d == NULL, "the listener is closed");
  natpasv_listener_close();
  is_int(ends, 1, "... once");
  conn = open_port(0);
  session.d = session.c;
  natpasv_listener_close();
  ok(ends == 2 && session.d == session.c,
    "... and not the connection that was accepted");
  session.d = NULL;
}

static int lowest_fd(void) {
  int fd = dup(control_fd);

  (void) close(fd);
  return fd;
}

static int open_fds(void) {
  int count = 0;

  for (int fd = 0; fd < 256; fd++) {
    count += fcntl(fd, F_GETFD) >= 0;
  }
  return count;
}

/* The socket for the next listener is made in advance. */
static void test_spare(void) {
  conn_t *conn;
  int spare, before;

  arrive(CLIENT, "127.0.0.1");
  admit(false, false);
  spare = lowest_fd();
  before = open_fds();
  natpasv_listener_prepare(session.c->local_addr);
  is_int(open_fds(), before + 1, "a socket is made in advance");
  natpasv_listener_prepare(session.c->local_addr);
  is_int(open_fds(), before + 1, "... one");
  conn = open_port(0);
  is_int(conn->listen_fd, spare, "... which is the next listener's");
  (void) end_of(conn);

  spare = lowest_fd();
  natpasv_listener_prepare(session.c->local_addr);
  conn = natpasv_listener_open(address(place, "::1"), 0, closed);
  ok(conn != NULL && pr_netaddr_get_family(conn->local_addr) == AF_INET6,
    "a listener of the other family");
  is_int(open_fds(), before + 1, "... for which that socket is closed");
  (void) end_of(conn);

  natpasv_listener_prepare(session.c->local_addr);
  admit(false, false);
  is_int(open_fds(), before, "another guard needs another socket");
}

static void test_guard(void) {
  conn_t *conn;

  arrive(CLIENT, "127.0.0.1");
  admit(false, false);
  conn = open_port(0);
  ok(connect_from(conn, OTHER) >= 0 && attached == 0,
    "a listener that is open to all");
  (void) end_of(conn);

  admit(true, false);
  conn = open_port(0);
  is_int(attached, 1, "one that is closed has a filter");
  ok(natpasv_listener_to_compare() == NULL, "... which compares");
  is_int(connect_from(conn, OTHER), -1, "others cannot connect");
  ok(natpasv_listener_dropped() > 0, "... which is counted");
  ok(connect_from(conn, CLIENT) >= 0, "the client can");
  (void) end_of(conn);
  ok(ended.dropped > 0, "... and told at the end");

  conn = open_port(0);
  (void) connect_from(conn, OTHER);
  natpasv_listener_give_up(0);
  natpasv_listener_turned_away();
  (void) close(conn->listen_fd);
  is_int(natpasv_listener_dropped(), 2,
    "what was dropped is known after ProFTPD has closed it");
  conn->listen_fd = -1;
  (void) end_of(conn);

  attached = 0;
  admit(true, true);
  conn = open_port(0);
  ok(attached == 0 && natpasv_listener_to_compare() == &guard,
    "one that opens later is compared");
  (void) end_of(conn);
  ok(natpasv_listener_to_compare() == NULL, "... as long as it is open");

  refuses = EPERM;
  admit(true, false);
  conn = open_port(0);
  is_int(
    attached, 2, "a kernel that lets only root set filters is asked again");
  ok(natpasv_listener_to_compare() == &guard, "... and else it is compared");
  (void) end_of(conn);
  conn = open_port(0);
  is_int(attached, 2, "... from then on");
  (void) end_of(conn);
  refuses = ENOPROTOOPT;
  admit(true, false);
  conn = open_port(0);
  is_int(attached, 3, "a kernel without filters is asked once");
  ok(natpasv_listener_to_compare() == &guard, "... and it is compared");
  (void) end_of(conn);
}

/* Who is turned away */

static struct natpasv_row row;
static conn_t *conn;
static pr_netio_t *netio;
static pr_netio_stream_t stream;
static int accepted;

/* ProFTPD accepts the first that has connected, and asks for two streams. */
static bool streams(void) {
  struct timeval limit = { 1, 0 };

  (void) setsockopt(
    conn->listen_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  accepted = accept(conn->listen_fd, NULL, NULL);
  netio = pr_get_netio(PR_NETIO_STRM_DATA);
  return netio->open(&stream, accepted, PR_NETIO_IO_RD) != NULL &&
         netio->open(&stream, accepted, PR_NETIO_IO_WR) != NULL;
}

static const char *peer(void) {
  static char text[INET_ADDRSTRLEN];
  struct sockaddr_in addr;
  socklen_t len = sizeof(addr);

  if (getpeername(accepted, (struct sockaddr *) &addr, &len) < 0) {
    return "nobody";
  }
  return inet_ntop(AF_INET, &addr.sin_addr, text, sizeof(text));
}

static void wait_for_client(bool opens) {
  arrive(CLIENT, "127.0.0.1");
  refuses = ENOPROTOOPT;
  admit(true, opens);
  world.step_ms = 50;
  conn = open_port(0);
  conn->mode = CM_ACCEPT;
  natpasv_strangers_start(&row);
}

static bool is_closed(int fd) {
  char byte;

  return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static void test_client(void) {
  int fds;

  wait_for_client(false);
  ok(connect_from(conn, CLIENT) >= 0, "the client connects");
  fds = open_fds();
  ok(streams(), "... and is served");
  is_str(peer(), CLIENT, "... itself");
  is_int(natpasv_listener_dropped(), 0, "... nobody was turned away");
  is_int(open_fds(), fds + 1, "... and nothing is left open");
  natpasv_strangers_stop();
}

static void test_stranger_first(void) {
  int other, fds;

  wait_for_client(false);
  other = connect_from(conn, OTHER);
  (void) connect_from(conn, OTHER);
  (void) connect_from(conn, CLIENT);
  fds = open_fds();
  ok(streams(), "two others connect, and then the client");
  is_str(peer(), CLIENT, "... which is served");
  is_int(natpasv_listener_dropped(), 2, "... the others are counted");
  ok(is_closed(other), "... and closed");
  is_int(open_fds(), fds + 1, "... and nothing is left open");
  is_said("", "... of which nothing is said");
  natpasv_strangers_stop();
}

static void test_stranger_kept(void) {
  int first, fds;

  wait_for_client(true);
  first = connect_from(conn, OTHER);
  (void) connect_from(conn, CLIENT);
  fds = open_fds();
  ok(streams(), "another connects, who may be the client, and then the client");
  is_str(peer(), CLIENT, "... which is served");
  ok(is_closed(first), "... and the other is closed");
  is_int(open_fds(), fds + 1, "... and nothing is left open");
  natpasv_strangers_stop();
}

static void test_stranger_alone(void) {
  uint64_t begun;
  int second;

  wait_for_client(true);
  begun = world.now_ms;
  (void) connect_from(conn, OTHER);
  second = connect_from(conn, "127.0.0.4");
  ok(streams(), "only others connect");
  is_str(peer(), OTHER, "... the first of whom is served");
  ok(world.now_ms - begun >= 5000 && world.now_ms - begun < 5500,
    "... after five seconds");
  ok(is_closed(second), "... the second is closed");
  is_said(
    "NOTICE! client 127.0.0.2 has not connected within five seconds, and 2 connections came from other addresses: the first of them is used; if this client's data connections come from another address, see NATPasvRule ... from",
    "... and said");
  natpasv_strangers_stop();
}

static void leaves(const char *command, unsigned int ms) {
  uint64_t begun;
  int other;

  wait_for_client(true);
  other = connect_from(conn, OTHER);
  (void) !send(client, command, strlen(command), 0);
  begun = world.now_ms;
  errno = 0;
  ok(!streams() && errno == ECONNABORTED, "the client leaves, %.4s", command);
  ok(is_closed(other), "... the other is not served");
  ok(world.now_ms - begun >= ms && world.now_ms - begun < ms + 400,
    "... at once, or after 0.4 s");
  (void) end_of(conn);
  ok(ended.given_up, "... which is told");
  natpasv_strangers_stop();
}

static void test_leaves(void) {
  leaves("QUIT\r\n", 400);
}

static void test_aborts(void) {
  leaves("ABOR\r\n", 0);
}

static int foreign(void) {
  const config_rec *c =
    find_config(main_server->conf, CONF_PARAM, "AllowForeignAddress", FALSE);

  return c != NULL ? *((const int *) c->argv[0]) : -2;
}

/* ProFTPD, which compares as well, is told that all may. */
static void test_foreign(void) {
  config_rec *c;

  wait_for_client(true);
  ok(foreign() == TRUE || foreign() == -1, "all are allowed meanwhile");
  ok(pr_get_netio(PR_NETIO_STRM_DATA) != NULL, "... and streams are looked at");
  netio = pr_get_netio(PR_NETIO_STRM_DATA);
  natpasv_strangers_start(&row);
  ok(pr_get_netio(PR_NETIO_STRM_DATA) == netio, "... once");
  natpasv_strangers_stop();
  is_int(foreign(), -2, "... and then it is as it was");
  ok(pr_get_netio(PR_NETIO_STRM_DATA) == NULL, "... with no one to look");
  natpasv_strangers_start(&row);
  ok(foreign() == TRUE || foreign() == -1, "... and again");
  natpasv_strangers_stop();
  is_int(foreign(), -2, "... for a while");

  c = add_config_param_set(
    &main_server->conf, "AllowForeignAddress", 2, NULL, NULL);
  c->argv[0] = pcalloc(c->pool, sizeof(int));
  natpasv_strangers_start(&row);
  is_int(foreign(), TRUE, "AllowForeignAddress off is on meanwhile");
  natpasv_strangers_stop();
  is_int(foreign(), FALSE, "... and then off");

  (void) end_of(conn);
  refuses = 0;
  admit(true, false);
  conn = open_port(0);
  natpasv_strangers_start(&row);
  is_int(foreign(), FALSE, "... and all the time where the kernel compares");
  ok(pr_get_netio(PR_NETIO_STRM_DATA) == NULL, "... and nobody looks");
  natpasv_strangers_stop();
}

static int opened;

static pr_netio_stream_t *open_theirs(
  pr_netio_stream_t *nstrm, int fd, int mode) {
  (void) fd;
  (void) mode;
  opened++;
  return nstrm;
}

/* Another module, as mod_tls, has streams of its own. */
static void test_other_module(void) {
  pr_netio_t *theirs;

  arrive(CLIENT, "127.0.0.1");
  theirs = pr_alloc_netio2(place, NULL, "theirs");
  theirs->open = open_theirs;
  (void) pr_register_netio(theirs, PR_NETIO_STRM_DATA);
  admit(true, true);
  conn = open_port(0);
  natpasv_strangers_start(&row);
  (void) connect_from(conn, CLIENT);
  ok(streams(), "streams of another module");
  is_int(opened, 2, "... which it opens itself");
  natpasv_strangers_stop();
  ok(pr_get_netio(PR_NETIO_STRM_DATA) == theirs && theirs->open == open_theirs,
    "... and has again");
}

static void run_tests(void) {
  in_session(test_ends);
  in_session(test_spare);
  in_session(test_guard);
  in_session(test_client);
  in_session(test_stranger_first);
  in_session(test_stranger_kept);
  in_session(test_stranger_alone);
  in_session(test_leaves);
  in_session(test_aborts);
  in_session(test_foreign);
  in_session(test_other_module);
}

TEST_MODULE(natpasv_listener_test, hooks);
