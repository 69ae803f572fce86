/*
 * mod_extip - what the daemon shares with its sessions, and keeps over a reload
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"
#include "privs.h"

#include <sys/socket.h>

#include "common_memory.h"
#include "mod_extip.h"
#include "shared.h"
#include "table_file.h"

#define MEMORY_NAME "mod_extip.memory"
#define RUN_NAME    "mod_extip.run"

/* Increased when struct shared changes and its size does not. */
#define LAYOUT 3

/*
 * The only record of what stays over a reload, for which this module is
 * unloaded. Earlier sessions continue to read the same table, and to wake the
 * helper through the same sockets. The daemon keeps both ends of these, so the
 * next helper uses them after one has ended.
 */
struct shared {
  struct extip_table table;
  struct extip_forward_table forwards;
  struct {
    int fd;
    ino_t inode; /* of the socket that it should be; 0: none */
  } wake[2];     /* the helper's end, and that of all others */
};

static struct memory memory = { .at = NULL, .fd = -1 };
static bool inherited = true; /* by sessions */

/* Apart from the table, which sessions only read: no session can make the
 * daemon announce another address. */
static struct memory run = { .at = NULL, .fd = -1 };

static const struct shared *view = NULL;
static int wake_fds[2] = { -1, -1 };

/* With inetd, sessions share nothing but the file. */
static int file_fd = -1;
static bool session_runs = false;

static struct shared *shared(void) {
  return memory.at;
}

static ino_t socket_inode(int fd) {
  struct stat st;

  return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

/* A pair of sockets, none of which is stdin, stdout or stderr. */
static int make_wake(void) {
  int fds[2];

  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) <
      0) {
    return -1;
  }

  for (size_t i = 0; i < 2; i++) {
    fds[i] = memory_lift_fd(fds[i]);
    shared()->wake[i].fd = fds[i];
    shared()->wake[i].inode = socket_inode(fds[i]);
  }

  return shared()->wake[0].inode != 0 && shared()->wake[1].inode != 0 ? 0 : -1;
}

static bool find_wake(void) {
  for (size_t i = 0; i < 2; i++) {
    ino_t inode = shared()->wake[i].inode;

    if (inode == 0 || socket_inode(shared()->wake[i].fd) != inode) {
      return false;
    }
  }

  return true;
}

int extip_shared_make(bool *empty) {
  *empty = true;
  if (ServerType != SERVER_STANDALONE) {
    view = memory.at = calloc(1, sizeof(struct shared));
    return view != NULL ? 0 : -1;
  }

  if (memory_make(&memory, MEMORY_NAME, sizeof(struct shared), LAYOUT) < 0) {
    return -1;
  }

  view = memory_view(&memory);
  if (view == NULL) {
    return -1;
  }

  /* Sessions have the view, and start sooner without this. Of an anonymous
   * mapping, the view after a reload would be left out too. */
  inherited =
    memory.fd == -1 || madvise(memory.at, memory.size, MADV_DONTFORK) < 0;

  /* Without it, sessions are not counted. */
  (void) memory_make(&run, RUN_NAME, sizeof(struct local_run), 1);

  *empty = !find_wake();
  if (!*empty || make_wake() == 0) {
    wake_fds[0] = shared()->wake[0].fd;
    wake_fds[1] = shared()->wake[1].fd;
  }

  return 0;
}

static void read_file(void) {
  struct extip_table_answer *answers =
    calloc(EXTIP_TABLE_ANSWERS, sizeof(*answers));
  struct extip_record whole = { .status = { .rounds = 0 } };

  if (answers == NULL) {
    return;
  }

  (void) extip_file_read(file_fd, answers);
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    whole.answer = answers[i];
    if (whole.answer.asked != 0) {
      extip_table_write(&shared()->table, i, &whole);
    }
  }
  free(answers);
}

void extip_shared_load(const char *path) {
  struct extip_file file = { .fd = -1 };
  char reason[512];

  PRIVS_ROOT
  if (ServerType != SERVER_STANDALONE &&
      extip_file_start(&file, path, reason, sizeof(reason)) == 0) {
    /* Once the file exists, the session sees what others write to it. */
    (void) close(file.fd);
  }
  file_fd = extip_file_open(path, reason, sizeof(reason));
  PRIVS_RELINQUISH

  if (file_fd < 0) {
    return;
  }

  file_fd = memory_lift_fd(file_fd);
  read_file();
  if (ServerType == SERVER_STANDALONE) {
    (void) close(file_fd);
    file_fd = -1;
  }
}

struct extip_table *extip_shared_table(void) {
  return memory.at != NULL ? &shared()->table : NULL;
}

const struct extip_table *extip_shared_view(void) {
  /* Reads what other sessions have found since. */
  if (session_runs && file_fd >= 0) {
    read_file();
  }

  return view != NULL ? &view->table : NULL;
}

struct extip_forward_table *extip_shared_forwards(void) {
  return memory.at != NULL ? &shared()->forwards : NULL;
}

const struct extip_forward_table *extip_shared_forwards_view(void) {
  return view != NULL ? &view->forwards : NULL;
}

int extip_shared_wake_fd(void) {
  return wake_fds[0];
}

int extip_shared_wake(const struct extip_wake *wake) {
  /* If the queue is full, the helper has been woken often enough. */
  return wake_fds[1] >= 0 && (send(wake_fds[1], wake, sizeof(*wake),
                                MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(*wake) ||
                               errno == EAGAIN)
           ? 0
           : -1;
}

struct local_run *extip_shared_run(void) {
  return run.at;
}

void extip_shared_leave(void) {
  session_runs = true;
  if (wake_fds[0] >= 0) {
    (void) close(wake_fds[0]);
    wake_fds[0] = -1;
  }

  if (ServerType == SERVER_STANDALONE) {
    if (!inherited) {
      memory.at = NULL;
    }
    memory_leave(&memory);
  }
}

void extip_shared_free(void) {
  if (view != NULL && ServerType == SERVER_STANDALONE) {
    (void) munmap((void *) view, sizeof(*view));
  }
  view = NULL;
  memory.at = run.at = NULL;
  wake_fds[0] = wake_fds[1] = -1;
}
