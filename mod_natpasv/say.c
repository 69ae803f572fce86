/*
 * mod_natpasv - what the operator is told about clients
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "say.h"
#include "log.h"

#define MINUTE_MS 60000
#define HOUR_MS   (60 * MINUTE_MS)

/* From this share on, a pool is nearly full. */
#define FULL_PERCENT 80

/* Room for a pool's ports in a line; more are cut. */
#define PORTS_MAX 256

static const char *client(void) {
  return pr_netaddr_get_ipstr(session.c->remote_addr);
}

/* What to do so that clients reach the listener. */
static void print_remedy(
  const struct natpasv_unreached *how, char *text, size_t size) {
  const struct natpasv_pool *pool = how->pool;
  const char *local = pr_netaddr_get_ipstr(how->listened);
  char ports[PORTS_MAX];

  if (pool == NULL) {
    (void) pr_snprintf(text, size,
      "the kernel chose the port, so no firewall can allow it: configure a NATPasvPool or PassivePorts");
    return;
  }

  (void) natpasv_ports_print(&pool->ports, ports, sizeof(ports));
  if (how->from_lan) {
    (void) pr_snprintf(text, size,
      "if no client can connect, allow TCP %s to %s in this server's firewall",
      ports, local);

  } else if (pool->external != 0) {
    (void) pr_snprintf(text, size,
      "if no client can connect, forward TCP %u-%u to %s, ports %s, and allow them in the firewall",
      pool->external, pool->external + pool->ports.count - 1, local, ports);

  } else {
    (void) pr_snprintf(text, size,
      "if no client can connect, forward TCP %s to %s, and allow it in the firewall",
      ports, local);
  }
}

static void print_dropped(unsigned int dropped, char *text, size_t size) {
  text[0] = '\0';
  if (dropped > 0) {
    (void) pr_snprintf(text, size,
      "; %u packets from other addresses were dropped: if the client comes from another address, see NATPasvRule ... from",
      dropped);
  }
}

void natpasv_say_unreached(const struct natpasv_unreached *how) {
  const char *pool = how->pool != NULL ? how->pool->name : "*";
  char remedy[PORTS_MAX + 256], dropped[192];

  print_dropped(how->dropped, dropped, sizeof(dropped));
  if (!how->asked ||
      !natpasv_count_say(how->row, NATPASV_SAY_UNREACHED, MINUTE_MS)) {
    natpasv_log(PR_LOG_DEBUG,
      "client %s never connected to port %s of pool '%s', announced %s%s%s",
      client(), how->port, pool,
      how->announced != NULL ? "with address " : "by EPSV",
      how->announced != NULL ? how->announced : "", dropped);
    return;
  }

  print_remedy(how, remedy, sizeof(remedy));
  natpasv_log_aloud(PR_LOG_NOTICE,
    "client %s never connected to port %s of pool '%s', announced %s%s: %s%s",
    client(), how->port, pool,
    how->announced != NULL ? "with address " : "by EPSV",
    how->announced != NULL ? how->announced : "", remedy, dropped);
}

void natpasv_say_opened(struct natpasv_row *row, unsigned int others) {
  static const char text[] =
    "client %s has not connected within five seconds, and %u connections came from other addresses: the first of them is used; if this client's data connections come from another address, see NATPasvRule ... from";

  if (natpasv_count_say(row, NATPASV_SAY_OPENED, MINUTE_MS)) {
    natpasv_log_aloud(PR_LOG_NOTICE, text, client(), others);

  } else {
    natpasv_log(PR_LOG_DEBUG, text, client(), others);
  }
}

void natpasv_say_leased(const struct natpasv_pool *pool,
  struct natpasv_row *row, unsigned int leased, unsigned int size) {
  if (leased * 100 > size * FULL_PERCENT &&
      natpasv_count_say(row, NATPASV_SAY_FILLS, HOUR_MS)) {
    natpasv_log_aloud(PR_LOG_NOTICE,
      "pool '%s' is nearly full (%u of %u ports in use): a client that finds no port waits, and is then refused; give the pool more ports",
      pool->name, leased, size);
  }
}

void natpasv_say_not_forwarded(
  const struct natpasv_pool *pool, struct natpasv_row *row) {
  if (natpasv_count_say(row, NATPASV_SAY_FORWARDS, MINUTE_MS)) {
    natpasv_log_aloud(PR_LOG_WARNING,
      "the router forwards no port of pool '%s': all are announced, as if they were forwarded by hand; see 'ftpdctl extip forwards'",
      pool->name);
  }
}

void natpasv_say_local(const struct natpasv_rule *rule, struct natpasv_row *row,
  const char *told, const char *masquerade) {
  if (natpasv_count_say(row, NATPASV_SAY_LOCAL, HOUR_MS)) {
    natpasv_log_aloud(PR_LOG_NOTICE,
      "client %s is told the local address %s, not MasqueradeAddress %s: its own address is local, and %s%s says 'address auto'; if such clients come from outside, through a proxy, use 'address %s'",
      client(), told, masquerade,
      rule->section != NULL ? "NATPasvRule " : "the rule for all",
      rule->section == NULL ? ""
      : rule->class != NULL ? rule->class
                            : "*",
      masquerade);
  }
}

void natpasv_say_proxy(const char *told) {
  natpasv_log_aloud(
    PR_LOG_NOTICE, LOCAL_RUN_NOTICE, LOCAL_RUN_LENGTH, client(), told);
}

/* A line of at most 1,023 bytes, to the system log once a minute. */
__attribute__((format(printf, 3, 4))) static void say_each_minute(
  struct natpasv_row *row, enum natpasv_saying which, const char *fmt, ...) {
  char text[1024];
  va_list args;

  va_start(args, fmt);
  (void) pr_vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);

  if (natpasv_count_say(row, which, MINUTE_MS)) {
    natpasv_log_aloud(PR_LOG_NOTICE, "%s", text);
  } else {
    natpasv_log(PR_LOG_DEBUG, "%s", text);
  }
}

void natpasv_say_refused(
  struct natpasv_row *row, const char *command, const char *why) {
  say_each_minute(row, NATPASV_SAY_REFUSED,
    "%s of client %s refused: %s; see 'ftpdctl natpasv leases'", command,
    client(), why);
}

void natpasv_say_active_refused(
  struct natpasv_row *row, const char *command, const char *why) {
  say_each_minute(row, NATPASV_SAY_ACTIVE_REFUSED,
    "%s of client %s refused: %s; see NATPasvRule ... active", command,
    client(), why);
}

void natpasv_say_active_failed(
  struct natpasv_row *row, const char *addr, const char *why) {
  say_each_minute(row, NATPASV_SAY_ACTIVE_FAILED,
    "client %s is in active mode, and no connection to %s can be made: %s; a NAT or firewall in front of it, or this server's firewall, is in the way: let the client use passive mode",
    client(), addr, why);
}

void natpasv_say_tls(struct natpasv_row *row) {
  say_each_minute(row, NATPASV_SAY_TLS,
    "client %s has connected, and mod_tls refuses its data connection: if the client does not reuse the TLS session of the control connection, set TLSOptions NoSessionReuseRequired; see the TLSLog for the cause",
    client());
}
