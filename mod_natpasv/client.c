/*
 * mod_natpasv - whether a client that waits still does
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "client.h"
#include "words.h"

#include <poll.h>

/* Commands that have come and were not read yet, as far as they fit. */
#define PEEK_MAX 512

#if !defined(POLLRDHUP)
#define POLLRDHUP 0
#endif

/* Urgent data is how clients go about ABOR (RFC 959, 4.1.3), and hides what
 * comes after it from a peek. */
static int is_gone_or_urgent(void) {
  struct pollfd pfd = { .fd = session.c->rfd, .events = POLLRDHUP | POLLPRI };

  return poll(&pfd, 1, 0) > 0;
}

/* What came together with the last command. */
static size_t read_already(const char **text) {
  const pr_buffer_t *buffer = session.c->instrm->strm_buf;

  if (buffer == NULL || buffer->current == NULL) {
    return 0;
  }

  *text = buffer->current;
  return buffer->buflen - buffer->remaining;
}

/* What came later. */
static int says_now(void) {
  char text[PEEK_MAX];
  ssize_t size;

  if (session.rfc2228_mech != NULL) {
    return 0;
  }

  size = recv(session.c->rfd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);
  return size > 0 && natpasv_says_stop(text, (size_t) size);
}

int natpasv_client_gave_up(void) {
  const char *text;
  size_t size;

  if (is_gone_or_urgent()) {
    return 1;
  }

  size = read_already(&text);
  if (size > 0 && natpasv_says_stop(text, size)) {
    return 1;
  }

  /* Not in the middle of a line: that may be a file's name. */
  return (size == 0 || text[size - 1] == '\n') && says_now();
}
