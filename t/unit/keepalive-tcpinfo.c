/*
 * What the kernel knows of a TCP connection, asked of real ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

static int asked(int fd, int level, int name, void *value, socklen_t *len);
static int queued(int fd, unsigned long request, int *bytes);

#define getsockopt asked
#define ioctl      queued
#include "../../mod_keepalive/tcpinfo.c"
#undef getsockopt
#undef ioctl

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static int client, server;

/* What a kernel says instead of this one. */
static const struct tcp_info *other_info;
static socklen_t other_len;
static int other_queue; /* -1: it does not know SIOCOUTQ */
static int other_unsent; /* -1: nor SIOCOUTQNSD */

static int asked(int fd, int level, int name, void *value, socklen_t *len) {
  if (other_info == NULL) {
    return getsockopt(fd, level, name, value, len);
  }

  memcpy(value, other_info, other_len);
  *len = other_len;
  return 0;
}

static int queued(int fd, unsigned long request, int *bytes) {
  if (other_info == NULL) {
    return ioctl(fd, request, bytes);
  }

  *bytes = request == SIOCOUTQNSD ? other_unsent : other_queue;
  errno = EINVAL;
  return *bytes < 0 ? -1 : 0;
}

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

static struct keepalive_tcpinfo look(void) {
  struct keepalive_tcpinfo info = { 0 };

  is_int(keepalive_tcpinfo_get(server, &info), 0, "the kernel knows it");
  return info;
}

static void wait_ms(unsigned int ms) {
  (void) poll(NULL, 0, (int) ms);
}

static void test_idle(void) {
  struct keepalive_tcpinfo info, later;

  wait_ms(150);
  info = look();
  ok(!info.closed && info.unanswered == 0 && info.tries == 0 &&
       info.unread == 0 && info.unsent == 0,
    "an idle connection is open, and all is answered");
  ok(info.room > 1000 && info.room < 1 << 20, "its peer has room: %u bytes",
    info.room);
  wait_ms(300);
  later = look();
  ok(later.heard > info.heard - 0.05 && later.heard < info.heard + 0.05,
    "it was last heard when it was");

  (void) !write(client, "x", 1);
  wait_ms(20);
  later = look();
  ok(later.heard > info.heard + 0.3, "a byte from the peer is later");
  is_int(later.segs_in - info.segs_in, 1, "in one segment");
}

/* A peer that does not read. */
static void test_stalled(void) {
  static char bytes[65536];
  struct keepalive_tcpinfo info, later;

  (void) fcntl(server, F_SETFL, O_NONBLOCK);
  for (int i = 0; i < 1000 && write(server, bytes, sizeof(bytes)) > 0; i++) {
  }
  wait_ms(300);
  info = look();
  ok(info.unread > 65536, "it has not taken all: %u bytes", info.unread);
  ok(info.unsent > 0 && info.unsent <= info.unread,
    "its window keeps some back: %u bytes", info.unsent);
  ok(info.room < 16384, "and has little room: %u bytes", info.room);
  later = info;
  for (int i = 0; i < 100 && later.heard <= info.heard + 0.1; i++) {
    wait_ms(50);
    (void) keepalive_tcpinfo_get(server, &later);
  }
  ok(later.heard > info.heard + 0.1, "though it answers what looks for room");

  for (int i = 0; i < 1000 && read(client, bytes, sizeof(bytes)) > 0 &&
                  look().unread == later.unread;
       i++) {
  }
  ok(look().unread < later.unread, "what is read is taken");
}

static void test_ends(void) {
  struct linger now = { 1, 0 };
  struct keepalive_tcpinfo info;

  (void) setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  (void) close(client);
  wait_ms(50);
  info = look();
  ok(info.closed, "a connection that was reset is closed");
  (void) close(server);
  errno = 0;
  ok(keepalive_tcpinfo_get(server, &info) < 0 && errno == EBADF,
    "no connection is an error");
}

static void test_other_kernels(void) {
  static const struct tcp_info said = { .tcpi_unacked = 2, .tcpi_probes = 3,
    .tcpi_retransmits = 4, .tcpi_total_retrans = 5, .tcpi_segs_in = 6,
    .tcpi_last_ack_recv = 3000, .tcpi_last_data_recv = 1000 };
  const socklen_t enough =
    offsetof(struct tcp_info, tcpi_segs_in) + sizeof(uint32_t);
  struct keepalive_tcpinfo info = { 0 };
  double now = keepalive_now();

  other_info = &said;
  other_len = enough;
  other_queue = 7;
  other_unsent = 4;
  is_int(keepalive_tcpinfo_get(0, &info), 0, "so many words are enough");
  is_int(info.unanswered, 5, "... what is not answered: segments and probes");
  is_int(info.tries, 7, "... tries: probes and retransmissions");
  is_int(info.resent, 5, "... segments sent again");
  is_int(info.segs_in, 6, "... segments received");
  is_int(info.unread, 7, "... bytes that were not taken");
  is_int(info.unsent, 4, "... of these, bytes that were not sent");
  is_int(info.room, UINT_MAX, "... the room is not known");
  ok(info.heard > now - 1.5 && info.heard < now - 0.5,
    "... the peer was last heard when its last segment came");

  other_unsent = -1;
  is_int(keepalive_tcpinfo_get(0, &info), 0,
    "no count of what was not sent is no error");
  is_int(info.unsent, 7, "... it may be all that was not taken");

  other_len = enough - 1;
  errno = 0;
  ok(keepalive_tcpinfo_get(0, &info) == -1 && errno == ENOSYS,
    "a byte less is not enough");
  other_len = enough;
  other_queue = -1;
  ok(keepalive_tcpinfo_get(0, &info) == -1 && errno == EINVAL,
    "no count of what was not taken is an error");
  other_info = NULL;
}

/* What is a socket, and not of TCP. */
static void test_other_sockets(void) {
  struct keepalive_tcpinfo path;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);

  is_int(keepalive_tcpinfo_get(fd, &path), -1, "a UDP socket has no TCP_INFO");
  (void) close(fd);
}

/* The window is there when all of it is. */
static void test_window(void) {
  unsigned char info[WINDOW_OFFSET + 4] = { 0 };
  unsigned int wrong = 0;

  info[WINDOW_OFFSET] = 42;
  for (socklen_t len = 0; len < sizeof(info); len++) {
    wrong += window_of(info, len) != UINT_MAX;
  }
  is_int(wrong, 0, "a kernel that does not tell the window has a large one");
  is_int(window_of(info, sizeof(info)), 42, "one that tells it is believed");
}

int main(void) {
  double before = keepalive_now();
  struct keepalive_tcpinfo path = { 0 };

  test_other_kernels();
  test_window();
  test_other_sockets();
  connect_both();
  if (keepalive_tcpinfo_get(server, &path) < 0 && errno == ENOSYS) {
    puts("# the kernel, or an emulator, does not tell enough");
    return done_testing();
  }

  test_idle();
  test_stalled();
  test_ends();
  ok(keepalive_now() > before + 1 && keepalive_now() < before + 60,
    "the clock counts seconds");
  return done_testing();
}
