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

/* The port that a reply announces, if that is all it says; else 0. */
static inline unsigned int told_port(void) {
  const char *reply = wire(), *low = strrchr(reply, ','),
             *epsv_port = strstr(reply, "|||");
  unsigned long port = 0;
  char want[64];

  if (epsv_port != NULL) {
    port = strtoul(epsv_port + 3, NULL, 10);
    (void) snprintf(want, sizeof(want),
      "229 Entering Extended Passive Mode (|||%lu|)\r\n", port);

  } else if (low != NULL) {
    const char *high = low;

    while (high > reply && high[-1] != ',') {
      high--;
    }
    port = strtoul(high, NULL, 10) * 256 + strtoul(low + 1, NULL, 10);
    (void) snprintf(want, sizeof(want),
      "227 Entering Passive Mode (127,0,0,1,%lu,%lu).\r\n", port / 256,
      port % 256);
  }
  return port != 0 && strcmp(reply, want) == 0 ? (unsigned int) port : 0;
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
