/*
 * ftpdctl extip check, the part that listens: what it makes of the probe's
 * words, of who comes, and of a probe that never ends. The probe is this
 * program itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include "../../mod_extip/arrivals.c"
#include "../../mod_extip/check_run.c"
#include "../../mod_extip/printable.c"

#define ITSELF "/proc/self/exe"

/* In place of clock.c: the first look is at the beginning. */
static int64_t later = 0;
static unsigned int looks = 0;

int64_t extip_now(void) {
  return looks++ == 0 ? 0 : later;
}

/* A socket on a port of this host that listens, or has one that connects. */

static struct sockaddr_in at(const char *addr, unsigned int port) {
  struct sockaddr_in sin = { .sin_family = AF_INET,
    .sin_port = htons((uint16_t) port) };

  (void) inet_pton(AF_INET, addr, &sin.sin_addr);
  return sin;
}

static int listen_somewhere(uint16_t *port) {
  struct sockaddr_in sin = at("0.0.0.0", 0);
  socklen_t len = sizeof(sin);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  (void) bind(fd, (struct sockaddr *) &sin, sizeof(sin));
  (void) listen(fd, 5);
  (void) getsockname(fd, (struct sockaddr *) &sin, &len);
  *port = ntohs(sin.sin_port);
  return fd;
}

static uint16_t free_port(void) {
  uint16_t port;

  (void) close(listen_somewhere(&port));
  return port;
}

