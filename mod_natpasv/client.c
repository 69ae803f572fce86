/*
 * mod_natpasv - whether a waiting client is still there
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "client.h"
#include "pending.h"
#include "tlsread.h"

#include <poll.h>

/* Unread commands, as far as they fit. */
#define PEEK_MAX 512

#define TLS_NOTE "mod_tls.SSL" /* where mod_tls keeps the SSL of a stream */

#if !defined(POLLRDHUP)
#define POLLRDHUP 0
#endif

/* Bytes that came together with the last command, or were read since. */
static size_t buffered(const char **text) {
  const pr_buffer_t *buffer = session.c->instrm->strm_buf;

  if (buffer == NULL || buffer->current == NULL) {
    return 0;
  }

  *text = buffer->current;
  return buffer->buflen - buffer->remaining;
}

/* In TLS, a peek makes the socket unreadable, and ProFTPD would then not read
 * from it. So the bytes are read into the buffer where ProFTPD looks for the
 * next command. */
static void fill_buffer(void) {
  pr_buffer_t *buffer = session.c->instrm->strm_buf;
  struct ssl_st *ssl =
    (struct ssl_st *) pr_table_get(session.c->instrm->notes, TLS_NOTE, NULL);
  const char *text;
  size_t size, got;

  if (ssl == NULL || buffer == NULL) {
    return;
  }

  size = buffered(&text);
  if (size == 0) {
    buffer->remaining = buffer->buflen;

  } else {
    memmove(buffer->buf, text, size);
  }
  buffer->current = buffer->buf;

  if (buffer->remaining > 0) {
    got = natpasv_tlsread(ssl, session.c->rfd, buffer->buf + size,
      buffer->remaining, &session.total_raw_in);
    buffer->remaining -= got;
  }
}

/* All that is unread, as far as it fits. */
static size_t unread(char text[PEEK_MAX]) {
  const char *first = NULL;
  size_t size;
  ssize_t later = 0;

  if (session.rfc2228_mech != NULL) {
    fill_buffer();
  }

  size = buffered(&first);
  size = size < PEEK_MAX ? size : PEEK_MAX;
  if (size > 0) {
    memcpy(text, first, size);
  }

  if (session.rfc2228_mech == NULL && size < PEEK_MAX) {
    later = recv(
      session.c->rfd, text + size, PEEK_MAX - size, MSG_PEEK | MSG_DONTWAIT);
  }
  return later > 0 ? size + (size_t) later : size;
}

static enum natpasv_client look_at_commands(void) {
  char text[PEEK_MAX];
  size_t size = unread(text);

  switch (natpasv_pending_first(text, size)) {
    case NATPASV_PENDING_ABOR:
      return NATPASV_CLIENT_LEFT;

    case NATPASV_PENDING_QUIT:
      return NATPASV_CLIENT_LEAVES;

    default:
      return size > 0 ? NATPASV_CLIENT_TALKS : NATPASV_CLIENT_WAITS;
  }
}

enum natpasv_client natpasv_client_look(void) {
  struct pollfd pfd = {
    .fd = session.c->rfd,
    .events = POLLRDHUP | POLLPRI,
  };

  /* Clients send ABOR as urgent data (RFC 959, 4.1.3), and a peek does not see
   * past it. */
  if (poll(&pfd, 1, 0) > 0) {
    return pfd.revents & (POLLERR | POLLHUP | POLLPRI) ? NATPASV_CLIENT_LEFT
                                                       : NATPASV_CLIENT_LEAVES;
  }
  return look_at_commands();
}

bool natpasv_client_gave_up(void) {
  return natpasv_client_look() >= NATPASV_CLIENT_LEAVES;
}
