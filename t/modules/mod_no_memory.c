/*
 * A module that leaves the daemon no room for another mapping, for a second
 * after it has read its configuration for the first time: what the modules
 * share with their sessions cannot be allocated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

#include <sys/resource.h>

extern module no_memory_module;

static void limit(rlim_t bytes) {
  const struct rlimit limit = { bytes, RLIM_INFINITY };

  if (setrlimit(RLIMIT_AS, &limit) < 0) {
    pr_log_pri(PR_LOG_ERR, "mod_no_memory: %s", strerror(errno));
  }
}

static int lift_limit(CALLBACK_FRAME) {
  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;
  limit(RLIM_INFINITY);
  return 0;
}

static void postparse_ev(const void *event_data, void *user_data) {
  unsigned long pages = 0;
  FILE *statm = fopen("/proc/self/statm", "r");

  (void) event_data;
  (void) user_data;
  if (statm == NULL || fscanf(statm, "%lu", &pages) != 1) {
    pr_log_pri(PR_LOG_ERR, "mod_no_memory: /proc/self/statm cannot be read");
  }
  (void) (statm != NULL && fclose(statm));
  if (pages > 0 && !pr_define_exists("MEMORY_WAS_SHORT")) {
    (void) pr_define_add("MEMORY_WAS_SHORT", TRUE);
    (void) pr_timer_add(1, -1, &no_memory_module, lift_limit, "mod_no_memory");
    limit(pages * (unsigned long) getpagesize());
  }
}

static int no_memory_init(void);

__attribute__((visibility("default"))) module no_memory_module = {
  NULL,
  NULL,
  0x20,
  "no_memory",
  NULL,
  NULL,
  NULL,
  no_memory_init,
  NULL,
  "mod_no_memory/0",
  NULL,
  0,
};

static int no_memory_init(void) {
  pr_event_register(&no_memory_module, "core.postparse", postparse_ev, NULL);
  return 0;
}
