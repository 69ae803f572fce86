/*
 * mod_keepalive - method reply: a final reply that is started early
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* RFC 959 4.2 lets a reply have many lines, "226-" to "226 ", and says nothing
 * about the time between their bytes. So the final reply of a transfer begins
 * while data still flow, and grows by one byte for each keepalive. Its code is
 * then committed. Needs no ProFTPD.
 */

#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A code is never written in part: ncftp takes "22" at the end of a connection
 * for success. */
#define CODE      "226"
#define CODE_LEN  3
#define OPENING   CODE "-Transferring"
#define NEXT_LINE "\r\n" CODE "-."

/* Lines of 5,000 bytes break PHP, gftp and wget; lines of 900 bytes break no
 * client. */
#define LINE_MAX_LEN 900

/* Room for the replies to other commands during one transfer: a NOOP each half
 * minute for a day. */
#define HELD_MAX (128 * 1024)

size_t keepalive_reply_grow(struct keepalive_reply *reply, char *text) {
  const char *more = ".";

  if (reply->state == KEEPALIVE_REPLY_NONE) {
    reply->state = KEEPALIVE_REPLY_OPEN;
    more = OPENING;

  } else if (reply->line >= LINE_MAX_LEN) {
    reply->line = 0;
    more = NEXT_LINE;
  }

  reply->line += strlen(more);
  memcpy(text, more, strlen(more));
  return strlen(more);
}

static int has_code(const char *text, size_t len, char separator) {
  return len > CODE_LEN && memcmp(text, CODE, CODE_LEN) == 0 &&
         text[CODE_LEN] == separator;
}

enum keepalive_reply_fate keepalive_reply_judge(
  struct keepalive_reply *reply, const char *text, size_t len, int foreign) {
  switch (reply->state) {
    case KEEPALIVE_REPLY_NONE:
      return KEEPALIVE_REPLY_PASS;

    case KEEPALIVE_REPLY_BROKEN:
      return KEEPALIVE_REPLY_DROP;

    case KEEPALIVE_REPLY_OPEN:
      if (foreign) {
        return KEEPALIVE_REPLY_HOLD;
      }

      if (has_code(text, len, ' ') || has_code(text, len, '-')) {
        return KEEPALIVE_REPLY_JOIN;
      }

      reply->state = KEEPALIVE_REPLY_BROKEN;
      return KEEPALIVE_REPLY_DROP;

    default:
      return has_code(text, len, ' ') ? KEEPALIVE_REPLY_JOIN
                                      : KEEPALIVE_REPLY_PASS;
  }
}

int keepalive_reply_hold(
  struct keepalive_reply *reply, const char *text, size_t len) {
  char *held;

  if (len > HELD_MAX - reply->held_len) {
    errno = E2BIG;
    return -1;
  }

  held = realloc(reply->held, reply->held_len + len);
  if (held == NULL) {
    return -1;
  }

  memcpy(held + reply->held_len, text, len);
  reply->held = held;
  reply->held_len += len;
  return 0;
}

size_t keepalive_reply_join_size(
  const struct keepalive_reply *reply, size_t len) {
  return strlen("\r\n") + len + reply->held_len;
}

size_t keepalive_reply_join(
  struct keepalive_reply *reply, const char *text, size_t len, char *joined) {
  size_t joined_len = 0;
  int is_last = has_code(text, len, ' ');

  if (reply->state == KEEPALIVE_REPLY_OPEN) {
    memcpy(joined, "\r\n", 2);
    joined_len = 2;
    reply->state = KEEPALIVE_REPLY_ENDING;
  }

  memcpy(joined + joined_len, text, len);
  joined_len += len;

  if (is_last) {
    if (reply->held_len > 0) {
      memcpy(joined + joined_len, reply->held, reply->held_len);
      joined_len += reply->held_len;
    }
    keepalive_reply_reset(reply);
  }

  return joined_len;
}

void keepalive_reply_reset(struct keepalive_reply *reply) {
  free(reply->held);
  memset(reply, 0, sizeof(*reply));
}
