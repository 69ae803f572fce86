/*
 * A module that leaves the daemon no room for another mapping until it waits
 * for its first client: what the modules share with their sessions cannot be
 * allocated.
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

static void lift_limit(void *a, void *b, void *c, void *d) {
  (void) a;
  (void) b;
  (void) c;
  (void) d;
  limit(RLIM_INFINITY);
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
    limit(pages * (unsigned long) getpagesize());
  }
}

/* The schedule runs for the first time before the daemon waits for a client,
 * which is after what other modules do at this event. */
static void startup_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  schedule(lift_limit, 0, NULL, NULL, NULL, NULL);
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
  pr_event_register(&no_memory_module, "core.startup", startup_ev, NULL);
  return 0;
}
