/*
 * A module with a command, XFWD, that asks mod_extip about one port, as another
 * module may: "200 <inside> <outside> <address> <open or not> <state>", or
 * "550" for a port that is not to be forwarded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

#include <arpa/inet.h>

#include "../../mod_natpasv/common_forward.h"

MODRET ask_forward(cmd_rec *cmd) {
  cmdtable *hook =
    pr_stash_get_symbol2(PR_SYM_HOOK, "extip_forward", NULL, NULL, NULL);
  modret_t *answer = NULL;

  if (hook != NULL && cmd->argc == 2) {
    answer = pr_module_call(hook->m, hook->handler,
      pr_cmd_alloc(cmd->pool, 2, hook->command, cmd->argv[1]));
  }

  if (MODRET_ISHANDLED(answer) && MODRET_HASDATA(answer)) {
    const struct forward *forward = answer->data;
    char addr[INET_ADDRSTRLEN];

    pr_response_add(R_200, "%u %u %s %s %s", forward->inside, forward->outside,
      inet_ntop(AF_INET, &forward->addr, addr, sizeof(addr)),
      forward->open ? "open" : "not", forward->state);
    return PR_HANDLED(cmd);
  }
  pr_response_add_err(R_550, "not to be forwarded");
  return PR_ERROR(cmd);
}

static cmdtable forward_test_commands[] = {
  { CMD, "XFWD", G_NONE, ask_forward, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

__attribute__((visibility("default"))) module forward_test_module = {
  NULL,
  NULL,
  0x20,
  "forward_test",
  NULL,
  forward_test_commands,
  NULL,
  NULL,
  NULL,
  "mod_forward_test/0",
  NULL,
  0,
};
