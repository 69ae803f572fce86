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

#ifndef KEEPALIVE_REPLY_H
#define KEEPALIVE_REPLY_H

#include <stddef.h>

enum keepalive_reply_state {
  KEEPALIVE_REPLY_NONE, /* nothing was written: replies are those of ProFTPD */
  KEEPALIVE_REPLY_OPEN, /* its first bytes are out */
  KEEPALIVE_REPLY_ENDING, /* further lines of it follow */
  KEEPALIVE_REPLY_BROKEN  /* incomplete: nothing more may be written */
};

struct keepalive_reply {
  enum keepalive_reply_state state;
  size_t line; /* bytes in the line so far */
  char *held;  /* replies to other commands, until this one has ended */
  size_t held_len;
};

/* What to do with something that ProFTPD is about to write. */
enum keepalive_reply_fate {
  KEEPALIVE_REPLY_PASS, /* written as it is */
  KEEPALIVE_REPLY_HOLD, /* kept for later: keepalive_reply_hold() */
  KEEPALIVE_REPLY_JOIN, /* part of the open reply: keepalive_reply_join() */
  KEEPALIVE_REPLY_DROP  /* the reply is broken: not written */
};

/* Room for what keepalive_reply_grow() writes. */
#define KEEPALIVE_REPLY_TEXT 24

/* The next keepalive: starts the reply, or adds one byte to it. Returns the
 * number of bytes. */
size_t keepalive_reply_grow(struct keepalive_reply *reply, char *text);

/* FOREIGN is true for what does not belong to the transfer's own final reply. A
 * final reply other than 226 breaks the open one, which the state then
 * shows. */
enum keepalive_reply_fate keepalive_reply_judge(
  struct keepalive_reply *reply, const char *text, size_t len, int foreign);

/* Returns -1 with errno if there is no room for it. */
int keepalive_reply_hold(
  struct keepalive_reply *reply, const char *text, size_t len);

/* The size that keepalive_reply_join() needs, and the text to write. */
size_t keepalive_reply_join_size(
  const struct keepalive_reply *reply, size_t len);
size_t keepalive_reply_join(
  struct keepalive_reply *reply, const char *text, size_t len, char *joined);

/* Forgets everything: the state is NONE. */
void keepalive_reply_reset(struct keepalive_reply *reply);

#endif
