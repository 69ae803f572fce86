/*
 * mod_natpasv - PASV and EPSV of a session
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "pasv.h"
#include "active.h"
#include "addr.h"
#include "config.h"
#include "count.h"
#include "failure.h"
#include "forwards.h"
#include "futex.h"
#include "grant.h"
#include "log.h"
#include "pools.h"
#include "rules.h"
#include "say.h"
#include "shared.h"
#include "waiting.h"

/* In notes and in the log, ports that the kernel chooses have this name, which
 * no pool can have. */
#define NO_POOL "*"

/* A client that sends PASV this soon after its EPSV waited in vain makes the
 * same attempt: one wait is enough. */
#define SAME_ATTEMPT_MS 1000

/* What applies to this session. It is read at the first PASV or EPSV, because
 * until then mod_ifsession may change it. */
static struct {
  bool begun; /* log and table are open */
  bool known;
  bool engine;
  const struct natpasv_rule *rule;
  struct natpasv_terms terms;
  bool forwarded; /* the ports are limited to those that a router forwards */
  struct natpasv_active active;
  bool awaits_active;      /* the command for a transfer */
  uint64_t epsv_waited_ms; /* when it had waited for a port in vain */
  bool refused;            /* the last PASV or EPSV */
  bool given_up;  /* the wait for a data connection, since the client left */
  conn_t *former; /* data connection of the former PASV, until it is closed */
  bool counted;   /* with the address that its client was told */
  bool published; /* as notes, these: */
  char port[8];
  char pool[NATPASV_POOL_MAX + 1];
  char address[INET_ADDRSTRLEN];
} state;

static void end_of_listener(const struct natpasv_listener_end *how) {
  const struct natpasv_unreached unreached = {
    .pool = state.terms.pool,
    .row = state.terms.row,
    .port = state.port,
    .listened = how->listened,
    .announced = how->announced,
    .dropped = how->dropped,
    .from_lan = natpasv_address_is_local(),
    .asked = how->awaited,
  };

  natpasv_waiting_stop();
  state.given_up = how->given_up;
  if (how->port != 0) {
    natpasv_return(&state.terms, how->port);
  }
  natpasv_count_more(state.terms.row, NATPASV_DROPPED, how->dropped);

  if (how->end != NATPASV_NOT_REACHED) {
    return;
  }

  natpasv_count(state.terms.row, NATPASV_UNREACHED);
  natpasv_say_unreached(&unreached);

  /* If a client in the LAN cannot connect, this says nothing about the external
   * address. */
  if (!unreached.from_lan) {
    pr_event_generate("mod_natpasv.unreached", how->announced);
  }
}

/* An IPv4 client counts as the same client on an IPv6 socket. Of global IPv6
 * addresses a subscriber has a network of 64 bits. */
static uint64_t client_key(
  const struct natpasv_map *map, const pr_netaddr_t *addr) {
  const unsigned char *bytes = pr_netaddr_get_inaddr(addr);
  size_t size = pr_netaddr_get_inaddr_len(addr);

  if (pr_netaddr_is_v4mappedv6(addr) == TRUE) {
    bytes += size - 4;
    size = 4;

  } else if (size == 16 && (bytes[0] & 0xe0) == 0x20) {
    size = 8;
  }
  return natpasv_hash(NATPASV_HASH ^ map->seed, bytes, size);
}

static void publish(unsigned int port, const char *address) {
  const char *pool =
    state.terms.pool != NULL ? state.terms.pool->name : NO_POOL;

  (void) pr_snprintf(state.port, sizeof(state.port), "%u", port);
  sstrncpy(state.pool, pool, sizeof(state.pool));
  sstrncpy(state.address, address, sizeof(state.address));

  /* The table of notes keeps pointers. */
  if (!state.published) {
    state.published = true;
    (void) pr_table_add(session.notes, "mod_natpasv.pool", state.pool, 0);
    (void) pr_table_add(session.notes, "mod_natpasv.port", state.port, 0);
    (void) pr_table_add(session.notes, "mod_natpasv.address", state.address, 0);
  }
}

