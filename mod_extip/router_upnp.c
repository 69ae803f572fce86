/*
 * mod_extip - forwards by UPnP, through a process of its own
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <string.h>

#include "log.h"
#include "router_upnp.h"

/* A failure of the process itself, as an answer to a request for INSIDE. */
static void fail(struct extip_router_upnp *upnp, uint16_t inside,
  enum extip_forward_result result, const char *reason) {
  struct extip_forward_reply reply = {
    .protocol = EXTIP_UPNP, .result = result, .inside = inside, .reason = reason
  };

  if (inside != 0) {
    upnp->take(&reply, upnp->user);
  }
}

/* What was asked is answered by its end. */
static void lose(struct extip_router_upnp *upnp,
  enum extip_forward_result result, const char *reason) {
  extip_router_upnp_stop(upnp);
  while (upnp->count > 0) {
    uint16_t inside = upnp->asked[upnp->first];

    upnp->first = (upnp->first + 1) % EXTIP_ROUTER_UPNP_QUEUE;
    upnp->count--;
    fail(upnp, inside, result, reason);
  }
}

static void take_error(
  struct extip_router_upnp *upnp, uint16_t inside, unsigned int code) {
  bool nobody = code == EXTIP_UPNP_NO_ROUTER || code == EXTIP_UPNP_NO_SERVICE;

  fail(upnp, inside, nobody ? EXTIP_FORWARD_UNSUPPORTED : EXTIP_FORWARD_DENIED,
    extip_upnp_code_text(code));
}

static void take(struct extip_router_upnp *upnp, uint16_t inside,
  const struct extip_upnp_line *line) {
  struct extip_forward_reply reply = { .protocol = EXTIP_UPNP,
    .result = EXTIP_FORWARD_GRANTED,
    .inside = line->inner,
    .outside = line->outer };

  switch (line->kind) {
    case EXTIP_UPNP_ADDRESS:
      upnp->address(line->addr, upnp->user);
      break;

    case EXTIP_UPNP_MAPPED:
      reply.lifetime = line->lifetime != 0 ? line->lifetime : upnp->lifetime;
      upnp->take(&reply, upnp->user);
      break;

    case EXTIP_UPNP_UNMAPPED:
      upnp->take(&reply, upnp->user);
      break;

    default:
      take_error(upnp, inside,
        line->kind == EXTIP_UPNP_ERROR ? line->code : EXTIP_UPNP_BAD_REPLY);
      break;
  }
}

static void on_answer(int fd, void *user) {
  struct extip_router_upnp *upnp = user;
  struct extip_upnp_line line;
  int heard = 0;

  (void) fd;
  while (upnp->child != NULL && upnp->count > 0 &&
         (heard = extip_upnp_child_hear(upnp->child, &line)) > 0) {
    uint16_t inside = upnp->asked[upnp->first];

    upnp->first = (upnp->first + 1) % EXTIP_ROUTER_UPNP_QUEUE;
    upnp->count--;
    take(upnp, inside, &line);
  }

  /* Without a question there can only be its end. */
  if (heard < 0 || upnp->count == 0) {
    if (upnp->child != NULL &&
        (heard < 0 || extip_upnp_child_hear(upnp->child, &line) != 0)) {
      lose(upnp, EXTIP_FORWARD_DENIED, "the router took too long to answer");
    }
  }
}

/* False: it has been said why. */
static bool start(struct extip_router_upnp *upnp) {
  if (upnp->child != NULL) {
    return true;
  }

  upnp->child = extip_upnp_child_start(upnp->router);
  if (upnp->child == NULL) {
    if (!upnp->missing) {
      extip_log(EXTIP_LOG_WARNING, "UPnP is not available: %s",
        errno == ENOENT ? "this build has no program extip-upnp"
                        : strerror(errno));
    }
    upnp->missing = true;
    return false;
  }

  extip_loop_watch(
    upnp->loop, extip_upnp_child_fd(upnp->child), on_answer, upnp);
  return true;
}

static bool ask(struct extip_router_upnp *upnp, uint16_t inside,
  const struct extip_upnp_line *line) {
  if (!start(upnp) || upnp->count == EXTIP_ROUTER_UPNP_QUEUE ||
      extip_upnp_child_ask(upnp->child, line) < 0) {
    return false;
  }

  upnp->asked[(upnp->first + upnp->count++) % EXTIP_ROUTER_UPNP_QUEUE] = inside;
  return true;
}

void extip_router_upnp_ask(
  struct extip_router_upnp *upnp, const struct extip_forward_request *request) {
  struct extip_upnp_line line = {
    .kind = request->lifetime > 0 ? EXTIP_UPNP_MAP : EXTIP_UPNP_UNMAP,
    .outer = request->outside,
    .inner = request->inside,
    .lifetime = request->lifetime,
  };

  if (!ask(upnp, request->inside, &line)) {
    fail(upnp, request->inside, EXTIP_FORWARD_UNSUPPORTED,
      "UPnP cannot be spoken");
  }
}

void extip_router_upnp_ask_address(struct extip_router_upnp *upnp) {
  struct extip_upnp_line line = { .kind = EXTIP_UPNP_WHERE };

  (void) ask(upnp, 0, &line);
}

void extip_router_upnp_stop(struct extip_router_upnp *upnp) {
  if (upnp->child != NULL) {
    extip_loop_unwatch(upnp->loop, extip_upnp_child_fd(upnp->child));
    extip_upnp_child_stop(upnp->child);
  }
  upnp->child = NULL;
}
