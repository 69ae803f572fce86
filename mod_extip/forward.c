/*
 * mod_extip - the forwards on the router: what is asked for when
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forward_state.h"

/* RFC 6886 3.1: the first repetition comes after 250 ms, each further one after
 * twice the time. RFC 6887 8.1.1 has 3 s for PCP, which may cross a provider's
 * network; here the router is on the same link. */
#define RESEND_MS     250
#define RESEND_MAX_MS 2000
#define SENDS         4 /* of a request, to a router that speaks the protocol */
#define SENDS_TRY     3 /* until the next protocol is tried */

/* UPnP is spoken by a process that answers each request, in their order, or
 * ends. */
#define UPNP_MS 60000

/* After a failure, milliseconds; they double each time, up to half the
 * lifetime. */
#define RETRY_MS 5000

/* A router that does not answer at all is tried again after 2 s, 4 s and so on
 * up to this. */
#define SILENCE_MS     2000
#define SILENCE_MAX_MS 300000

static void say(struct extip_forward_entry *entry,
  enum extip_forward_state state, const char *reason) {
  struct extip_forward *forward = &entry->forward;

  if (forward->state == state && strcmp(forward->reason, reason) == 0) {
    return;
  }

  forward->state = (uint8_t) state;
  snprintf(forward->reason, sizeof(forward->reason), "%s", reason);
  if (state != EXTIP_FORWARD_OPEN) {
    forward->given = 0;
    forward->since = 0;
  }
  entry->changed = true;
}

/* Starting */

static struct extip_forward_entry *find(
  struct extip_forwarder *forwarder, uint16_t inside, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (forwarder->entries[i].forward.port.inside == inside) {
      return &forwarder->entries[i];
    }
  }
  return NULL;
}

/* Takes over what this server may have on the router. */
static void recall(
  struct extip_forwarder *forwarder, const struct extip_forward_held *held) {
  struct extip_forward_entry *entry =
    find(forwarder, held->port.inside, forwarder->count);

  if (entry == NULL) {
    entry = &forwarder->entries[forwarder->count++];
    entry->forward.port = held->port;
    entry->remove = true;
  }
  entry->held = true;
  entry->forward.protocol = (uint8_t) held->protocol;
  memcpy(entry->nonce, held->nonce, sizeof(entry->nonce));
}

struct extip_forwarder *extip_forward_start(
  const struct extip_forward_conf *conf, const struct extip_forward_held *held,
  size_t held_count, int (*random)(void *bytes, size_t size)) {
  size_t room = conf->count + held_count;
  struct extip_forwarder *forwarder =
    calloc(1, sizeof(*forwarder) + room * sizeof(struct extip_forward_entry));

  if (forwarder == NULL) {
    return NULL;
  }

  forwarder->conf = *conf;
  forwarder->window = 1;
  forwarder->heard = forwarder->again_last = -1;
  forwarder->again_due = EXTIP_FORWARD_NEVER;
  for (size_t i = 0; i < conf->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    entry->forward.port = conf->ports[i];
    entry->forward.protocol = (uint8_t) conf->protocols[0];
    entry->wanted = true;
    if (random(entry->nonce, sizeof(entry->nonce)) < 0) {
      free(forwarder);
      return NULL;
    }
  }

  forwarder->wanted = forwarder->count = conf->count;
  for (size_t i = 0; i < held_count; i++) {
    recall(forwarder, &held[i]);
  }
  return forwarder;
}

void extip_forward_stop(struct extip_forwarder *forwarder) {
  free(forwarder);
}

/* What is due */

/* Milliseconds, doubled for each earlier failure, and up to an eighth more. */
static int64_t back_off(
  int64_t first, int64_t most, unsigned int failures, uint32_t random) {
  int64_t wait = failures < 20 ? first << failures : most;

  wait = wait < most ? wait : most;
  return wait + wait / 8 * (random % 1024) / 1024;
}

static void rest(
  struct extip_forwarder *forwarder, struct extip_forward_entry *entry) {
  forwarder->on_way -= entry->doing != NOTHING;
  entry->doing = NOTHING;
}

