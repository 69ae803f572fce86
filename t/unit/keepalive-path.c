/*
 * What the kernel knows of a TCP connection, asked of real ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/path.c"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

static int client, server;

static void connect_both(void) {
  struct sockaddr_in addr = { .sin_family = AF_INET };
  socklen_t len = sizeof(addr);
  int listener = socket(AF_INET, SOCK_STREAM, 0), size = 16384;

  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  client = socket(AF_INET, SOCK_STREAM, 0);
  (void) setsockopt(client, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  if (bind(listener, (struct sockaddr *) &addr, len) < 0 ||
      listen(listener, 1) < 0 ||
      getsockname(listener, (struct sockaddr *) &addr, &len) < 0 ||
      connect(client, (struct sockaddr *) &addr, len) < 0) {
    perror("loopback");
    _exit(1);
  }
  server = accept(listener, NULL, NULL);
  (void) close(listener);
}

static struct keepalive_path look(void) {
  struct keepalive_path path = { 0 };

  is_int(keepalive_path_look(server, &path), 0, "the kernel knows the path");
  return path;
}

static void wait_ms(unsigned int ms) {
  (void) poll(NULL, 0, (int) ms);
}

static void test_idle(void) {
  struct keepalive_path path, later;

  wait_ms(150);
  path = look();
  ok(!path.closed && path.unanswered == 0, "an idle connection is open");
  wait_ms(300);
  later = look();
  ok(later.silent_ms >= path.silent_ms + 250 && later.silent_ms < 5000,
    "its silence grows: %u and %u ms", path.silent_ms, later.silent_ms);
  ok(later.sent_ms >= path.sent_ms + 250, "in both directions");

  (void) !write(client, "x", 1);
  wait_ms(20);
  path = look();
  ok(path.silent_ms < 250, "a byte from the peer ends it: %u ms",
    path.silent_ms);
  ok(path.sent_ms > 300, "but it is none that was sent: %u ms", path.sent_ms);
}

/* A peer that does not read. */
static void test_stalled(void) {
  static char bytes[65536];
  struct keepalive_path path, later;
  int i;

  (void) fcntl(server, F_SETFL, O_NONBLOCK);
  is_int(keepalive_path_writable(server), 1, "an empty socket takes a byte");
  for (i = 0; i < 1000 && write(server, bytes, sizeof(bytes)) > 0; i++) {
  }
  wait_ms(300);
  is_int(keepalive_path_writable(server), 0, "a full one does not");

  path = look();
  ok(path.acked > 0, "some arrived: %llu bytes", (unsigned long long) path.acked);
  wait_ms(700);
  later = look();
  ok(later.acked == path.acked && later.sent_ms >= path.sent_ms + 600,
    "then none: since %u ms", later.sent_ms);
  ok(later.silent_ms < later.sent_ms,
    "though the peer answers what looks for room: %u ms", later.silent_ms);

  while (read(client, bytes, sizeof(bytes)) > 0 &&
         look().acked == later.acked) {
  }
  ok(look().acked > later.acked, "what is read makes it go on");
}

static void test_ends(void) {
  struct linger now = { 1, 0 };
  struct keepalive_path path;

  (void) setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  (void) close(client);
  wait_ms(50);
  path = look();
  is_int(path.closed, 1, "a connection that was reset is closed");
  (void) close(server);
  errno = 0;
  ok(keepalive_path_look(server, &path) < 0 && errno == EBADF,
    "no connection is an error");
  is_int(keepalive_path_writable(server), 0, "and takes no byte");
}

int main(void) {
  double before = keepalive_now();

  connect_both();
  test_idle();
  test_stalled();
  test_ends();
  ok(keepalive_now() > before + 1 && keepalive_now() < before + 60,
    "the clock counts seconds");
  return done_testing();
}
