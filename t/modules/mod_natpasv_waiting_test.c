/*
 * mod_natpasv_waiting_test - what a client that is waited for has sent, and
 * when the wait ends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/client.h"
#include "../../mod_natpasv/listener.h"
#include "../../mod_natpasv/waiting.h"
#include "natpasv-session.h"

#include <netinet/tcp.h>

static const char *look(void) {
  static const char *const names[] = { "waits", "talks", "leaves", "left" };

  return names[natpasv_client_look()];
}

static void send_text(const char *text) {
  (void) !send(client, text, strlen(text), 0);
}

/* What ProFTPD has read and not used yet. */
static void buffer_text(const char *text) {
  pr_buffer_t *buffer = session.c->instrm->strm_buf;
  size_t len = strlen(text);

  memcpy(buffer->buf + 7, text, len);
  buffer->current = buffer->buf + 7;
  buffer->remaining = buffer->buflen - len;
}

static const char *unread(void) {
  static char text[1024];
  ssize_t len = recv(control_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

  text[len > 0 ? len : 0] = '\0';
  return text;
}

static void test_plain(void) {
  static const struct {
    const char *buffered, *sent, *want;
  } cases[] = {
    { "", "", "waits" },
    { "", "NOOP\r\n", "talks" },
    { "", "RETR x\r\n", "talks" },
    { "", "ABOR", "talks" },
    { "", "ABOR\r\n", "left" },
    { "", "QUIT\r\n", "leaves" },
    { "", "NOOP\r\nQUIT\r\n", "leaves" },
    { "", "RETR x\r\nABOR\r\n", "talks" },
    { "ABOR\r\n", "", "left" },
    { "QUIT\r\n", "ABOR\r\n", "leaves" },
    { "QU", "IT\r\n", "leaves" },
    { "NOOP\r\n", "ABOR\r\n", "left" },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    arrive("203.0.113.9", "192.168.1.1");
    if (cases[i].buffered[0] != '\0') {
      buffer_text(cases[i].buffered);
    }
    send_text(cases[i].sent);
    is_str(look(), cases[i].want, "%zu bytes read before, %zu not yet, row %zu",
      strlen(cases[i].buffered), strlen(cases[i].sent), i);
    ok(natpasv_client_gave_up() == (cases[i].want[0] == 'l'),
      "... which is giving up or not");
    is_str(unread(), cases[i].sent, "... and remains unread");
  }
}

/* 512 bytes are looked at. */
static void test_long(void) {
  char text[600] = "";

  arrive("203.0.113.9", "192.168.1.1");
  while (strlen(text) < 504) {
    sstrcat(text, "NOOP\r\n", sizeof(text));
  }
  sstrcat(text, "ABOR\r\n", sizeof(text));
  send_text(text);
  is_str(look(), "left", "ABOR among the first 512 bytes");
  (void) unread();
  sstrcat(text, "QUIT\r\n", sizeof(text));
  buffer_text(text);
  is_str(look(), "left", "... of what was read");
  memcpy(text + 504, "NOOP\r\n", 6);
  buffer_text(text);
  is_str(look(), "talks", "QUIT after them is not seen");
}

static void test_ends(void) {
  struct linger linger = { 1, 0 };

  arrive("203.0.113.9", "192.168.1.1");
  (void) send(client, "!", 1, MSG_OOB);
  is_str(look(), "left", "urgent data is ABOR");

  arrive("203.0.113.9", "192.168.1.1");
  (void) shutdown(client, SHUT_WR);
  is_str(look(), "leaves", "a client that sends no more may still connect");

  arrive("203.0.113.9", "192.168.1.1");
  (void) setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
  (void) close(client);
  is_str(look(), "left", "a connection that is reset");
}

/* What comes in TLS is read to where ProFTPD looks for the next command. */
static void test_tls(void) {
  static int ssl;
  pr_buffer_t *buffer;

  arrive("203.0.113.9", "192.168.1.1");
  buffer = session.c->instrm->strm_buf;
  session.rfc2228_mech = "TLS";
  send_text("QUIT\r\n");
  is_str(look(), "waits", "TLS that is not mod_tls's: nothing is known");
  is_str(unread(), "QUIT\r\n", "... nor read");

  (void) pr_table_add(
    session.c->instrm->notes, "mod_tls.SSL", &ssl, sizeof(ssl));
  is_str(look(), "waits", "TLS, and nothing has come");
  send_text("RETR x\r\n");
  is_str(look(), "talks", "something has come");
  is_str(unread(), "", "... and is read");
  is_int((long long) session.total_raw_in, 8, "... and counted");
  ok(buffer->current == buffer->buf &&
       memcmp(buffer->buf, "RETR x\r\n", 8) == 0 &&
       buffer->buflen - buffer->remaining == 8,
    "... for ProFTPD");
  send_text("ABOR\r\n");
  is_str(look(), "talks", "what comes first counts");
  ok(memcmp(buffer->buf, "RETR x\r\nABOR\r\n", 14) == 0 &&
       buffer->buflen - buffer->remaining == 14,
    "... and the rest is kept behind it");

  buffer_text("QU");
  send_text("IT\r\n");
  is_str(look(), "leaves", "a command in two parts");
  ok(buffer->current == buffer->buf && memcmp(buffer->buf, "QUIT\r\n", 6) == 0,
    "... from the start of the buffer");

  buffer->remaining = 0;
  buffer->current = buffer->buf;
  send_text("ABOR\r\n");
  (void) look();
  is_str(unread(), "ABOR\r\n", "a full buffer is not read into");
  session.c->instrm->strm_buf = NULL;
  is_str(look(), "waits", "no buffer yet");
}

/* The wait */

static conn_t *conn;

static void closed(const struct natpasv_listener_end *how) {
  (void) how;
}

static void listen_for(int mode) {
  static const struct natpasv_guard all;

  arrive("127.0.0.1", "127.0.0.1");
  natpasv_listener_guard(&all);
  conn = natpasv_listener_open(session.c->local_addr, 0, closed);
  conn->mode = mode;
  natpasv_waiting_start(NULL);
}

static bool is_watched(void) {
  return (fcntl(control_fd, F_GETFL) & O_ASYNC) != 0;
}

/* The limit of accept(2) in milliseconds, to which the kernel adds some. */
static int limit(void) {
  struct timeval limit = { 0, 0 };
  socklen_t len = sizeof(limit);

  (void) getsockopt(conn->listen_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &len);
  return (int) (limit.tv_sec * 1000 + limit.tv_usec / 1000) / 20 * 20;
}

static int ring(void) {
  return timer.callback(0, 0, 0, NULL);
}

static volatile sig_atomic_t rung; /* as ProFTPD is interrupted */

static void count_rings(int signo) {
  (void) signo;
  rung++;
}

static void test_waiting(void) {
  int flags;

  (void) signal(SIGALRM, count_rings);
  arrive("127.0.0.1", "127.0.0.1");
  natpasv_waiting_start(NULL);
  is_int(timer.running, 0, "without a listener there is nothing to watch");
  natpasv_waiting_stop();

  listen_for(CM_LISTEN);
  is_int(timer.running, 1, "a timer while a data connection is waited for");
  is_int(timer.seconds, 1, "... of a second");
  ok(is_watched() && fcntl(control_fd, F_GETSIG) == SIGALRM &&
       fcntl(control_fd, F_GETOWN) == getpid(),
    "... and what comes on the control connection rings as well");
  natpasv_waiting_start(NULL);
  is_int(timer.running, 1, "... once");
  send_text("ABOR\r\n");
  is_int(rung, 1, "... which interrupts ProFTPD");
  is_int(ring(), 1, "the timer goes on");
  is_int(limit(), 0, "as long as ProFTPD does not wait, nothing is given up");
  conn->mode = CM_ACCEPT;
  is_int(ring(), 1, "it waits");
  ok(limit() == 0 && conn->listen_fd >= 0, "... for next to no time");
  ok(!is_watched(), "... and is not disturbed any more");
  natpasv_waiting_stop();
  is_int(timer.running, 0, "the timer ends");

  listen_for(CM_ACCEPT);
  (void) ring();
  ok(is_watched() && limit() == 0, "a client that waits");
  send_text("NOOP\r\n");
  (void) ring();
  ok(!is_watched() && limit() == 0, "one that talks is waited for");
  send_text("QUIT\r\n");
  (void) ring();
  is_int(limit(), 400, "one that leaves has 0.4 s");
  world.now_ms += 140;
  (void) ring();
  is_int(limit(), 260, "... all in all");
  world.now_ms += 300;
  is_int(ring(), 1, "... and then no more");
  is_int(limit(), 0, "... than a moment");
  natpasv_waiting_start(NULL);
  (void) unread();
  (void) ring();
  natpasv_waiting_stop();

  listen_for(CM_ACCEPT);
  flags = fcntl(control_fd, F_GETFL);
  natpasv_waiting_stop();
  is_int(timer.running, 0, "a wait that ends well");
  rung = 0;
  send_text("NOOP\r\n");
  is_int(rung, 0, "... and what comes then rings no more");
  ok(!is_watched() && fcntl(control_fd, F_GETSIG) == 0 &&
       fcntl(control_fd, F_GETFL) == (flags & ~O_ASYNC),
    "... and nobody is disturbed later");
  natpasv_waiting_stop();
  is_int(timer.running, 0, "... once is enough");
}

static void run_tests(void) {
  in_session(test_plain);
  in_session(test_long);
  in_session(test_ends);
  in_session(test_tls);
  in_session(test_waiting);
}

TEST_MODULE(natpasv_waiting_test, hooks);