static void retry_later(const struct extip_forwarder *forwarder,
  struct extip_forward_entry *entry, int64_t now, int64_t least,
  uint32_t random) {
  int64_t most = (int64_t) forwarder->conf.lifetime * 500;

  most = most > RETRY_MS ? most : RETRY_MS;
  entry->due = now + back_off(RETRY_MS, most, entry->failures++, random);
  least = least < most ? least : most;
  entry->due = entry->due > now + least ? entry->due : now + least;
}

/* What is no longer wanted and no longer there is not asked for again. */
static void removed(const struct extip_forwarder *forwarder,
  struct extip_forward_entry *entry, int64_t now, uint32_t random) {
  entry->held = entry->remove = false;
  if (forwarder->closing || !entry->wanted) {
    entry->due = EXTIP_FORWARD_NEVER;
  } else if (entry->crowded) {
    entry->crowded = false;
    entry->due = now;
  } else {
    retry_later(forwarder, entry, now, 0, random);
  }
}

/* The router may not speak the protocol any more: the first entry finds out,
 * and the others wait. */
static void unsettle(struct extip_forwarder *forwarder, int64_t now) {
  forwarder->settled = false;
  forwarder->tried = 0;
  forwarder->probe_due = now;
  for (size_t i = 0; i < forwarder->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->doing != NOTHING) {
      rest(forwarder, entry);
      entry->due = now;
    }
  }
}

static void try_next_protocol(
  struct extip_forwarder *forwarder, int64_t now, uint32_t random) {
  forwarder->protocol =
    (forwarder->protocol + 1) % forwarder->conf.protocol_count;
  forwarder->probe_due = now;
  if (++forwarder->tried < forwarder->conf.protocol_count) {
    return;
  }

  forwarder->tried = 0;
  forwarder->probe_due =
    now + back_off(SILENCE_MS, SILENCE_MAX_MS, forwarder->silences++, random);
  for (size_t i = 0; i < forwarder->wanted; i++) {
    if (forwarder->entries[i].forward.state == EXTIP_FORWARD_ASKED) {
      say(&forwarder->entries[i], EXTIP_FORWARD_SILENT,
        "the router does not answer");
    }
  }
}

static void give_up(struct extip_forwarder *forwarder,
  struct extip_forward_entry *entry, int64_t now, uint32_t random) {
  bool removing = entry->doing == REMOVING;

  rest(forwarder, entry);
  if (removing) {
    removed(forwarder, entry, now, random);
  } else {
    if (forwarder->settled && entry->forward.state != EXTIP_FORWARD_OPEN) {
      say(entry, EXTIP_FORWARD_SILENT,
        "the router does not answer, as some do whose table is full");
    }
    retry_later(forwarder, entry, now, 0, random);
  }

  if (!forwarder->settled) {
    try_next_protocol(forwarder, now, random);
  } else if (forwarder->heard < entry->first_sent) {
    unsettle(forwarder, now);
  }
}

static void ask_all(struct extip_forwarder *forwarder, int64_t now) {
  forwarder->again_last = now;
  forwarder->again_due = EXTIP_FORWARD_NEVER;
  forwarder->silences = 0;
  forwarder->probe_due = now;

  /* A router that has news is asked for more than forwards. */
  forwarder->window = 1;
  for (size_t i = 0; i < forwarder->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    /* One that has waited since the last time stays ahead of the others. */
    if (entry->wanted || entry->held) {
      entry->due = entry->due < now ? entry->due : now;
      entry->resend = now;
      entry->sends = 0;
      entry->failures = 0;
    }
  }
}

void extip_forward_again(struct extip_forwarder *forwarder, int64_t now) {
  int64_t due = forwarder->again_last < 0
                  ? now
                  : forwarder->again_last + EXTIP_FORWARD_AGAIN_GAP;

  if (!forwarder->closing && forwarder->again_due == EXTIP_FORWARD_NEVER) {
    forwarder->again_due = due > now ? due : now;
  }
}