static int connect_from(const char *from, unsigned int port) {
  struct sockaddr_in source = at(from, 0), to = at("127.0.0.1", port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  (void) bind(fd, (struct sockaddr *) &source, sizeof(source));
  if (connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0) {
    (void) close(fd);
    return -1;
  }
  return fd;
}

/* The probe: "say=line", "come=address port", "wait", or, with "show", what it
 * was called with. */
static int probe(int argc, char **argv) {
  for (int i = 2; i < argc; i++) {
    char *value = strchr(argv[i], '=');

    if (strcmp(argv[i], "wait") == 0) {
      fflush(stdout);
      (void) pause();
    } else if (strcmp(argv[i], "show") == 0) {
      printf("failed");
      for (int k = 0; k < argc; k++) {
        printf(" %s", argv[k]);
      }
      printf("\n");
    } else if (value != NULL && strncmp(argv[i], "say=", 4) == 0) {
      printf("%s\n", value + 1);
      fflush(stdout);
    } else if (value != NULL) {
      char *port = strchr(value, ' ');

      *port = '\0';
      (void) connect_from(
        value + 1, (unsigned int) strtoul(port + 1, NULL, 10));
    }
  }
  return 0;
}

static struct extip_verdict verdict;
static uint16_t control, passive;

static void begin(void) {
  looks = 0;
  verdict = (struct extip_verdict){ .count = 2,
    .announced.s_addr = inet_addr("198.51.100.1"),
    .tried = { { .inside = control, .outside = 21 },
      { .pool = "a", .inside = passive, .outside = 61000 } } };
}

static void check(const char *one, const char *two, const char *three) {
  const char *const words[] = { one, two, three };
  size_t count = one == NULL ? 0 : two == NULL ? 1 : three == NULL ? 2 : 3;

  begin();
  extip_check_run(&verdict, ITSELF, (char *const *) words, count, "");
}

/* The words of the probe, one at a time. */
static void take(const char *text) {
  struct run run = { .verdict = &verdict };
  char line[256];

  snprintf(line, sizeof(line), "%s", text);
  take_line(&run, line);
}

static void test_words(void) {
  begin();
  take("61000 closed error 447 refused\n");
  is_int(verdict.tried[1].word, EXTIP_WORD_CLOSED, "a port is closed");
  is_str(verdict.tried[1].why, "error 447 refused?", "... for this reason");
  is_int(verdict.tried[0].word, EXTIP_WORD_NONE, "... and no other");
  take("61000 untold");
  is_int(verdict.tried[1].word, EXTIP_WORD_UNTOLD, "it cannot be told");
  is_str(verdict.tried[1].why, "", "... without a reason");
  take("61000 reached");
  is_int(verdict.tried[1].word, EXTIP_WORD_REACHED, "it is reached");
  ok(!verdict.tried[1].accepted, "... which is not believed");
  take("61001 closed");
  take("61000x closed");
  take("x closed");
  take("");
  is_int(
    verdict.tried[1].word, EXTIP_WORD_REACHED, "other ports, and nonsense");
  take("from 192.0.2.7");
  is_int(verdict.from.s_addr, inet_addr("192.0.2.7"), "where it comes from");
  take("seen 192.0.2.8");
  is_int(verdict.seen.s_addr, inet_addr("192.0.2.8"), "what it has seen");
  take("seen here");
  is_int(verdict.seen.s_addr, inet_addr("192.0.2.8"), "... nonsense again");
  take("failed no such\thost");
  is_str(verdict.failed, "no such?host", "why it has failed");
}

static void test_connected(void) {
  struct in_addr from = { inet_addr("127.0.0.2") },
                 other = { inet_addr("127.0.0.3") };
  uint16_t port;
  int listener = listen_somewhere(&port), fd = connect_from("127.0.0.2", port);

  ok(is_connected(from, port), "a connection is found");
  ok(!is_connected(other, port), "... not from another address");
  ok(!is_connected(from, port - 1U), "... not to another port");
  ok(!is_connected((struct in_addr){ INADDR_ANY }, port),
    "... not if the probe does not say where it comes from");
  (void) close(fd);
  (void) close(listener);
  ok(!is_connected_in("/nonexistent", from, port), "no list");
}

static void test_passive(void) {
  char there[64], here[64];

  snprintf(there, sizeof(there), "come=127.0.0.2 %u", passive);
  snprintf(here, sizeof(here), "come=127.0.0.1 %u", passive);
  check(there, NULL, NULL);
  ok(verdict.tried[1].accepted, "a stranger has come to a passive port");
  ok(!verdict.tried[0].accepted, "... and to no other");
  is_str(verdict.failed, "", "... the probe has not failed");
  ok(verdict.tried[1].arrived, "... the first packet was seen");
  ok(!verdict.tried[0].arrived, "... to no other");
  check(here, NULL, NULL);
  ok(!verdict.tried[1].accepted, "this host itself is no stranger");
  check(here, there, here);
  ok(verdict.tried[1].accepted, "one of three is");
  is_int(connect_from("127.0.0.2", passive), -1, "then nobody listens");
}

static void test_control(void) {
  int listener = listen_somewhere(&control);
  char come[64];

  snprintf(come, sizeof(come), "come=127.0.0.2 %u", control);
  check("say=from 127.0.0.2", come, "say=21 reached");
  ok(verdict.tried[0].accepted, "the probe has reached the control port");
  check(come, "say=21 reached", NULL);
  ok(verdict.tried[0].accepted, "... which its first packet shows, too");
  check(come, NULL, NULL);
  ok(verdict.tried[0].arrived && !verdict.tried[0].accepted,
    "a packet alone is not enough");
  check("say=from 127.0.0.3", "say=21 reached", NULL);
  ok(!verdict.tried[0].accepted, "nor is the probe's word");
  (void) close(listener);
}

static void test_busy(void) {
  uint16_t port;
  int listener = listen_somewhere(&port);

  passive = port;
  check("show", NULL, NULL);
  ok(verdict.tried[1].busy, "another program listens on a port");
  is_str(verdict.failed, "extip-helper probe show 198.51.100.1 21",
    "... which is not tried");
  (void) close(listener);
  passive = free_port();
  check("show", NULL, NULL);
  ok(!verdict.tried[1].busy, "later it does not");
  is_str(verdict.failed, "extip-helper probe show 198.51.100.1 21 61000",
    "... and it is tried");
}

static void test_called(void) {
  static const char *const words[] = { "show", "1", "2", "3", "4", "5", "6",
    "7", "8" };

  begin();
  extip_check_run(&verdict, ITSELF, (char *const *) words, 9, "1:2");
  is_str(verdict.failed,
    "extip-helper probe show 1 2 3 4 as 1:2 198.51.100.1 21 61000",
    "the probe is called with its words, as whom, and the ports");
  begin();
  extip_check_run(&verdict, "/nonexistent", (char *const *) words, 1, "");
  is_str(verdict.failed, "cannot run '/nonexistent': No such file or directory",
    "a program that there is not");
}

/* A line that never ends, and a probe that never does. */
static void test_endless(void) {
  static char line[3000] = "say=";
  int next = dup(STDIN_FILENO);

  (void) close(next);
  memset(line + 4, 'x', sizeof(line) - 5);
  check(line, "say=failed after a long line", NULL);
  is_str(
    verdict.failed, "after a long line", "a line that is too long is left out");
  later = RUN_MS;
  check("say=failed for long", "wait", NULL);
  later = 0;
  ok(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD,
    "a probe that does not end is ended");
  is_int(dup(STDIN_FILENO), next, "no descriptor is left open");
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], EXTIP_HELPER_PROBE) == 0) {
    return probe(argc, argv);
  }

  control = free_port();
  passive = free_port();
  test_words();
  test_connected();
  test_passive();
  test_control();
  test_busy();
  test_called();
  test_endless();
  return done_testing();
}
