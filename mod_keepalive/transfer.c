/*
 * mod_keepalive - keepalives during a transfer
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Decides what is written on the control connection during a transfer, and when
 * the client is looked at.
 *
 * A signal ends some of ProFTPD's waits for good: the pause of TransferRate is
 * one select(2). So no timer runs while data pass through ProFTPD's own reads
 * and writes: around each of these, and each second while they wait, ProFTPD
 * runs its schedule. A timer runs before that, and during sendfile(2), which
 * runs no schedule. Its period is that of the alarm which ProFTPD sets
 * anyway. */

#include "transfer.h"
#include "control.h"
#include "log.h"
#include "tcpinfo.h"
#include "watch.h"

#define METHOD_NOTE "mod_keepalive.method"
#define SENT_NOTE   "mod_keepalive.sent"

/* The longest alarm that timers.c sets, in seconds. */
#define TIMER_SECONDS 5

static struct {
  const struct keepalive_terms *terms; /* NULL: nothing is kept alive */
  const cmd_rec *cmd;                  /* NULL: no transfer */
  enum keepalive_method payload;       /* what is written, or NONE */
  bool begun;                          /* there is a data connection */
  bool scheduled;
  bool awaited; /* await_flow() has an entry in the schedule */
  int skipped;  /* turns of the schedule */
  bool warned;  /* the fall-back to tcp was logged */
  int timer_id;
  double last;   /* keepalive_now() of the last keepalive */
  double passed; /* and of the last turn of the schedule */
  unsigned int sent;
  char sent_text[16];
} xfer;

static void set_note(const char *key, const char *value) {
  size_t len = strlen(value) + 1;

  if (pr_table_set(session.notes, key, value, len) < 0) {
    (void) pr_table_add(session.notes, key, value, len);
  }
}

/* Determined anew for each transfer, because AUTH TLS and CCC change the
 * result. */
static enum keepalive_method choose_payload(void) {
  enum keepalive_method method = xfer.terms->rule.method;

  if (method == KEEPALIVE_REPLY || method == KEEPALIVE_TELNET) {
    return method;
  }

  if (method != KEEPALIVE_TCP && keepalive_control_has_tickets()) {
    return KEEPALIVE_TLS;
  }

  if (method == KEEPALIVE_TLS && !xfer.warned) {
    keepalive_log(
      "method tls needs TLS 1.3 on the control connection of %s, this one has %s: using tcp",
      pr_netaddr_get_ipstr(session.c->remote_addr),
      keepalive_control_protocol());
    xfer.warned = true;
  }

  return KEEPALIVE_NONE;
}

static void show_method(const char *method) {
  set_note(METHOD_NOTE, method);
  if (xfer.terms->slot != NULL) {
    sstrncpy(
      xfer.terms->slot->method, method, sizeof(xfer.terms->slot->method));
  }
}

/* Called when there is a data connection, which determines the method. */
static void begin_data(double now) {
  xfer.begun = true;
  xfer.last = now;
  if (xfer.payload == KEEPALIVE_NONE) {
    return;
  }

  show_method(xfer.terms->rule.method == KEEPALIVE_AUTO
                ? "tcp+tls"
                : keepalive_method_name(xfer.payload));
}

static void count(enum keepalive_result result) {
  struct keepalive_table *table = xfer.terms->table;
  struct keepalive_slot *slot = xfer.terms->slot;
  bool sent = result == KEEPALIVE_SENT;

  xfer.sent += sent;
  pr_snprintf(xfer.sent_text, sizeof(xfer.sent_text), "%u", xfer.sent);
  set_note(SENT_NOTE, xfer.sent_text);
  pr_trace_msg(KEEPALIVE_TRACE, 9, "keepalive by %s: result %d, %u sent",
    keepalive_method_name(xfer.payload), (int) result, xfer.sent);

  if (table != NULL) {
    atomic_fetch_add(
      sent ? &table->sent[xfer.payload] : &table->skipped[result], 1);
  }

  if (slot != NULL) {
    atomic_store(&slot->sent, xfer.sent);
    atomic_fetch_add(&slot->skipped[result], 1);
  }
}