static int64_t resend_after(const struct extip_forwarder *forwarder) {
  int64_t wait = 3 * forwarder->latency;

  wait = wait > RESEND_MS ? wait : RESEND_MS;
  return wait < RESEND_MAX_MS ? wait : RESEND_MAX_MS;
}

/* Puts a request on its way, or sends it once more. */
static void send_request(struct extip_forwarder *forwarder,
  struct extip_forward_entry *entry, int64_t now,
  struct extip_forward_request *request) {
  bool known = entry->forward.given != 0;

  if (entry->doing == NOTHING) {
    forwarder->on_way++;
    entry->doing = entry->remove ? REMOVING : MAPPING;
    entry->sends = 0;
    entry->had = entry->held;
    entry->first_sent = now;
    entry->asked = known ? entry->forward.given : entry->forward.port.outside;
  }
  if (entry->sends++ > 0 && !forwarder->closing) {
    forwarder->window = 1;
  }

  if (entry->doing == MAPPING) {
    entry->held = true;
    entry->forward.protocol = (uint8_t) extip_forward_current(forwarder);
  }
  entry->resend = now + (entry->forward.protocol == EXTIP_UPNP
                            ? UPNP_MS
                            : resend_after(forwarder) << (entry->sends - 1));
  extip_forward_fill(forwarder, entry, request);
}

static unsigned int most_sends(const struct extip_forwarder *forwarder,
  const struct extip_forward_entry *entry) {
  return entry->forward.protocol == EXTIP_UPNP ? 1
         : forwarder->settled                  ? SENDS
                                               : SENDS_TRY;
}

static void look_at_age(struct extip_forwarder *forwarder, int64_t now) {
  for (size_t i = 0; i < forwarder->wanted; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->forward.state == EXTIP_FORWARD_OPEN &&
        entry->forward.until <= now) {
      say(entry, EXTIP_FORWARD_SILENT, "not renewed in time");
    }
  }
}

/* The router may give it a port that another entry is to have, so it is asked
 * for alone. */
static bool is_intrusive(const struct extip_forward_entry *entry) {
  return entry->forward.state == EXTIP_FORWARD_ANOTHER && !entry->remove;
}

/* It has a port that another entry may be meant to have. */
static bool is_to_return(const struct extip_forward_entry *entry) {
  return entry->wanted && entry->remove;
}

/* What is to be returned goes first, and what may intrude goes last. */
static int rank(const struct extip_forward_entry *entry) {
  return entry->remove ? 0 : is_intrusive(entry) ? 2 : 1;
}

/* Of two of the same rank the one that has waited longer: clients may have all
 * asked for again faster than a slow router answers. */
static bool is_ahead(const struct extip_forward_entry *entry,
  const struct extip_forward_entry *other) {
  return rank(entry) < rank(other) ||
         (rank(entry) == rank(other) && entry->due < other->due);
}

/* Nothing new is asked for until the router has answered. */
static bool is_held_up(const struct extip_forwarder *forwarder) {
  for (size_t i = 0; i < forwarder->count && !forwarder->closing; i++) {
    const struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->doing != NOTHING &&
        (is_intrusive(entry) || is_to_return(entry))) {
      return true;
    }
  }
  return false;
}

/* The entry that may be asked for now. */
static struct extip_forward_entry *choose(
  struct extip_forwarder *forwarder, int64_t now) {
  if (!forwarder->settled) {
    struct extip_forward_entry *first = &forwarder->entries[0];

    return forwarder->count > 0 && forwarder->on_way == 0 &&
               forwarder->probe_due <= now && first->due != EXTIP_FORWARD_NEVER
             ? first
             : NULL;
  }

  struct extip_forward_entry *due = NULL;
  bool held_up = is_held_up(forwarder);

  if (forwarder->on_way >= forwarder->window) {
    return NULL;
  }
  for (size_t i = 0; i < forwarder->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->doing == NOTHING && entry->due <= now &&
        (!held_up || is_to_return(entry))) {
      due = due == NULL || is_ahead(entry, due) ? entry : due;
    }
  }
  return due == NULL || !is_intrusive(due) || forwarder->on_way == 0 ? due
                                                                     : NULL;
}

