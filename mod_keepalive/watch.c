/*
 * mod_keepalive - the watch over a silent client
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Looks at the control connection and, as a witness, at the data connection. It
 * records for the client's network which silences were survived, and at the
 * deadline gives up a client that is dead on both. It has no timer of its own;
 * callers look when they pass. */

#include "watch.h"
#include "control.h"
#include "log.h"
#include "probes.h"
#include "silence.h"

static struct {
  const struct keepalive_terms *terms; /* NULL: no watch */
  struct keepalive_silence silence;
  char command[KEEPALIVE_COMMAND_LEN]; /* the last transfer's */
  bool in_transfer;
  bool told;         /* how the connection died */
  unsigned int step; /* the silence that is being tried, 0: none */
  unsigned int idle; /* before a probe, also when they have been paused */
  double looked;
  double witness; /* client_heard() in this transfer, or 0 */
} watch;

/* The facts of the network's entry, or of this session if there is no table. */
static struct keepalive_facts learn(void) {
  const struct keepalive_terms *terms = watch.terms;
  struct keepalive_facts facts = { watch.silence.survived,
    watch.silence.forgotten };

  return terms->network != NULL
           ? keepalive_network_learn(terms->network, terms->network_key,
               facts.survived, facts.forgotten)
           : facts;
}

/* Once a session, how its control connection died. */
static void tell(const char *text, bool forgotten) {
  struct keepalive_table *table = watch.terms->table;

  if (watch.told) {
    return;
  }

  watch.told = true;
  keepalive_log("%s", text);
  if (table != NULL) {
    atomic_fetch_add(forgotten ? &table->forgotten : &table->gone, 1);
  }
}

static void tell_forgotten(void) {
  const struct keepalive_terms *terms = watch.terms;
  struct keepalive_facts facts = learn();
  char text[200];

  keepalive_network_print_forgotten(text, sizeof(text),
    pr_netaddr_get_ipstr(session.c->remote_addr), watch.command,
    terms->network_key, facts,
    keepalive_network_interval(facts, terms->rule.interval));
  tell(text, true);
}

static void tell_gone(double silent) {
  char text[200];

  keepalive_silence_print_gone(text, sizeof(text),
    pr_netaddr_get_ipstr(session.c->remote_addr),
    watch.in_transfer ? watch.command : "silence", silent);
  tell(text, false);
}

/* Starts or continues measuring what the path survives. */
static void measure(void) {
  unsigned int limit = watch.terms->rule.interval;
  struct keepalive_facts facts = learn();

  if (watch.step == 0) {
    watch.step = facts.survived > 0 ? facts.survived : 1;
    watch.step = watch.step < limit ? watch.step : limit;

  } else {
    watch.step = keepalive_silence_step(
      &watch.silence, watch.step, limit, facts.forgotten);
    if (watch.step == watch.idle) {
      return;
    }
  }

  watch.idle = watch.step;
  keepalive_probes_measure(watch.idle);
}

static void stop_measuring(void) {
  watch.step = 0;
  watch.idle = watch.terms->interval;
  keepalive_probes_transfer(watch.idle, watch.terms->rule.deadline);
}

static bool is_measuring_useful(void) {
  struct keepalive_facts facts = learn();

  return facts.survived < watch.terms->rule.interval &&
         (facts.forgotten == 0 || facts.survived * 2 < facts.forgotten);
}

/* When the peer of the data connection was last heard; 0: there is none. */
static double data_heard(void) {
  struct keepalive_tcpinfo data = { 0 };

  if (session.d == NULL || !(session.sf_flags & SF_XFER) ||
      keepalive_tcpinfo_get(PR_NETIO_FD(session.d->outstrm), &data) < 0) {
    return 0;
  }

  return data.closed ? 0 : data.heard;
}

/* The same, if it tells something of the client: with FXP the data connection's
 * peer is another server. */
static double client_heard(double data) {
  if (data == 0 ||
      pr_netaddr_cmp(session.d->remote_addr, session.c->remote_addr) != 0) {
    return 0;
  }

  watch.witness = data;
  return data;
}

void keepalive_watch_witness(void) {
  (void) client_heard(data_heard());
}

