/*
 * mod_keepalive - writes on the control connection during a transfer
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* The checks before everything that the module writes; and the listener for the
 * event before each write on the control connection, which can change what is
 * written. There the open reply and ProFTPD's own replies meet. */

#include "control.h"

#include "log.h"
#include "reply.h"
#include "tcpinfo.h"
#include "ticket.h"

#define TLS_NOTE   "mod_tls.SSL" /* where mod_tls keeps the SSL of a stream */
#define TELNET_NOP "\377\361"    /* RFC 854: IAC NOP */

/* Bytes for which the client's window must have room besides a keepalive: the
 * final reply of the transfer. */
#define REPLY_ROOM 512

/* Timers also run within a write. A write is in progress from its event until
 * the counter of raw bytes changes. */
static struct {
  bool listening;
  bool pending;
  off_t raw_out;
  size_t ticket_size; /* of the last one, in bytes on the wire */
} writer;

/* The reply that was started early, and the command that it answers. */
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

bool keepalive_control_has_tickets(void) {
  return keepalive_ticket_possible(control_ssl());
}

const char *keepalive_control_protocol(void) {
  return keepalive_ticket_protocol(control_ssl());
}

/* The line in the log has at most 160 characters. */
static void break_off(const char *text, size_t len) {
  size_t line = 0;

  while (line < len && line < 48 && text[line] != '\r') {
    line++;
  }

  reply.state = KEEPALIVE_REPLY_BROKEN;
  if (broken_count != NULL) {
    atomic_fetch_add(broken_count, 1);
  }

  keepalive_log(
    "%s: transfer failed after its 226 was started: closing instead of '%.*s'",
    pr_netaddr_get_ipstr(session.c->remote_addr), (int) line, text);
  pr_session_disconnect(&keepalive_module, PR_SESS_DISCONNECT_BY_APPLICATION,
    "transfer failed after its reply was started");
}

/* What is written during the transfer or within another command is not the end
 * of the open reply. After ABOR it is, because the transfer has failed. */
static bool is_foreign(void) {
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
  filter_write(pbuf);
  if (pbuf->remaining < pbuf->buflen) {
    writer.pending = true;
    writer.raw_out = session.total_raw_out;
  }
}

static bool is_being_written(void) {
  if (writer.pending && session.total_raw_out != writer.raw_out) {
    writer.pending = false;
  }

  return writer.pending;
}

void keepalive_control_start(const cmd_rec *cmd, _Atomic uint64_t *broken) {
  reply_cmd = cmd;
  broken_count = broken;
  keepalive_ticket_forget_answer();
  if (!writer.listening) {
    pr_event_register(
      &keepalive_module, "core.ctrl-write", ctrl_write_ev, NULL);
    writer.listening = true;
  }
}

void keepalive_control_stop(void) {
  if (writer.listening) {
    pr_event_unregister(&keepalive_module, "core.ctrl-write", ctrl_write_ev);
  }

  keepalive_reply_reset(&reply);
  reply_cmd = NULL;
  memset(&writer, 0, sizeof(writer));
}

void keepalive_control_command(const cmd_rec *cmd, bool within) {
  /* A transfer that ABOR ends has failed, and its command could have replied
   * before the next one comes. */
  if (reply.state == KEEPALIVE_REPLY_OPEN &&
      (!within || strcmp(cmd->argv[0], C_ABOR) == 0)) {
    break_off(cmd->argv[0], strlen(cmd->argv[0]));
  }
}

/* pr_netio_write() would run the schedule, from which this is called. There is
 * room for what is written, so nothing has to wait. */
static enum keepalive_result write_out(char *text, size_t len) {
  pr_netio_stream_t *strm = session.c->outstrm;
  pr_netio_t *netio = pr_get_netio(PR_NETIO_STRM_CTRL);
  ssize_t res = netio != NULL ? (netio->write)(strm, text, len)
                              : write(PR_NETIO_FD(strm), text, len);

  if (res < 0) {
    return KEEPALIVE_FAILED;
  }

  session.total_raw_out += res;
  return KEEPALIVE_SENT;
}

static enum keepalive_result send_ticket(void) {
  size_t written = 0;
  enum keepalive_result result = keepalive_ticket_send(control_ssl(), &written);

  session.total_raw_out += (off_t) written;
  if (result == KEEPALIVE_SENT) {
    writer.ticket_size = written;
  }

  return result;
}

bool keepalive_control_pass(void) {
  if (keepalive_ticket_is_answer_owed()) {
    keepalive_ticket_take_answer(control_ssl());
  }

  return keepalive_ticket_is_answer_owed();
}

/* The module's own bytes must not end a client that does not read. With a
 * closed window, TCP sends no keepalive probes, and gives the client up at the
 * deadline although it answers. */
static enum keepalive_result check_window(enum keepalive_method method) {
  size_t need = method == KEEPALIVE_TLS ? writer.ticket_size : 0;
  struct keepalive_tcpinfo info;

  if (keepalive_tcpinfo_get(keepalive_control_fd(), &info) < 0) {
    return KEEPALIVE_FAILED;
  }

  if (info.unread > 0) {
    return KEEPALIVE_UNREAD;
  }

  return info.room < need + REPLY_ROOM ? KEEPALIVE_NO_ROOM : KEEPALIVE_SENT;
}

enum keepalive_result keepalive_control_send(enum keepalive_method method) {
  char nop[] = TELNET_NOP, more[KEEPALIVE_REPLY_TEXT];
  enum keepalive_result result;

  if (is_being_written()) {
    return KEEPALIVE_BUSY;
  }

  result = check_window(method);
  if (result != KEEPALIVE_SENT) {
    return result;
  }

  switch (method) {
    case KEEPALIVE_TLS:
      return send_ticket();

    case KEEPALIVE_REPLY:
      return write_out(more, keepalive_reply_grow(&reply, more));

    default:
      return write_out(nop, strlen(nop));
  }
}
