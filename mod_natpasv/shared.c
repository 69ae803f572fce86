/*
 * mod_natpasv - the table of this daemon
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "shared.h"
#include "common_memory.h"
#include "common_running.h"
#include "config.h"
#include "file.h"
#include "log.h"

#include "privs.h"

#define MEMORY        "mod_natpasv.memory"
#define MEMORY_LAYOUT 2

/* Set once the daemon has started, and found again after the module is
 * reloaded. */
#define STARTED "%{mod_natpasv.started}"

static struct natpasv_table shared = { .fd = -1 };
static const char *shared_path = ""; /* memory */

struct natpasv_table *natpasv_shared(void) {
  return shared.map != NULL ? &shared : NULL;
}

const char *natpasv_shared_place(void) {
  return shared.map == NULL       ? "no table"
         : shared_path[0] == '\0' ? "memory"
                                  : shared_path;
}

/* In the directory of the ScoreboardFile, where a daemon that is not root may
 * write. */
static void default_path(char *path, size_t size) {
  const char *scoreboard = pr_get_scoreboard(),
             *end = scoreboard != NULL ? strrchr(scoreboard, '/') : NULL;

  if (end == NULL || strncmp(scoreboard, "/dev/", 5) == 0) {
    (void) pr_snprintf(path, size, "%s/natpasv.tab", PR_RUN_DIR);
  } else {
    (void) pr_snprintf(
      path, size, "%.*s/natpasv.tab", (int) (end - scoreboard), scoreboard);
  }
}

/* "" for memory. */
static void configured_path(char *path, size_t size) {
  const char *value = natpasv_config_param("NATPasvTable", NULL);

  *path = '\0';
  if (value != NULL && strcasecmp(value, "none") != 0) {
    sstrncpy(path, value, size);
  } else if (value == NULL && ServerType == SERVER_INETD) {
    default_path(path, size);
  }
}

bool natpasv_shared_is_possible(void) {
  char path[PATH_MAX];

  configured_path(path, sizeof(path));
  return ServerType != SERVER_INETD || path[0] != '\0';
}

static void open_memory(void) {
  struct memory memory = { NULL, 0, -1 };
  int res =
    memory_make(&memory, MEMORY, sizeof(struct natpasv_map), MEMORY_LAYOUT);

  if (res < 0) {
    natpasv_log(PR_LOG_ERR,
      "no memory for the table of leases: %s; no session can have a port from a pool",
      strerror(errno));
    return;
  }

  shared.map = memory.at;
  if (res > 0) {
    (void) natpasv_table_mend(&shared);
  } else {
    natpasv_table_begin(&shared);
  }
}

static void open_file(enum natpasv_file_user user) {
  char reason[PATH_MAX + 128];
  int res;

  pr_signals_block();
  PRIVS_ROOT
  res = natpasv_file_open(&shared, shared_path, user, reason, sizeof(reason));
  PRIVS_RELINQUISH
  pr_signals_unblock();

  if (res < 0) {
    natpasv_log(PR_LOG_ERR,
      "error opening NATPasvTable '%s': %s; no session can have a port from a pool",
      shared_path, reason);
  }
}

static void start(enum natpasv_file_user user) {
  char path[PATH_MAX];

  configured_path(path, sizeof(path));
  if (shared.map != NULL && strcmp(path, shared_path) == 0) {
    return;
  }

  natpasv_shared_stop();
  shared_path = pstrdup(permanent_pool, path);
  if (shared_path[0] != '\0') {
    open_file(user);
  } else {
    open_memory();
  }
}

void natpasv_shared_begin(bool engine) {
  (void) pr_var_set(permanent_pool, pstrdup(permanent_pool, STARTED),
    "whether mod_natpasv saw the daemon start", PR_VAR_TYPE_STR, "yes", NULL,
    0);
  if (engine) {
    start(NATPASV_FILE_DAEMON);
  }
}

void natpasv_shared_reload(void) {
  if (pr_var_get(STARTED) != NULL) {
    start(NATPASV_FILE_RELOAD);

  } else if (ServerType != SERVER_INETD && daemon_is_running()) {
    natpasv_shared_begin(true);
  }
}

void natpasv_shared_join(void) {
  if (ServerType == SERVER_INETD) {
    start(NATPASV_FILE_SESSION);
  } else if (shared.map != NULL && shared.fd >= 0) {
    natpasv_file_guard(&shared);
  }
  shared.self = 0;
}

void natpasv_shared_stop(void) {
  if (shared.map == NULL) {
    return;
  }

  if (shared.fd >= 0) {
    natpasv_file_close(&shared);
  } else {
    natpasv_table_leave(&shared);
    shared.map = NULL;
  }
}
