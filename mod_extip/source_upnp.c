/*
 * mod_extip - asks the router for its outside address by UPnP
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>

#include "router_query.h"
#include "upnp_child.h"

/* A process of its own for this question; the query's state. */

static void start(struct extip_query *query) {
  struct extip_upnp_line where = { .kind = EXTIP_UPNP_WHERE };
  struct extip_upnp_child *child;

  if (!extip_router_query_find(query)) {
    return;
  }

  query->state = child = extip_upnp_child_start(query->answer.peer.sin_addr);
  if (child == NULL) {
    extip_query_fail(query, EXTIP_LOCAL, "%s",
      errno == ENOENT
        ? "this build does not speak UPnP: it has no program extip-upnp"
        : "the process that speaks UPnP cannot be started");
  } else if (extip_upnp_child_ask(child, &where) < 0) {
    extip_query_fail_errno(query, errno, "UPnP");
  } else {
    query->fd = extip_upnp_child_fd(child);
  }
}

static void readable(struct extip_query *query) {
  struct extip_upnp_line line;
  int heard = extip_upnp_child_hear(query->state, &line);

  if (heard < 0) {
    extip_query_fail(
      query, EXTIP_ROUTER, "the router took too long to answer by UPnP");
  } else if (heard > 0 && line.kind == EXTIP_UPNP_ADDRESS) {
    extip_router_query_answer(query, line.addr);
  } else if (heard > 0) {
    extip_query_fail(query, EXTIP_ROUTER, "UPnP error %u: %s", line.code,
      extip_upnp_code_text(line.code));
  }
}

static void stop(struct extip_query *query) {
  extip_upnp_child_stop(query->state);
  query->state = NULL;
  query->fd = -1;
}

const struct extip_driver extip_upnp_driver = {
  .start = start,
  .readable = readable,
  .stop = stop,
};