bool extip_forward_next(struct extip_forwarder *forwarder, int64_t now,
  uint32_t random, struct extip_forward_request *request) {
  if (forwarder->again_due <= now) {
    ask_all(forwarder, now);
  }
  look_at_age(forwarder, now);

  for (size_t i = 0; i < forwarder->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->doing == NOTHING || entry->resend > now) {
      continue;
    }
    if (entry->sends < most_sends(forwarder, entry)) {
      send_request(forwarder, entry, now, request);
      return true;
    }
    give_up(forwarder, entry, now, random);
  }

  struct extip_forward_entry *entry = choose(forwarder, now);

  if (entry == NULL) {
    return false;
  }
  send_request(forwarder, entry, now, request);
  return true;
}

int64_t extip_forward_due(const struct extip_forwarder *forwarder) {
  int64_t due = forwarder->again_due;
  bool full = forwarder->on_way >= forwarder->window || is_held_up(forwarder);

  if (!forwarder->settled && forwarder->on_way == 0 && forwarder->count > 0 &&
      forwarder->entries[0].due != EXTIP_FORWARD_NEVER &&
      forwarder->probe_due < due) {
    due = forwarder->probe_due;
  }

  for (size_t i = 0; i < forwarder->count; i++) {
    const struct extip_forward_entry *entry = &forwarder->entries[i];
    bool waits = full || (is_intrusive(entry) && forwarder->on_way > 0);
    int64_t next = entry->doing != NOTHING        ? entry->resend
                   : forwarder->settled && !waits ? entry->due
                                                  : EXTIP_FORWARD_NEVER;

    if (entry->forward.state == EXTIP_FORWARD_OPEN &&
        entry->forward.until < next) {
      next = entry->forward.until;
    }
    due = next < due ? next : due;
  }
  return due;
}

/* Answers */

static void open_up(struct extip_forward_entry *entry,
  const struct extip_forward_reply *reply, int64_t now, int64_t wall,
  uint32_t random) {
  struct extip_forward *forward = &entry->forward;
  int64_t lifetime = (int64_t) reply->lifetime * 1000;

  if (forward->state != EXTIP_FORWARD_OPEN ||
      forward->given != reply->outside) {
    forward->since = wall;
    entry->changed = true;
  }
  if (reply->addr.s_addr != INADDR_ANY) {
    forward->addr = reply->addr.s_addr;
  }
  say(entry, EXTIP_FORWARD_OPEN, "");
  entry->changed = true;
  entry->crowded = false;
  forward->given = reply->outside;
  forward->until = now + lifetime;
  entry->failures = 0;

  /* RFC 6887 11.2.1: between half of the lifetime and five eighths of it. */
  entry->due = now + lifetime / 2 + lifetime / 8 * (random % 1024) / 1024;
}

/* Who is to have that port is refused it until it is returned. */
static void crowd(struct extip_forwarder *forwarder, uint16_t outside) {
  for (size_t i = 0; i < forwarder->wanted; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    entry->crowded |= entry->forward.port.outside == outside &&
                      entry->forward.state != EXTIP_FORWARD_OPEN;
  }
}

static void granted(struct extip_forwarder *forwarder,
  struct extip_forward_entry *entry, const struct extip_forward_reply *reply,
  int64_t now, int64_t wall, uint32_t random) {
  char reason[EXTIP_FORWARD_REASON];

  if (forwarder->closing) {
    entry->remove = true;
    entry->due = now;

  } else if (reply->outside == entry->forward.port.outside ||
             forwarder->conf.any_port) {
    open_up(entry, reply, now, wall, random);

  } else {
    snprintf(reason, sizeof(reason),
      "the router gave port %u: it does not allow port %u, or forwards it to another host",
      reply->outside, entry->forward.port.outside);
    say(entry, EXTIP_FORWARD_ANOTHER, reason);
    entry->remove = true;
    entry->due = now;
    crowd(forwarder, reply->outside);
  }
}