static void check_deadline(
  double now, const struct keepalive_tcpinfo *control, double data) {
  double heard = data > control->heard ? data : control->heard;

  if (watch.terms->rule.deadline == 0 || control->unanswered == 0) {
    return;
  }

  /* What is looked at once a second is decided half a second early. */
  if (now - heard + 0.5 >= watch.terms->rule.deadline) {
    tell_gone(now - heard);
    pr_session_disconnect(
      &keepalive_module, PR_SESS_DISCONNECT_TIMEOUT, "KeepaliveRule deadline");
  }
}

void keepalive_watch_look(double now) {
  struct keepalive_tcpinfo control = { 0 };
  double data;

  if (now - watch.looked < 0.9 ||
      keepalive_tcpinfo_get(keepalive_control_fd(), &control) < 0 ||
      control.closed) {
    return;
  }

  watch.looked = now;
  data = data_heard();
  keepalive_silence_look(
    &watch.silence, &control, watch.idle, client_heard(data));

  if (watch.silence.forgotten > 0) {
    tell_forgotten();
    watch.step = 0;
    keepalive_probes_pause();

  } else if (watch.step > 0 && control.tries > 5) {
    /* This is not a path that forgets, because then the data would flow. */
    stop_measuring();

  } else if (watch.step > 0) {
    measure();
  }

  check_deadline(now, &control, data);
}

void keepalive_watch_transfer(const char *command) {
  watch.in_transfer = true;
  watch.witness = 0;
  sstrncpy(watch.command, command, sizeof(watch.command));
  if (watch.terms->rule.deadline > 0) {
    keepalive_probes_transfer(
      watch.terms->interval, watch.terms->rule.deadline);
  }
}

void keepalive_watch_data(void) {
  if (watch.terms->rule.deadline > 0) {
    keepalive_probes_data(PR_NETIO_FD(session.d->outstrm),
      watch.terms->interval, watch.terms->rule.deadline);
  }

  if (!watch.told && is_measuring_useful()) {
    measure();
  }
}

void keepalive_watch_transfer_end(bool well) {
  struct keepalive_tcpinfo control = { 0 };

  /* A transfer ends well when all is written, also if the client vanished
   * before it had all. */
  if (keepalive_tcpinfo_get(keepalive_control_fd(), &control) == 0 && well) {
    keepalive_silence_transfer_ended(
      &watch.silence, &control, watch.idle, watch.witness);
  }

  /* A client whose window keeps bytes back would be given up although it
   * answers; unless its path is known to have forgotten the connection. What
   * was sent and is not acknowledged yet, as the 150 of a short transfer, does
   * no harm. */
  watch.in_transfer = false;
  watch.step = 0;
  watch.idle = watch.terms->interval;
  keepalive_probes_idle(watch.idle,
    control.unsent == 0 || watch.told ? watch.terms->rule.deadline : 0);
}

/* A peer that resets the connection is there, unless it was silent for so long
 * that TCP was about to give it up. */
static bool is_dead(const struct keepalive_tcpinfo *control, double silent) {
  unsigned int deadline = watch.terms->rule.deadline;
  unsigned int limit = deadline > 0 ? deadline : 3 * watch.terms->interval;

  /* The first probe comes a second before the deadline at the latest, so after
   * that much silence it was lost. What is closed no longer tells. */
  return control->closed && silent + 0.75 >= limit;
}

/* At core.exit the connection is already closed; this runs just before. */
static void control_closing_cb(void *data) {
  struct keepalive_tcpinfo control = { 0 };
  double silent;

  (void) data;
  if (watch.terms == NULL ||
      keepalive_tcpinfo_get(keepalive_control_fd(), &control) < 0) {
    return;
  }

  keepalive_silence_end(&watch.silence, &control, watch.idle);
  silent = keepalive_now() - control.heard;
  if (watch.silence.forgotten > 0) {
    tell_forgotten();

  } else if (is_dead(&control, silent)) {
    tell_gone(silent);
  }

  (void) learn();
}

void keepalive_watch_start(const struct keepalive_terms *terms) {
  watch.terms = terms;
  watch.idle = terms->interval;
  register_cleanup2(session.c->pool, NULL, control_closing_cb);
}

void keepalive_watch_stop(void) {
  memset(&watch, 0, sizeof(watch));
}
