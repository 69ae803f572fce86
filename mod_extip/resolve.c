/*
 * mod_extip - resolves names, and can be stopped
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "resolve.h"

/* What the child writes, in one piece: it is smaller than PIPE_BUF. */
struct result {
  int error; /* of getaddrinfo() */
  size_t count;
  struct in_addr addrs[EXTIP_LOOKUP_MAX];
};

struct extip_lookup {
  char *name;
  pid_t pid; /* -1: reaped */
  int fd;    /* -1: done */
  struct result result;
};

/* A handler of the parent must not run here, and a socket of the parent must
 * not stay open because of this process. */
static void leave_parent_behind(int keep_fd) {
  sigset_t none;

  for (int sig = 1; sig < NSIG; sig++) {
    signal(sig, SIG_DFL);
  }
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  dup2(keep_fd, STDIN_FILENO);
#ifdef SYS_close_range
  if (syscall(SYS_close_range, STDIN_FILENO + 1, ~0U, 0) == 0) {
    return;
  }
#endif
  for (int fd = STDIN_FILENO + 1; fd < 1024; fd++) {
    close(fd);
  }
}

static bool seen(const struct result *result, struct in_addr addr) {
  for (size_t i = 0; i < result->count; i++) {
    if (result->addrs[i].s_addr == addr.s_addr) {
      return true;
    }
  }
  return false;
}

static void resolve(const char *name, struct result *result) {
  struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
  struct addrinfo *list = NULL;

  result->error = getaddrinfo(name, NULL, &hints, &list);
  for (const struct addrinfo *info = list;
       info != NULL && result->count < EXTIP_LOOKUP_MAX; info = info->ai_next) {
    struct sockaddr_in sin;

    memcpy(&sin, info->ai_addr, sizeof(sin));
    if (!seen(result, sin.sin_addr)) {
      result->addrs[result->count++] = sin.sin_addr;
    }
  }
}

/* Its end is _exit(2): nothing that the parent registered may run. */
static void run_child(
  const char *name, unsigned int timeout_ms, pid_t parent, int fd) {
  struct result result = { 0 };

  leave_parent_behind(fd);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  if (getppid() != parent) {
    _exit(1);
  }
  /* Where there is no PR_SET_PDEATHSIG. */
  alarm(timeout_ms / 1000 + 2);

  resolve(name, &result);
  _exit(write(STDIN_FILENO, &result, sizeof(result)) < 0);
}

struct extip_lookup *extip_lookup_start(
  const char *name, unsigned int timeout_ms) {
  struct extip_lookup *lookup = calloc(1, sizeof(*lookup));
  pid_t parent = getpid();
  int ends[2] = { -1, -1 };
  int xerrno;

  if (lookup == NULL) {
    return NULL;
  }
  lookup->pid = -1;
  lookup->fd = -1;
  lookup->name = strdup(name);
  if (lookup->name == NULL || pipe2(ends, O_CLOEXEC) < 0) {
    goto fail;
  }
  lookup->fd = ends[0];
  lookup->pid = fork();
  if (lookup->pid == 0) {
    run_child(name, timeout_ms, parent, ends[1]);
  }
  if (lookup->pid < 0) {
    goto fail;
  }
  close(ends[1]);
  return lookup;

fail:
  xerrno = errno;
  if (ends[1] >= 0) {
    close(ends[1]);
  }
  extip_lookup_free(lookup);
  errno = xerrno;
  return NULL;
}

const char *extip_lookup_name(const struct extip_lookup *lookup) {
  return lookup->name;
}

int extip_lookup_fd(const struct extip_lookup *lookup) {
  return lookup->fd;
}

/* Ends the process if it still runs, and reaps it. */
static void end_child(struct extip_lookup *lookup) {
  if (lookup->fd >= 0) {
    close(lookup->fd);
    lookup->fd = -1;
  }
  if (lookup->pid > 0) {
    kill(lookup->pid, SIGKILL);
    while (waitpid(lookup->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    lookup->pid = -1;
  }
}

void extip_lookup_read(struct extip_lookup *lookup) {
  ssize_t len;

  do {
    len = read(lookup->fd, &lookup->result, sizeof(lookup->result));
  } while (len < 0 && errno == EINTR);
  if (len != sizeof(lookup->result)) {
    memset(&lookup->result, 0, sizeof(lookup->result));
    lookup->result.error = EAI_FAIL;
  }
  end_child(lookup);
}

size_t extip_lookup_result(const struct extip_lookup *lookup,
  const struct in_addr **addrs, const char **reason) {
  const struct result *result = &lookup->result;

  *addrs = result->addrs;
  *reason = "the name has no IPv4 address";
  if (result->error != 0) {
    *reason = gai_strerror(result->error);
  }
  return result->count;
}

void extip_lookup_free(struct extip_lookup *lookup) {
  if (lookup == NULL) {
    return;
  }
  end_child(lookup);
  free(lookup->name);
  free(lookup);
}