static void choose_terms(void) {
  const char *class =
    session.conn_class != NULL ? session.conn_class->cls_name : NULL;
  struct natpasv_terms *terms = &state.terms;

  state.rule = natpasv_rule_choose(main_server->conf, class);
  terms->pool = state.rule->pool != NULL ? natpasv_pool_find(state.rule->pool)
                                         : natpasv_pool_of_passiveports(
                                             session.pool, main_server->conf);
  terms->row = NULL;
  terms->lessee = (struct natpasv_lessee){ .table = natpasv_shared(),
    .any = state.rule->any };
  if (terms->pool != NULL) {
    terms->lessee.ports = &terms->pool->ports;
    terms->lessee.key = terms->pool->key;
    terms->lessee.quarantine = terms->pool->quarantine;
  }
  if (terms->lessee.table != NULL) {
    terms->lessee.client =
      client_key(terms->lessee.table->map, session.c->remote_addr);
    terms->row = natpasv_count_row(
      terms->lessee.table, terms->lessee.key, class != NULL ? class : "");
  }

  state.active = (struct natpasv_active){ state.rule->active, terms->row };
  natpasv_listener_guard(natpasv_from_guard(session.pool, &state.rule->from));

  pr_trace_msg(NATPASV_TRACE, 8, "class '%s': rule '%s', pool '%s', wait %u s",
    class != NULL ? class : "",
    state.rule->class != NULL ? state.rule->class : "*",
    terms->pool != NULL ? terms->pool->name : NO_POOL, state.rule->wait);
}

static bool is_engaged(void) {
  if (!state.known) {
    state.known = true;
    state.engine = natpasv_config_engine(main_server->conf);
    if (state.engine) {
      choose_terms();
    }
  }
  return state.engine;
}

static bool is_allowed(cmd_rec *cmd) {
  return dir_check(cmd->tmp_pool, cmd, cmd->group, session.cwd, NULL);
}

static const pr_netaddr_t *bind_address(pool *p) {
  const pr_netaddr_t *addr = session.c->local_addr;
  const struct natpasv_pool *pool = state.terms.pool;

  /* An IPv4 client on an IPv6 socket. */
  if (pr_netaddr_get_family(addr) !=
      pr_netaddr_get_family(session.c->remote_addr)) {
    addr = pr_netaddr_v6tov4(p, addr);
  }

  if (pool != NULL && pool->listen != NULL &&
      pr_netaddr_get_family(pool->listen) == pr_netaddr_get_family(addr)) {
    return pool->listen;
  }
  return addr;
}

static bool is_epsv(const cmd_rec *cmd) {
  return strcasecmp(cmd->argv[0], C_EPSV) == 0;
}

/* After a refusal there is no data connection until the client asks again,
 * neither to a former PORT nor on a former listener. */
static void refuse(cmd_rec *cmd, int xerrno, const char *cause) {
  pr_response_send(R_425, _("Unable to build data connection: %s"), cause);
  if (xerrno == EBUSY) {
    natpasv_say_refused(state.terms.row, cmd->argv[0], cause);
  } else {
    natpasv_log(PR_LOG_ERR, "%s of client %s refused: %s",
      (char *) cmd->argv[0], pr_netaddr_get_ipstr(session.c->remote_addr),
      cause);
  }
  pr_cmd_set_errno(cmd, xerrno);

  session.sf_flags &= ~(SF_PASSIVE | SF_PORT);
  state.refused = true;
  if (xerrno == EBUSY) {
    state.epsv_waited_ms = is_epsv(cmd) ? natpasv_now_ms() : 0;
  }
  (void) natpasv_after_answer(&state.terms);
  natpasv_listener_drop(&state.former);
  errno = xerrno;
}

