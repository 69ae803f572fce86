/*
 * mod_extip - ftpdctl extip check: listens while a probe tries
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arrivals.h"
#include "check_run.h"
#include "clock.h"
#include "helper_fds.h"
#include "printable.h"

#define RUN_MS 30000 /* after which the probe is ended */

/* Words of the helper's command line besides the addresses. */
#define ARGS_MAX 10

struct run {
  struct extip_verdict *verdict;
  int listener[EXTIP_TRIED_MAX];
  int arrivals; /* or -1 */
  int lines;    /* the helper's output */
  pid_t helper;
  char buf[2048]; /* the part of a line that has been read */
  size_t len;
};

/* A session that is about to take such a port takes another one, as if another
 * program had it. */
static int listen_on(unsigned int port) {
  struct sockaddr_in any = { .sin_family = AF_INET,
    .sin_port = htons((uint16_t) port) };
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int one = 1;

  if (fd >= 0 &&
      (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *) &any, sizeof(any)) < 0 ||
        listen(fd, 4) < 0)) {
    (void) close(fd);
    fd = -1;
  }
  return fd;
}

static void open_listeners(struct run *run) {
  for (size_t i = 0; i < run->verdict->count; i++) {
    struct extip_tried *tried = &run->verdict->tried[i];

    run->listener[i] = -1;
    if (tried->pool != NULL) {
      run->listener[i] = listen_on(tried->inside);
      tried->busy = run->listener[i] < 0;
    }
  }
}

/* Whether a connection from one of this host's own addresses. */
static bool is_stranger(int fd, const struct sockaddr_in *peer) {
  struct sockaddr_in own;
  socklen_t len = sizeof(own);

  return getsockname(fd, (struct sockaddr *) &own, &len) == 0 &&
         own.sin_addr.s_addr != peer->sin_addr.s_addr;
}

static void accept_all(struct run *run, size_t i) {
  struct sockaddr_in peer;
  socklen_t len = sizeof(peer);
  int fd;

  while ((fd = accept4(run->listener[i], (struct sockaddr *) &peer, &len,
            SOCK_CLOEXEC)) >= 0) {
    if (is_stranger(fd, &peer)) {
      run->verdict->tried[i].accepted = true;
    }
    (void) close(fd);
    len = sizeof(peer);
  }
}

static void take_arrivals(struct run *run) {
  struct in_addr from;
  unsigned int port;

  while ((port = extip_arrivals_next(run->arrivals, &from)) > 0) {
    for (size_t i = 0; i < run->verdict->count; i++) {
      if (run->verdict->tried[i].inside == port) {
        run->verdict->tried[i].arrived = true;
      }
    }
  }
}

/* A connection of the probe to a control port is in the kernel's list, because
 * the daemon has accepted it, or will. The helper holds it until it ends. */
static bool is_connected_in(
  const char *path, struct in_addr from, unsigned int port) {
  FILE *list = fopen(path, "re");
  char line[256], local[16], remote[24];
  bool found = false;

  if (list == NULL) {
    return false;
  }

  /* "0100007F:0015 0200A8C0:C350 01", where IPv6 ends in the mapped address. */
  snprintf(local, sizeof(local), ":%04X ", port);
  snprintf(remote, sizeof(remote), "%08X:", (unsigned int) from.s_addr);
  while (!found && fgets(line, sizeof(line), list) != NULL) {
    const char *at = strstr(line, local);

    found = at != NULL && strstr(at, remote) != NULL;
  }
  (void) fclose(list);
  return found;
}

static bool is_connected(struct in_addr from, unsigned int port) {
  return from.s_addr != INADDR_ANY &&
         (is_connected_in("/proc/net/tcp", from, port) ||
           is_connected_in("/proc/net/tcp6", from, port));
}

static void take_word(
  struct run *run, unsigned long port, const char *word, const char *why) {
  for (size_t i = 0; i < run->verdict->count; i++) {
    struct extip_tried *tried = &run->verdict->tried[i];

    if (tried->outside != port) {
      continue;
    }
    tried->word = strcmp(word, "reached") == 0  ? EXTIP_WORD_REACHED
                  : strcmp(word, "closed") == 0 ? EXTIP_WORD_CLOSED
                                                : EXTIP_WORD_UNTOLD;
    (void) extip_printable(tried->why, sizeof(tried->why), why, strlen(why));
    if (tried->pool == NULL && tried->word == EXTIP_WORD_REACHED) {
      tried->accepted = is_connected(run->verdict->from, tried->inside);
    }
  }
}

/* "61000 closed error 447 ...", "from 192.0.2.7", see trial.h. What the helper
 * says is checked: it has read what strangers sent. */
static void take_line(struct run *run, char *line) {
  struct extip_verdict *verdict = run->verdict;
  char *rest = line + strcspn(line, " "), *end;
  unsigned long port;

  if (*rest == ' ') {
    *rest++ = '\0';
  }

  if (strcmp(line, "from") == 0) {
    (void) inet_pton(AF_INET, rest, &verdict->from);
  } else if (strcmp(line, "seen") == 0) {
    (void) inet_pton(AF_INET, rest, &verdict->seen);
  } else if (strcmp(line, "failed") == 0) {
    (void) extip_printable(
      verdict->failed, sizeof(verdict->failed), rest, strlen(rest));
  } else {
    port = strtoul(line, &end, 10);
    if (end != line && *end == '\0') {
      char *why = rest + strcspn(rest, " ");

      if (*why == ' ') {
        *why++ = '\0';
      }
      take_word(run, port, rest, why);
    }
  }
}

