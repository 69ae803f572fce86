/*
 * extip-asking.h - asks sources in a network where 127.0.0.1 refuses and
 * nothing else can be reached.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef EXTIP_ASKING_H
#define EXTIP_ASKING_H

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "../../mod_extip/driver.h"
#include "../../mod_extip/log.h"
#include "failing.h"

/* The helper's is in its main file, which is not here. */
void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  va_list args;

  (void) loudness;
  va_start(args, fmt);
  (void) vsnprintf(said, sizeof(said), fmt, args);
  va_end(args);
}

/* False where it is not allowed. */
static bool leave_network(void) {
  struct ifreq lo = { .ifr_name = "lo" };
  int fd;

  if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
    return false;
  }
  lo.ifr_flags = IFF_UP;
  fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0) {
    return false;
  }
  (void) close(fd);
  return true;
}

struct asked {
  const char *uri, *router;
  enum extip_status status; /* without a fault */
};

static bool ask(const void *arg) {
  const struct asked *asked = arg;
  const char *calls = fault.calls;
  char reason[512];
  struct extip_query query = { .ca_file = "",
    .timeout_ms = asked->status == EXTIP_TIMEOUT ? 300 : 20000 };
  struct extip_loop *loop;
  struct extip_source *source;

  fault.calls = NULL;
  source = extip_source_parse(asked->uri, NULL, 0, reason, sizeof(reason));
  fault.calls = calls;

  loop = extip_loop_make();
  if (loop == NULL) {
    (void) snprintf(said, sizeof(said), "%s", strerror(errno));
    extip_source_free(source);
    return false;
  }

  query.source = source;
  extip_loop_ask(loop, &query);
  while (!query.settled) {
    if (extip_loop_turn(loop, 1000) < 0) {
      (void) snprintf(said, sizeof(said), "%s", strerror(errno));
      break;
    }
  }
  if (query.settled) {
    (void) snprintf(said, sizeof(said), "%s", query.answer.reason);
  }
  extip_loop_free(loop);
  extip_source_free(source);
  return query.settled && query.answer.status == asked->status;
}

/* What the operator reads. */
static void is_said(
  const char *uri, enum extip_status status, const char *why) {
  const struct asked asked = { .uri = uri, .status = status };

  ok(ask(&asked), "%s fails as it has to", uri);
  is_str(said, why, "... and says why");
}

#endif