/* A client outside gets ports that the router forwards. */
static void limit_ports(pool *p) {
  const struct natpasv_pool *pool = state.terms.pool;
  const struct natpasv_ports *ports = NULL;
  uint64_t key = 0;
  bool none = false;

  if (pool == NULL) {
    return;
  }

  if (state.rule->address != NATPASV_LOCAL && !natpasv_address_is_local()) {
    ports = natpasv_forwards_limit(p, pool, &key, &none);
  }
  if (none) {
    natpasv_say_not_forwarded(pool, state.terms.row);
  }

  state.forwarded = ports != NULL;
  state.terms.lessee.ports = state.forwarded ? ports : &pool->ports;
  state.terms.lessee.key = state.forwarded ? key : pool->key;
}

/* What the client is told for a port. */
static unsigned int announced(unsigned int port) {
  unsigned int outside = state.forwarded ? natpasv_forwards_outside(port) : 0;

  return outside != 0 ? outside
                      : natpasv_pool_announced(state.terms.pool, port);
}

/* Returns the announced port, or 0 after a refusal. A data connection that was
 * open before is closed by after_reply(). */
static unsigned int open_listener(cmd_rec *cmd) {
  char cause[NATPASV_CAUSE_MAX] = "the table of leases is not available";
  int xerrno;

  state.former = session.d;
  session.d = NULL;
  state.terms.wait =
    !is_epsv(cmd) && natpasv_now_ms() - state.epsv_waited_ms < SAME_ATTEMPT_MS
      ? 0
      : state.rule->wait;

  limit_ports(cmd->pool);
  errno = ENOENT;
  if (state.terms.pool == NULL || state.terms.lessee.table != NULL) {
    session.d = natpasv_grant(&state.terms, bind_address(cmd->pool),
      end_of_listener, &state.former, cause);
  }
  xerrno = errno;

  if (session.d == NULL) {
    refuse(cmd, xerrno, cause);
    return 0;
  }

  state.refused = false;
  session.data_port = session.d->local_port;
  session.sf_flags |= SF_PASSIVE;
  return announced(session.d->local_port);
}

/* Does what the client need not wait for, while it connects. */
static void after_reply(unsigned int port, const char *address) {
  unsigned int leased;

  natpasv_listener_open_stream();
  leased = natpasv_after_answer(&state.terms);
  natpasv_listener_drop(&state.former);
  publish(port, address);
  natpasv_listener_prepare(session.d->local_addr);
  if (state.terms.pool != NULL) {
    natpasv_say_leased(state.terms.pool, state.terms.row, leased,
      state.terms.lessee.ports->count);
  }
}

/* Tells the operator if the address may be the wrong one for the client. */
static void say_told(const struct natpasv_told *told) {
  struct natpasv_table *table = natpasv_shared();

  if (told->passed_over != NULL) {
    natpasv_say_local(
      state.rule, state.terms.row, told->address, told->passed_over);
  }

  if (!state.counted && table != NULL) {
    state.counted = true;
    if (natpasv_address_looks_like_proxy(&table->map->local_run, told)) {
      natpasv_say_proxy(told->address);
    }
  }
}

modret_t *natpasv_pasv(cmd_rec *cmd) {
  struct natpasv_told told;
  char text[INET_ADDRSTRLEN], *dot;
  unsigned int port;

  if (!is_engaged() || session.sf_flags & SF_EPSV_ALL || cmd->argc != 1 ||
      !is_allowed(cmd)) {
    return PR_DECLINED(cmd);
  }

  port = open_listener(cmd);
  if (port == 0) {
    return PR_ERROR(cmd);
  }

  told = natpasv_address(cmd->pool, state.rule);
  natpasv_listener_announced(told.address);

  sstrncpy(text, told.address, sizeof(text));
  for (dot = strchr(text, '.'); dot != NULL; dot = strchr(dot, '.')) {
    *dot = ',';
  }

  /* Not localised, because clients parse this text. Sent before POST_CMD and
   * LOG_CMD, so that the client connects while these run. */
  pr_log_debug(
    DEBUG1, "Entering Passive Mode (%s,%u,%u).", text, port >> 8, port & 255);
  pr_response_send(
    R_227, "Entering Passive Mode (%s,%u,%u).", text, port >> 8, port & 255);
  after_reply(port, told.address);
  say_told(&told);
  return PR_HANDLED(cmd);
}

