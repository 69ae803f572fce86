/*
 * mod_keepalive - the silences of a control connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef KEEPALIVE_SILENCE_H
#define KEEPALIVE_SILENCE_H

#include <stddef.h>

#include "tcpinfo.h"

/* All 0 in the beginning. */
struct keepalive_silence {
  unsigned int survived; /* seconds: the longest silence that an answer ended */
  unsigned int forgotten; /* seconds of silence after which the path had
                             forgotten; 0: none */
  bool suspected;         /* see keepalive_silence_transfer_ended() */
  bool seen;              /* the following fields are from an earlier look */
  double heard;
  uint32_t segs_in, resent;
  unsigned int tries, vain;
};

/* Looks at the control connection, on which a probe is sent after IDLE seconds
 * of silence. The data connection is the witness: DATA_HEARD is when its peer
 * was last heard, 0 if there is none. Once FORGOTTEN is set, the path is known
 * to have dropped the control connection alone. */
void keepalive_silence_look(struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle,
  double data_heard);

/* Looks at the end of a transfer that succeeded. The client was there when the
 * data connection's peer was last heard, at DATA_HEARD, so a probe that had
 * long not been answered then is suspicious. 0: nobody knows. */
void keepalive_silence_transfer_ended(struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle,
  double data_heard);

/* Looks for the last time, when the connection ends. A suspicion that no later
 * sign of the client has refuted counts as a fact. */
void keepalive_silence_end(struct keepalive_silence *silence,
  const struct keepalive_tcpinfo *control, unsigned int idle);

/* The silence to try after one of STEP seconds: twice as long if that was
 * survived, at most LIMIT, and always shorter than one that the path is known
 * to forget (0: none is known). */
unsigned int keepalive_silence_step(const struct keepalive_silence *silence,
  unsigned int step, unsigned int limit, unsigned int forgotten);

/* The line of the log about a client that did not answer for so many seconds.
 * COMMAND is the transfer's, or "silence". */
void keepalive_silence_print_gone(char *text, size_t size, const char *client,
  const char *command, double silent);

#endif
