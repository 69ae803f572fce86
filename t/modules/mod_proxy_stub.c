/*
 * A module with the directives of mod_proxy and mod_proxy_protocol that others
 * look at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

/* usage: ProxyEngine on|off
 *        ProxyProtocolEngine on|off */
MODRET set_engine(cmd_rec *cmd) {
  config_rec *c = add_config_param(cmd->argv[0], 1, NULL);

  c->argv[0] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = get_boolean(cmd, 1);
  return PR_HANDLED(cmd);
}

static conftable proxy_conftab[] = {
  { "ProxyEngine", set_engine, NULL },
  { "ProxyProtocolEngine", set_engine, NULL },
  { NULL, NULL, NULL },
};

__attribute__((visibility("default"))) module proxy_stub_module = {
  NULL, NULL, 0x20, "proxy_stub", proxy_conftab, NULL, NULL, NULL, NULL,
  "mod_proxy_stub/0", NULL, 0,
};
