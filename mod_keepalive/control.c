/*
 * mod_keepalive - writing on the control connection while data flow
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* The guards around everything that the module writes, and the place where an
 * open reply and ProFTPD's own replies meet: the event that comes before each
 * write on the control connection, whose listeners may change what is written.
 */

#include "control.h"

#include "history.h"
#include "log.h"
#include "path.h"
#include "reply.h"

#define TLS_NOTE   "mod_tls.SSL" /* where mod_tls keeps the SSL of a stream */
#define TELNET_NOP "\377\361"    /* RFC 854: IAC NOP */

/* Timers run also from within a write.  One is under way from its event until
 * the counter of raw bytes moves.
 */
static struct {
  int listening;
  int ours;
  int pending;
  off_t raw_out;
} writer;

static struct keepalive_history history;

/* The reply that was opened early, and the command that it answers. */
static struct keepalive_reply reply;
static const cmd_rec *reply_cmd = NULL;
static _Atomic uint64_t *broken_count = NULL;

int keepalive_control_fd(void) {
  return session.c != NULL && session.c->outstrm != NULL
           ? PR_NETIO_FD(session.c->outstrm)
           : -1;
}

static struct ssl_st *control_ssl(void) {
  return (struct ssl_st *) pr_table_get(
    session.c->outstrm->notes, TLS_NOTE, NULL);
}

int keepalive_control_has_tickets(void) {
  return keepalive_tls_possible(control_ssl());
}

const char *keepalive_control_tls_version(void) {
  return keepalive_tls_version(control_ssl());
}

static void break_off(const char *text, size_t len) {
  size_t line = 0;

  while (line < len && line < 80 && text[line] != '\r') {
    line++;
  }

  reply.state = KEEPALIVE_REPLY_BROKEN;
  if (broken_count != NULL) {
    atomic_fetch_add(broken_count, 1);
  }

  keepalive_log("the transfer for %s failed after its reply had been opened as "
                "226: closing the control connection instead of '%.*s'",
    pr_netaddr_get_ipstr(session.c->remote_addr), (int) line, text);
  pr_session_disconnect(&keepalive_module, PR_SESS_DISCONNECT_BY_APPLICATION,
    "transfer failed after its reply was opened");
}

/* Whatever is written during the transfer or from within another command is
 * not the end of the open reply.  After an ABOR it is: the transfer failed.
 */
static int is_foreign(void) {
  return !XFER_ABORTED &&
         ((session.sf_flags & SF_XFER) || session.curr_cmd_rec != reply_cmd);
}

static void join_reply(pr_buffer_t *pbuf) {
  size_t size = keepalive_reply_join_size(&reply, pbuf->buflen);
  char *out = palloc(session.curr_cmd_rec->pool, size);

  pbuf->buflen = keepalive_reply_join(&reply, pbuf->buf, pbuf->buflen, out);
  pbuf->buf = pbuf->current = out;
  pbuf->remaining = 0;
}

static void filter_write(pr_buffer_t *pbuf) {
  switch (
    keepalive_reply_judge(&reply, pbuf->buf, pbuf->buflen, is_foreign())) {
    case KEEPALIVE_REPLY_PASS:
      return;

    case KEEPALIVE_REPLY_JOIN:
      join_reply(pbuf);
      return;

    case KEEPALIVE_REPLY_HOLD:
      if (keepalive_reply_hold(&reply, pbuf->buf, pbuf->buflen) < 0) {
        break_off(pbuf->buf, pbuf->buflen);
      }
      break;

    case KEEPALIVE_REPLY_DROP:
      break_off(pbuf->buf, pbuf->buflen);
      break;
  }

  pbuf->remaining = pbuf->buflen;
}

static void ctrl_write_ev(const void *event_data, void *user_data) {
  pr_buffer_t *pbuf = (pr_buffer_t *) event_data;

  (void) user_data;
  if (writer.ours) {
    return;
  }

  filter_write(pbuf);
  if (pbuf->remaining < pbuf->buflen) {
    keepalive_history_packet(&history, keepalive_now(), 0);
    writer.pending = TRUE;
    writer.raw_out = session.total_raw_out;
  }
}

static int is_being_written(void) {
  if (writer.pending && session.total_raw_out != writer.raw_out) {
    writer.pending = FALSE;
  }

  return writer.pending;
}

void keepalive_control_listen(const cmd_rec *cmd, _Atomic uint64_t *broken) {
  reply_cmd = cmd;
  broken_count = broken;
  if (!writer.listening) {
    pr_event_register(
      &keepalive_module, "core.ctrl-write", ctrl_write_ev, NULL);
    writer.listening = TRUE;
  }
}

void keepalive_control_stop(void) {
  if (writer.listening) {
    pr_event_unregister(&keepalive_module, "core.ctrl-write", ctrl_write_ev);
  }

  keepalive_reply_reset(&reply);
  reply_cmd = NULL;
  memset(&writer, 0, sizeof(writer));
  memset(&history, 0, sizeof(history));
}

void keepalive_control_command(const cmd_rec *cmd, int within) {
  if (!writer.listening) {
    return;
  }

  keepalive_history_packet(&history, keepalive_now(), 0);

  /* The transfer that ABOR ends has failed, and its command had its chance to
   * reply before another one comes.
   */
  if (reply.state == KEEPALIVE_REPLY_OPEN &&
      (!within || strcmp(cmd->argv[0], C_ABOR) == 0)) {
    break_off(cmd->argv[0], strlen(cmd->argv[0]));
  }
}

static enum keepalive_result write_out(char *text, size_t len) {
  int res;

  writer.ours = TRUE;
  res = pr_netio_write(session.c->outstrm, text, len);
  writer.ours = FALSE;

  return res < 0 ? KEEPALIVE_FAILED : KEEPALIVE_SENT;
}

static enum keepalive_result send_ticket(void) {
  unsigned long written = 0;
  enum keepalive_result res = keepalive_tls_send(control_ssl(), &written);

  session.total_raw_out += written;
  return res;
}

enum keepalive_result keepalive_control_send(enum keepalive_method method) {
  char nop[] = TELNET_NOP, more[KEEPALIVE_REPLY_TEXT];
  enum keepalive_result res;

  if (is_being_written()) {
    return KEEPALIVE_BUSY;
  }

  /* A full control connection would hold up the data transfer. */
  if (!keepalive_path_writable(keepalive_control_fd())) {
    return KEEPALIVE_FULL;
  }

  switch (method) {
    case KEEPALIVE_TLS:
      res = send_ticket();
      break;

    case KEEPALIVE_REPLY:
      res = write_out(more, keepalive_reply_grow(&reply, more));
      break;

    default:
      res = write_out(nop, strlen(nop));
      break;
  }

  keepalive_history_packet(&history, keepalive_now(), 0);
  return res;
}

void keepalive_control_survived(double seconds) {
  keepalive_history_survived(&history, seconds);
}

void keepalive_control_history(
  double silent, double probe, double *idle, double *survived) {
  double now = keepalive_now();

  keepalive_history_end(&history, now - silent, now, probe, idle, survived);
}