/* Whether the argument asks for a listener: it is not ALL, nor a protocol that
 * RFC 2428 does not know. */
static bool wants_listener(cmd_rec *cmd) {
  char *end = NULL;
  long protocol;

  if (cmd->argc != 2) {
    return pr_netaddr_get_family(session.c->local_addr) == AF_INET ||
           pr_netaddr_use_ipv6();
  }

  protocol = strtol(cmd->argv[1], &end, 10);
  return *end == '\0' &&
         (protocol == 1 || (protocol == 2 && pr_netaddr_use_ipv6()));
}

modret_t *natpasv_epsv(cmd_rec *cmd) {
  unsigned int port;

  if (!is_engaged() || !wants_listener(cmd) || !is_allowed(cmd)) {
    return PR_DECLINED(cmd);
  }

  port = open_listener(cmd);
  if (port == 0) {
    return PR_ERROR(cmd);
  }

  /* RFC 2428, 3: the address fields of the reply are blank. */
  pr_log_debug(DEBUG1, "Entering Extended Passive Mode (|||%u|)", port);
  pr_response_send(R_229, "Entering Extended Passive Mode (|||%u|)", port);
  after_reply(port, "");
  return PR_HANDLED(cmd);
}

modret_t *natpasv_port(cmd_rec *cmd) {
  return is_engaged() ? natpasv_active_command(cmd, &state.active)
                      : PR_DECLINED(cmd);
}

modret_t *natpasv_transfer(cmd_rec *cmd) {
  state.awaits_active = false;
  if (state.refused && !(session.sf_flags & (SF_PASSIVE | SF_PORT))) {
    return PR_ERROR_MSG(cmd, R_425,
      _("Unable to build data connection: no passive port was available"));
  }

  /* Also without PORT: the server then connects to where the client's control
   * connection comes from (RFC 959, 3.3). */
  if (!(session.sf_flags & (SF_PASSIVE | SF_EPSV_ALL)) && is_engaged()) {
    state.awaits_active = true;
    return natpasv_active_transfer(cmd, &state.active);
  }

  natpasv_waiting_start(state.terms.row);
  return PR_DECLINED(cmd);
}

/* mod_tls refuses a data connection with EPERM, whatever the cause. */
static bool is_tls_failure(void) {
  static const int errors[] = { EPERM };
  const char *text = natpasv_failure();

  return state.known && state.engine && session.rfc2228_mech != NULL &&
         text != NULL && natpasv_failure_errno(text, errors, 1) != 0;
}

modret_t *natpasv_failed(cmd_rec *cmd) {
  natpasv_waiting_stop();
  if (state.awaits_active) {
    state.awaits_active = false;
    natpasv_active_failed(cmd, &state.active);
  }

  if (state.given_up) {
    state.given_up = false;
    natpasv_failure_replace(
      _("Unable to build data connection: the client no longer waits for it"));

  } else if (is_tls_failure()) {
    natpasv_say_tls(state.terms.row);
  }
  return PR_DECLINED(cmd);
}

/* HOST, which comes before the login: there is another server. */
static void sess_reinit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  state.begun = state.known = false;
}

static void exit_ev(const void *event_data, void *user_data) {
  (void) event_data;
  (void) user_data;
  natpasv_grant_stop(&state.terms);
  natpasv_listener_close();
}

modret_t *natpasv_login(cmd_rec *cmd) {
  (void) cmd;

  if (!state.begun) {
    state.begun = true;
    pr_event_register(&natpasv_module, "core.exit", exit_ev, NULL);
    pr_event_register(
      &natpasv_module, "core.session-reinit", sess_reinit_ev, NULL);
    if (natpasv_config_may_engage(main_server->conf)) {
      natpasv_log_start();
      natpasv_shared_join();
    }
  }
  return PR_DECLINED(cmd);
}
