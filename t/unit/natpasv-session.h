/*
 * natpasv-session.h - sessions of mod_natpasv within "proftpd -t", for
 * t/natpasv-session.t. Each is a process of its own with the daemon's table.
 * The clock, the log and ProFTPD's timers belong to the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NATPASV_SESSION_TEST_H
#define NATPASV_SESSION_TEST_H

#include "../../mod_natpasv/mod_natpasv.h"
#include "../../mod_natpasv/common_forward.h"
#include "../../mod_natpasv/count.h"
#include "../../mod_natpasv/futex.h"
#include "../../mod_natpasv/log.h"
#include "../../mod_natpasv/options.h"
#include "../../mod_natpasv/pools.h"
#include "../../mod_natpasv/rules.h"
#include "../../mod_natpasv/shared.h"
#include "../../mod_natpasv/tlsread.h"
#include "proftpd-session.h"

/* What the test decides. */
static struct {
  uint64_t now_ms;
  unsigned int step_ms; /* what each look at the clock takes */
  const char *extip;    /* what mod_extip has found */
  bool to_all;          /* it is announced to all */
  struct forwards *forwards;
} world = { .now_ms = 1000000 };

uint64_t __wrap_natpasv_now_ms(void);
uint64_t __wrap_natpasv_now_ms(void) {
  world.now_ms += world.step_ms;
  return world.now_ms;
}

/* In place of log.c, with '!' if a line is for the system log. */

void natpasv_log_start(void) {
}

void natpasv_log(int priority, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_line(priority, "", fmt, args);
  va_end(args);
}

void natpasv_log_aloud(int priority, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_line(priority, "!", fmt, args);
  va_end(args);
}

/* In place of tlsread.c: TLS with nothing in the way. */
size_t natpasv_tlsread(
  struct ssl_st *ssl, int fd, char *text, size_t size, off_t *raw) {
  ssize_t len = recv(fd, text, size, MSG_DONTWAIT);

  (void) ssl;
  *raw += len > 0 ? len : 0;
  return len > 0 ? (size_t) len : 0;
}

/* mod_extip */

static inline modret_t *extip_get_addr(cmd_rec *cmd) {
  return world.extip != NULL
           ? mod_create_data(cmd, (void *) address(cmd->pool, world.extip))
           : PR_DECLINED(cmd);
}

static inline modret_t *extip_announce_to_all(cmd_rec *cmd) {
  return world.to_all ? PR_HANDLED(cmd) : PR_DECLINED(cmd);
}

static inline modret_t *extip_forward(cmd_rec *cmd) {
  return world.forwards != NULL ? mod_create_data(cmd, world.forwards)
                                : PR_DECLINED(cmd);
}

static cmdtable hooks[] = {
  { HOOK, "extip_get_addr", G_NONE, extip_get_addr, FALSE, FALSE, 0, NULL },
  { HOOK, "extip_announce_to_all", G_NONE, extip_announce_to_all, FALSE, FALSE,
    0, NULL },
  { HOOK, "extip_forward", G_NONE, extip_forward, FALSE, FALSE, 0, NULL },
  { 0, NULL, NULL, NULL, FALSE, FALSE, 0, NULL },
};

static inline void *configure(
  const char *directive, const char *text, void *parsed, const char *reason) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  if (parsed == NULL) {
    ok(0, "%s %s: %s", directive, text, reason);
  }
  c->argv[0] = parsed;
  c->flags |= CF_MULTI;
  return parsed;
}

static inline const struct natpasv_rule *add_rule(const char *text) {
  char reason[NATPASV_REASON_SIZE] = "";

  return configure("NATPasvRule", text,
    natpasv_rule_parse(
      main_server->pool, words("NATPasvRule", text), reason, sizeof(reason)),
    reason);
}

static inline const struct natpasv_pool *add_pool(const char *text) {
  char reason[NATPASV_REASON_SIZE] = "";

  return configure("NATPasvPool", text,
    natpasv_pool_parse(
      main_server->pool, words("NATPasvPool", text), reason, sizeof(reason)),
    reason);
}

static inline unsigned long counted(
  const struct natpasv_row *row, enum natpasv_counter which) {
  return row->count[which];
}

#endif
