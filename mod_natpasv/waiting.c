/*
 * mod_natpasv - a session that waits for its data connection
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "waiting.h"
#include "async.h"
#include "client.h"
#include "futex.h"
#include "listener.h"
#include "strangers.h"
#include "table.h"

/* A timer of ProFTPD interrupts accept(2); ProFTPD then pauses for 0.2 s and
 * calls this module. So this happens every 1.2 s, and what must be noticed
 * sooner has to send SIGALRM itself. */
#define LOOK_SECONDS 1

static struct {
  int timer; /* -1 for none */
  bool ended;
  uint64_t end_ms;
} watch = { .timer = -1 };

/* Each interruption restarts the time limit of accept(2). */
static void give_up(void) {
  uint64_t now = natpasv_now_ms();

  natpasv_listener_give_up(
    watch.end_ms > now ? (unsigned int) (watch.end_ms - now) : 1);
}

static void end(const char *why, unsigned int grace_ms) {
  pr_trace_msg(
    NATPASV_TRACE, 5, "%s: the wait for a data connection ends", why);
  watch.ended = true;
  watch.end_ms = natpasv_now_ms() + grace_ms;
  natpasv_async_stop();
  give_up();
}

static int look(CALLBACK_FRAME) {
  (void) p1;
  (void) p2;
  (void) p3;
  (void) data;

  if (!natpasv_listener_is_awaited()) {
    return 1;
  }

  if (watch.ended) {
    give_up();
    return 1;
  }

  switch (natpasv_client_look()) {
    case NATPASV_CLIENT_LEFT:
      end("the client has left", 0);
      break;

    case NATPASV_CLIENT_LEAVES:
      end("the client is about to leave", NATPASV_GRACE_MS);
      break;

    case NATPASV_CLIENT_TALKS:
      natpasv_async_stop();
      break;

    case NATPASV_CLIENT_WAITS:
      break;
  }
  return 1;
}

void natpasv_waiting_start(struct natpasv_row *row) {
  watch.ended = false;
  if (natpasv_listener_is_open() && watch.timer < 0) {
    watch.timer =
      pr_timer_add(LOOK_SECONDS, -1, &natpasv_module, look, "NATPasv wait");
    if (watch.timer >= 0) {
      /* Anything that comes on the control connection interrupts ProFTPD as its
       * own alarm would. ProFTPD's timers count each such alarm as a second, so
       * only the first one is used. */
      natpasv_async_start(SIGALRM);
    }
    natpasv_strangers_start(row);
  }
}

void natpasv_waiting_stop(void) {
  if (watch.timer >= 0) {
    natpasv_async_stop();
    (void) pr_timer_remove(watch.timer, &natpasv_module);
    watch.timer = -1;
  }
  natpasv_strangers_stop();
}
