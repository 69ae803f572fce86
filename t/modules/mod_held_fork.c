/*
 * A module with which a process that the daemon has forked, or the daemon after
 * it has forked, does nothing as long as a file exists that is named in the
 * environment, so that a test can reach it there.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

#include <pthread.h>

static void wait_while(const char *path) {
  struct timespec moment = { .tv_nsec = 10000000 };

  while (path != NULL && access(path, F_OK) == 0) {
    (void) nanosleep(&moment, NULL);
  }
}

static void hold_parent(void) {
  wait_while(getenv("HOLD_PARENTS"));
}

static void hold_child(void) {
  wait_while(getenv("HOLD_FORKS"));
}

static int held_fork_init(void) {
  return pthread_atfork(NULL, hold_parent, hold_child);
}

__attribute__((visibility("default"))) module held_fork_module = {
  NULL, NULL, 0x20, "held_fork", NULL, NULL, NULL, held_fork_init, NULL,
  "mod_held_fork/0", NULL, 0,
};
