/*
 * A module that gives each session a server of its own, which the daemon has
 * not known when it read its configuration, as mod_autohost does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

static int late_host_sess_init(void) {
  server_rec *late = pcalloc(session.pool, sizeof(*late));

  *late = *main_server;
  main_server = late;
  return 0;
}

__attribute__((visibility("default"))) module late_host_module = {
  NULL, NULL, 0x20, "late_host", NULL, NULL, NULL, NULL, late_host_sess_init,
  "mod_late_host/0", NULL, 0,
};
