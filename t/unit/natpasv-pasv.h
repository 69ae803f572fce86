/*
 * natpasv-pasv.h - PASV and EPSV in a session of mod_natpasv within "proftpd
 * -t", and other sessions that have ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef NATPASV_PASV_TEST_H
#define NATPASV_PASV_TEST_H

#include "../../mod_natpasv/listener.h"
#include "../../mod_natpasv/pasv.h"
#include "../../mod_natpasv/queue.h"
#include "natpasv-session.h"

extern pr_response_t *resp_err_list;

static inline cmd_rec *command(const char *name, const char *arg) {
  cmd_rec *cmd = arg != NULL ? pr_cmd_alloc(place, 2, name, arg)
                             : pr_cmd_alloc(place, 1, name);

  cmd->tmp_pool = cmd->pool;
  cmd->server = main_server;
  return cmd;
}

/* What came of a command. */
static inline const char *outcome(modret_t *res) {
  return MODRET_ISDECLINED(res)  ? "declined"
         : MODRET_ISHANDLED(res) ? "handled"
                                 : "error";
}

static inline const char *pasv(void) {
  return outcome(natpasv_pasv(command("PASV", NULL)));
}

static inline const char *epsv(const char *arg) {
  return outcome(natpasv_epsv(command("EPSV", arg)));
}

static inline const char *begin_transfer(void) {
  return outcome(natpasv_transfer(command("RETR", "file")));
}

static inline const char *end_transfer(void) {
  return outcome(natpasv_failed(command("RETR", "file")));
}

/* The port that a reply announces; 0 if it is none, or says anything else. */
static inline unsigned int told_port(void) {
  unsigned int a, b, c, d, high, low, port;
  const char *reply = wire();
  int length = 0;

  if (sscanf(reply, "227 Entering Passive Mode (%u,%u,%u,%u,%u,%u).\r\n%n", &a,
        &b, &c, &d, &high, &low, &length) == 6 &&
      length == (int) strlen(reply) && a == 127 && b == 0 && c == 0 && d == 1) {
    return high * 256 + low;
  }
  return sscanf(reply, "229 Entering Extended Passive Mode (|||%u|)\r\n%n",
           &port, &length) == 1 &&
             length == (int) strlen(reply)
           ? port
           : 0;
}

static struct natpasv_row *row_of(const struct natpasv_pool *pool) {
  return natpasv_count_row(natpasv_shared(), pool != NULL ? pool->key : 0, "");
}

static inline unsigned int leased(unsigned int port) {
  return natpasv_shared()->map->port[port].owner;
}

/* Another session. */
static struct natpasv_table other_table;
static struct natpasv_lessee other;

static inline void other_takes(
  const struct natpasv_pool *pool, unsigned int count, uint64_t from) {
  other_table = *natpasv_shared();
  other_table.self = 0;
  other = (struct natpasv_lessee){ .table = &other_table,
    .ports = &pool->ports,
    .key = pool->key,
    .client = from,
    .any = true };
  (void) natpasv_queue_enrol(&other);
  while (count-- > 0) {
    (void) natpasv_queue_claim(&other, true);
  }
}

static inline void log_in(const char *from, const char *to) {
  arrive(from, to);
  configure_number("NATPasvEngine", TRUE);
  (void) natpasv_login(command("USER", "ftp"));
}

/* Each test in a session of its own, with an empty table. */
static inline void each_in_session(void (*const *tests)(void), size_t count) {
  natpasv_shared_begin(true);
  for (size_t i = 0; i < count; i++) {
    natpasv_table_clear(natpasv_shared());
    in_session(tests[i]);
  }
}

#endif