static bool is_transferring(void) {
  return xfer.cmd != NULL && (session.sf_flags & SF_XFER) &&
         session.d != NULL && !XFER_ABORTED;
}

static void send_keepalive(double now) {
  enum keepalive_result result;

  if (xfer.payload == KEEPALIVE_NONE || !xfer.begun || !is_transferring() ||
      now - xfer.last < xfer.terms->rule.interval) {
    return;
  }

  /* A skipped keepalive is tried again after a second. */
  result = keepalive_control_send(xfer.payload);
  xfer.last =
    result == KEEPALIVE_SENT ? now : now + 1 - xfer.terms->rule.interval;
  count(result);
}

static void pass(double now) {
  int xerrno = errno;

  (void) keepalive_control_pass();
  send_keepalive(now);
  keepalive_watch_look(now);
  errno = xerrno;
}

/* The schedule. It runs each entry once, so there is always a new one. While
 * data flow fast it runs some hundred thousand times a second: then more and
 * more turns are skipped, and none any more when a turn comes late. */

#define LATE        0.1 /* seconds after the last one */
#define MAX_SKIPPED 15

static void schedule_pass(void);

static void schedule_cb(void *a, void *b, void *c, void *d) {
  double now = keepalive_now();

  (void) a;
  (void) b;
  (void) c;
  (void) d;

  xfer.scheduled = false;
  xfer.skipped = now - xfer.passed < LATE ? xfer.skipped * 2 + 1 : 0;
  xfer.passed = now;
  if (is_transferring()) {
    pass(now);
    if (keepalive_control_pass() || xfer.terms->rule.deadline > 0) {
      xfer.skipped = 0;
    }
    schedule_pass();
  }
}

static void schedule_pass(void) {
  if (!xfer.scheduled) {
    xfer.scheduled = true;
    xfer.skipped = xfer.skipped < MAX_SKIPPED ? xfer.skipped : MAX_SKIPPED;
    schedule(schedule_cb, xfer.skipped, NULL, NULL, NULL, NULL);
  }
}

/* The timer. */

static void stop_timer(void) {
  if (xfer.timer_id > 0) {
    (void) pr_timer_remove(xfer.timer_id, &keepalive_module);
  }
  xfer.timer_id = 0;
}

/* ProFTPD loses its list of timers when one is added from within another one:
 * so it is this one for the whole transfer, with its period. */
static int timer_cb(CALLBACK_FRAME) {
  double now = keepalive_now();

  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;

  if (is_transferring() && !xfer.begun) {
    begin_data(now - TIMER_SECONDS);
  }

  pass(now);
  return 1;
}

static void start_timer(void) {
  xfer.timer_id = pr_timer_add(
    TIMER_SECONDS, -1, &keepalive_module, timer_cb, MOD_KEEPALIVE_VERSION);
  if (xfer.timer_id < 0) {
    keepalive_log(
      "cannot start a timer: %s; keepalives of this transfer may be missing",
      strerror(errno));
    xfer.timer_id = 0;
  }
}

/* ProFTPD runs its schedule before each read and write of the data connection.
 * It does not during sendfile(2), where the timer goes on, but once more before
 * it waits for the client to close the data connection. A handler of
 * core.data-read and core.data-write would take one percent of a fast upload.
 */

static void begin_flow(void) {
  if (!xfer.begun) {
    begin_data(keepalive_now());
  }
  stop_timer();
  keepalive_watch_data();
  schedule_pass();
}

static void await_flow(void);

