/*
 * mod_extip - the helper's side of extip-upnp
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
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper_fds.h"
#include "upnp_child.h"

/* The directory of the program if the kernel does not tell that of this one. */
#if !defined(EXTIP_HELPER_DIR)
#define EXTIP_HELPER_DIR "/usr/lib/proftpd"
#endif

#define PATH_SIZE 4096

struct extip_upnp_child {
  pid_t pid;
  int fd; /* a message a line */
};

/* Beside this program. */
static void find_program(char path[PATH_SIZE]) {
  const char *own = (const char *) getauxval(AT_EXECFN);
  const char *slash = own != NULL ? strrchr(own, '/') : NULL;

  if (slash == NULL || slash - own > PATH_SIZE - 64) {
    own = EXTIP_HELPER_DIR "/";
    slash = own + sizeof(EXTIP_HELPER_DIR "/") - 2;
  }
  snprintf(path, PATH_SIZE, "%.*s/" EXTIP_UPNP_NAME, (int) (slash - own), own);
}

/* Runs in the forked child, which keeps none of the helper's descriptors: all
 * but those to the daemon are closed on exec anyway. libminiupnpc writes to
 * standard error whenever a router is silent. */
static void become(
  int fd, pid_t parent, const char *path, const char *gateway) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

  for (int link = STDERR_FILENO + 1; link <= EXTIP_LAST_FD; link++) {
    (void) fcntl(link, F_SETFD, FD_CLOEXEC);
  }
  (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent && dup2(fd, STDIN_FILENO) >= 0 &&
      dup2(fd, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0) {
    (void) execl(path, EXTIP_UPNP_NAME, gateway, (char *) NULL);
  }
  _exit(1);
}

struct extip_upnp_child *extip_upnp_child_start(struct in_addr gateway) {
  struct extip_upnp_child *child = malloc(sizeof(*child));
  char path[PATH_SIZE], addr[INET_ADDRSTRLEN];
  pid_t parent = getpid();
  int fds[2];

  find_program(path);
  if (child == NULL || access(path, X_OK) < 0 ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
    free(child);
    return NULL;
  }

  inet_ntop(AF_INET, &gateway, addr, sizeof(addr));
  child->fd = fds[0];
  child->pid = fork();
  if (child->pid == 0) {
    become(fds[1], parent, path, addr);
  }
  close(fds[1]);
  if (child->pid < 0) {
    close(fds[0]);
    free(child);
    return NULL;
  }
  return child;
}

int extip_upnp_child_fd(const struct extip_upnp_child *child) {
  return child->fd;
}

int extip_upnp_child_ask(
  struct extip_upnp_child *child, const struct extip_upnp_line *request) {
  char line[EXTIP_UPNP_LINE_SIZE];
  size_t len = extip_upnp_print(line, request);

  return send(child->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* A request or a malformed line is no answer: the process is not what it should
 * be. */
int extip_upnp_child_hear(
  struct extip_upnp_child *child, struct extip_upnp_line *answer) {
  char line[EXTIP_UPNP_LINE_SIZE];
  const char *reason;
  ssize_t len;

  do {
    len = recv(child->fd, line, sizeof(line), MSG_DONTWAIT);
  } while (len < 0 && errno == EINTR);

  if (len < 0 && errno == EAGAIN) {
    return 0;
  }
  return len > 1 && line[len - 1] == '\n' &&
             extip_upnp_parse(line, (size_t) len - 1, answer, &reason) == 0 &&
             answer->kind >= EXTIP_UPNP_ADDRESS
           ? 1
           : -1;
}

void extip_upnp_child_stop(struct extip_upnp_child *child) {
  if (child == NULL) {
    return;
  }
  close(child->fd);
  kill(child->pid, SIGKILL);
  while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
    continue;
  }
  free(child);
}