/* False at the end of the helper's output. */
static bool take_lines(struct run *run) {
  ssize_t got =
    read(run->lines, run->buf + run->len, sizeof(run->buf) - 1 - run->len);
  char *line = run->buf, *end;

  if (got <= 0) {
    return got < 0 && errno == EINTR;
  }
  run->len += (size_t) got;
  run->buf[run->len] = '\0';

  while ((end = strchr(line, '\n')) != NULL) {
    *end = '\0';
    take_line(run, line);
    line = end + 1;
  }

  run->len = strlen(line);
  if (run->len == sizeof(run->buf) - 1) {
    run->len = 0; /* no line of ours is that long */
  }
  memmove(run->buf, line, run->len);
  return true;
}

/* Runs in the child. */
static void exec_helper(const struct extip_verdict *verdict, int output,
  const char *program, char *const *words, size_t count, const char *as) {
  static char text[EXTIP_TRIED_MAX + 1][INET_ADDRSTRLEN];
  char *argv[ARGS_MAX + EXTIP_TRIED_MAX + 2];
  size_t n = 0;

  argv[n++] = (char *) EXTIP_HELPER_NAME;
  argv[n++] = (char *) EXTIP_HELPER_PROBE;
  for (size_t i = 0; i < count && n < ARGS_MAX - 3; i++) {
    argv[n++] = words[i];
  }
  if (*as != '\0') {
    argv[n++] = (char *) "as";
    argv[n++] = (char *) as;
  }

  (void) inet_ntop(AF_INET, &verdict->announced, text[0], sizeof(text[0]));
  argv[n++] = text[0];
  for (size_t i = 0; i < verdict->count; i++) {
    if (!verdict->tried[i].busy) {
      snprintf(text[i + 1], sizeof(text[i + 1]), "%u",
        (unsigned int) verdict->tried[i].outside);
      argv[n++] = text[i + 1];
    }
  }
  argv[n] = NULL;

  if (dup2(output, STDOUT_FILENO) >= 0) {
    (void) execv(program, argv);
  }
  dprintf(output, "failed cannot run '%s': %s\n", program, strerror(errno));
  _exit(2);
}

static int start_helper(struct run *run, const char *program,
  char *const *words, size_t count, const char *as) {
  int fds[2];

  if (pipe2(fds, O_CLOEXEC) < 0) {
    return -1;
  }
  run->helper = fork();
  if (run->helper == 0) {
    exec_helper(run->verdict, fds[1], program, words, count, as);
  }
  (void) close(fds[1]);
  run->lines = fds[0];
  return run->helper < 0 ? -1 : 0;
}

static void listen_and_hear(struct run *run) {
  struct pollfd fds[EXTIP_TRIED_MAX + 2];
  size_t count = run->verdict->count;
  int64_t deadline = extip_now() + RUN_MS, left;
  bool more = true;

  for (size_t i = 0; i < count; i++) {
    fds[i] = (struct pollfd){ .fd = run->listener[i], .events = POLLIN };
  }
  fds[count] = (struct pollfd){ .fd = run->arrivals, .events = POLLIN };
  fds[count + 1] = (struct pollfd){ .fd = run->lines, .events = POLLIN };

  while (more && (left = deadline - extip_now()) > 0 &&
         poll(fds, count + 2, (int) left) >= 0) {
    for (size_t i = 0; i < count; i++) {
      if (fds[i].revents != 0) {
        accept_all(run, i);
      }
    }
    if (fds[count].revents != 0) {
      take_arrivals(run);
    }
    more = fds[count + 1].revents == 0 || take_lines(run);
  }

  /* What came last, while the helper's last words were read. */
  for (size_t i = 0; i < count; i++) {
    if (run->listener[i] >= 0) {
      accept_all(run, i);
    }
  }
  if (run->arrivals >= 0) {
    take_arrivals(run);
  }

  /* The kernel may have forgotten the connection to a control port by the time
   * the helper's word is read; that it came here is as good. */
  for (size_t i = 0; i < count; i++) {
    struct extip_tried *tried = &run->verdict->tried[i];

    if (tried->pool == NULL && tried->arrived &&
        tried->word == EXTIP_WORD_REACHED) {
      tried->accepted = true;
    }
  }
}

void extip_check_run(struct extip_verdict *verdict, const char *program,
  char *const *words, size_t count, const char *as) {
  struct run run = { .verdict = verdict };

  *verdict->failed = '\0';
  open_listeners(&run);
  run.arrivals = extip_arrivals_open();
  if (start_helper(&run, program, words, count, as) < 0) {
    snprintf(verdict->failed, sizeof(verdict->failed), "%s", strerror(errno));
  } else {
    listen_and_hear(&run);
    (void) kill(run.helper, SIGKILL);
    (void) waitpid(run.helper, NULL, 0);
    (void) close(run.lines);
  }

  for (size_t i = 0; i < verdict->count; i++) {
    if (run.listener[i] >= 0) {
      (void) close(run.listener[i]);
    }
  }
  if (run.arrivals >= 0) {
    (void) close(run.arrivals);
  }
}