static void await_cb(void *a, void *b, void *c, void *d) {
  int xerrno = errno;

  (void) a;
  (void) b;
  (void) c;
  (void) d;

  xfer.awaited = false;
  if (xfer.cmd == NULL) {
    return;
  }

  if (is_transferring() && session.xfer.total_bytes == 0) {
    begin_flow();

  } else {
    if (is_transferring()) {
      keepalive_watch_witness();
    }
    await_flow();
  }
  errno = xerrno;
}

static void await_flow(void) {
  if (!xfer.awaited) {
    xfer.awaited = true;
    schedule(await_cb, 0, NULL, NULL, NULL, NULL);
  }
}

static bool is_transfer(const cmd_rec *cmd) {
  static const char *const names[] = { C_RETR, C_STOR, C_STOU, C_APPE, C_LIST,
    C_NLST, C_MLSD };

  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    if (strcmp(cmd->argv[0], names[i]) == 0) {
      return true;
    }
  }

  return false;
}

static void enter_table(const cmd_rec *cmd) {
  struct keepalive_slot *slot = xfer.terms->slot;

  if (xfer.terms->table != NULL) {
    atomic_fetch_add(&xfer.terms->table->transfers, 1);
  }

  if (slot != NULL) {
    atomic_store(&slot->sent, 0);
    for (unsigned int i = 0; i < KEEPALIVE_RESULTS; i++) {
      atomic_store(&slot->skipped[i], 0);
    }
    sstrncpy(slot->command, cmd->argv[0], sizeof(slot->command));
    atomic_store(&slot->began, (int64_t) time(NULL));
  }
}

static void begin(const cmd_rec *cmd) {
  xfer.cmd = cmd;
  xfer.sent = 0;
  xfer.begun = false;
  xfer.payload = choose_payload();
  show_method("tcp");
  set_note(SENT_NOTE, "0");
  enter_table(cmd);

  keepalive_watch_transfer(cmd->argv[0]);
  await_flow();
  if (xfer.payload != KEEPALIVE_NONE || xfer.terms->rule.deadline > 0) {
    keepalive_control_start(
      cmd, xfer.terms->table != NULL ? &xfer.terms->table->broken : NULL);
    start_timer();
  }
}

void keepalive_transfer_command(const cmd_rec *cmd) {
  keepalive_control_command(cmd, xfer.cmd != NULL);

  /* ProFTPD 1.3.7 answers ABOR after it has waited for the client to close the
   * data connection. A 226 that was started then would be one of a failure. */
  if (xfer.cmd != NULL && xfer.payload == KEEPALIVE_REPLY &&
      strcmp(cmd->argv[0], C_ABOR) == 0) {
    xfer.payload = KEEPALIVE_NONE;
  }

  /* A command within a transfer does not end or replace its keepalives. */
  if (xfer.terms != NULL && xfer.cmd == NULL && is_transfer(cmd)) {
    begin(cmd);
    pr_trace_msg(KEEPALIVE_TRACE, 8, "%s begins", (char *) cmd->argv[0]);
  }
}

static void end(bool well) {
  if (xfer.cmd == NULL) {
    return;
  }

  xfer.cmd = NULL;
  stop_timer();
  keepalive_watch_transfer_end(well);
  if (xfer.terms->slot != NULL) {
    atomic_store(&xfer.terms->slot->began, 0);
  }
}

void keepalive_transfer_command_end(const cmd_rec *cmd, bool well) {
  if (xfer.cmd == cmd) {
    end(well);
  }
}

void keepalive_transfer_none(void) {
  set_note(METHOD_NOTE, keepalive_method_name(KEEPALIVE_NONE));
  set_note(SENT_NOTE, "0");
}

void keepalive_transfer_start(const struct keepalive_terms *terms) {
  xfer.terms = terms;
}

void keepalive_transfer_stop(void) {
  bool scheduled = xfer.scheduled, awaited = xfer.awaited;

  end(false);
  keepalive_control_stop();
  memset(&xfer, 0, sizeof(xfer));
  xfer.scheduled = scheduled;
  xfer.awaited = awaited;
}