/* Whether it answers the request that is on its way, and not an earlier one. */
static bool fits(const struct extip_forward_entry *entry,
  const struct extip_forward_reply *reply) {
  bool mapped = reply->lifetime > 0;

  return entry->doing != NOTHING &&
         entry->forward.protocol == (uint8_t) reply->protocol &&
         (reply->result != EXTIP_FORWARD_GRANTED ||
           mapped == (entry->doing == MAPPING)) &&
         (reply->nonce == NULL ||
           memcmp(entry->nonce, reply->nonce, sizeof(entry->nonce)) == 0);
}

static void refused(struct extip_forwarder *forwarder,
  struct extip_forward_entry *entry, const struct extip_forward_reply *reply,
  int64_t now, uint32_t random) {
  entry->held = entry->had;
  if (reply->addr.s_addr != INADDR_ANY) {
    entry->forward.addr = reply->addr.s_addr;
  }
  say(entry, EXTIP_FORWARD_REFUSED,
    reply->reason != NULL ? reply->reason : "the router refuses");
  retry_later(forwarder, entry, now, (int64_t) reply->lifetime * 1000, random);
}

/* An answer tells that the router is at work, and what was asked for later is
 * still before it: many do one thing after the other. */
static void learn(struct extip_forwarder *forwarder,
  const struct extip_forward_entry *answered, int64_t now) {
  int64_t took = now - answered->first_sent, resend;

  forwarder->latency =
    forwarder->heard < 0 ? took : (3 * forwarder->latency + took) / 4;
  forwarder->heard = now;
  if (forwarder->window < EXTIP_FORWARD_ON_WAY) {
    forwarder->window++;
  }

  resend = now + resend_after(forwarder);
  for (size_t i = 0; i < forwarder->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    if (entry->doing != NOTHING && entry->first_sent >= answered->first_sent &&
        entry->resend < resend) {
      entry->resend = resend;
    }
  }
}

void extip_forward_reply(struct extip_forwarder *forwarder,
  const struct extip_forward_reply *reply, int64_t now, int64_t wall,
  uint32_t random) {
  struct extip_forward_entry *entry =
    find(forwarder, reply->inside, forwarder->count);

  /* That a protocol is not spoken is said of no port. */
  if (reply->result == EXTIP_FORWARD_UNSUPPORTED) {
    entry = &forwarder->entries[0];
    if (forwarder->settled || forwarder->count == 0 ||
        entry->doing == NOTHING ||
        reply->protocol != extip_forward_current(forwarder)) {
      return;
    }
    rest(forwarder, entry);
    entry->due = now;
    try_next_protocol(forwarder, now, random);
    return;
  }

  if (entry == NULL || !fits(entry, reply)) {
    return;
  }

  bool removing = entry->doing == REMOVING;

  rest(forwarder, entry);
  learn(forwarder, entry, now);
  forwarder->settled = true;
  forwarder->silences = 0;
  if (removing) {
    removed(forwarder, entry, now, random);
  } else if (reply->result == EXTIP_FORWARD_GRANTED) {
    granted(forwarder, entry, reply, now, wall, random);
  } else {
    refused(forwarder, entry, reply, now, random);
  }
}

/* Ending */

void extip_forward_close(struct extip_forwarder *forwarder, int64_t now) {
  forwarder->closing = true;
  forwarder->window = EXTIP_FORWARD_ON_WAY;
  forwarder->again_due = EXTIP_FORWARD_NEVER;
  forwarder->settled = true;
  for (size_t i = 0; i < forwarder->count; i++) {
    struct extip_forward_entry *entry = &forwarder->entries[i];

    rest(forwarder, entry);
    entry->remove = entry->held;
    entry->due = entry->held ? now : EXTIP_FORWARD_NEVER;
  }
}

void extip_forward_hurry(struct extip_forwarder *forwarder, int64_t now) {
  forwarder->window = SIZE_MAX;
  for (size_t i = 0; i < forwarder->count; i++) {
    forwarder->entries[i].resend = now;
    forwarder->entries[i].sends = 0;
  }
}
