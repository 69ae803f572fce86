/*
 * mod_extip - when to ask, and what follows from the answers
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"
#include "engine.h"
#include "log.h"
#include "schedule.h"
#include "special.h"
#include "vote.h"

/* The state of one discovery. */
struct tracker {
  struct extip_engine *engine;
  const struct extip_discovery *discovery;
  struct extip_record record; /* as last published */
  unsigned int quorum;
  struct extip_schedule schedule;
  struct extip_early early;
  int64_t doubt_gap; /* between early rounds for which clients are the reason */

  /* A change that one source gave, to be confirmed by the next round. */
  struct in_addr pending;

  bool stuck;     /* it was logged that there is no decision */
  bool withdrawn; /* and that the address is too old to be announced */

  /* The round that is under way. */
  size_t unsettled; /* 0: there is none */
  int64_t began;
  bool decided;
  bool doubted;   /* a client is the reason, and has not been right */
  bool recovered; /* a source answered that had failed before */
  struct extip_query queries[EXTIP_TABLE_SOURCES];
  struct extip_vote votes[EXTIP_TABLE_SOURCES];
};

struct extip_engine {
  struct extip_loop *loop;
  extip_publish publish;
  void *user;
  bool once; /* with inetd */
  size_t count;
  struct tracker trackers[];
};

static uint32_t random32(void) {
  uint32_t random = 0;

  /* For jitter only: without entropy there is none. */
  return getrandom(&random, sizeof(random), GRND_NONBLOCK) > 0 ? random : 0;
}

static int64_t to_wall_clock(int64_t due) {
  return time(NULL) + (due - extip_now() + 999) / 1000;
}

/* An address for the log, "none" for 0. BUF has INET_ADDRSTRLEN bytes. */
static const char *show(uint32_t addr, char *buf) {
  struct in_addr in = { .s_addr = addr };

  return addr == INADDR_ANY ? "none"
                            : inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

static bool may_announce(
  const struct extip_discovery *discovery, struct in_addr addr) {
  return extip_is_global(addr, NULL) ||
         (discovery->allow_reserved && extip_vote_usable(addr));
}

static int64_t next_due(const struct tracker *tracker) {
  int64_t due = tracker->schedule.due;

  return tracker->early.wanted && tracker->early.due < due ? tracker->early.due
                                                           : due;
}

static void publish(struct tracker *tracker, bool changed) {
  struct extip_engine *engine = tracker->engine;

  tracker->record.answer.next = to_wall_clock(next_due(tracker));
  tracker->record.status.failures = tracker->schedule.failures;
  engine->publish(
    tracker->discovery->record, &tracker->record, changed, engine->user);
}

/* Deciding */

/* The sources that gave ADDR, with commas between them. */
static void name_supporters(
  const struct tracker *tracker, struct in_addr addr, char *buf, size_t bufsz) {
  size_t len = 0;

  *buf = '\0';
  for (size_t i = 0; i < tracker->discovery->source_count; i++) {
    const struct extip_vote *vote = &tracker->votes[i];

    if (vote->valid && vote->addr.s_addr == addr.s_addr && len < bufsz) {
      len += (size_t) snprintf(buf + len, bufsz - len, "%s%s",
        len > 0 ? ", " : "", tracker->discovery->sources[i]->text);
    }
  }
}

static void adopt(struct tracker *tracker, const struct extip_tally *tally) {
  struct extip_table_answer *answer = &tracker->record.answer;
  char supporters[512], old[INET_ADDRSTRLEN], new[INET_ADDRSTRLEN];

  name_supporters(tracker, tally->addr, supporters, sizeof(supporters));
  extip_log(EXTIP_LOG_NOTICE,
    "%s: address is now %s, was %s, according to %s (%u of %zu sources, quorum %u) after %lld ms",
    tracker->discovery->label, show(tally->addr.s_addr, new),
    show(answer->addr, old), supporters, tally->votes,
    tracker->discovery->source_count, tracker->quorum,
    (long long) (extip_now() - tracker->began));

  answer->previous = answer->addr;
  answer->addr = tally->addr.s_addr;
  answer->since = time(NULL);
  tracker->doubt_gap = EXTIP_EARLY_GAP;
  tracker->doubted = false;
}

/* An address has won. It is published before slower sources have answered. */
static void decide(struct tracker *tracker, const struct extip_tally *tally) {
  struct extip_table_status *status = &tracker->record.status;
  char addr[INET_ADDRSTRLEN];

  if (tally->verdict == EXTIP_VOTE_ADOPT) {
    adopt(tracker, tally);

  } else if (tracker->stuck || tracker->withdrawn) {
    extip_log(EXTIP_LOG_NOTICE,
      "%s: %s confirmed after %u rounds without a decision%s",
      tracker->discovery->label, show(tally->addr.s_addr, addr),
      tracker->schedule.failures,
      tracker->withdrawn ? ", and announced again" : "");
  }

  tracker->decided = true;
  tracker->stuck = tracker->withdrawn = false;
  tracker->record.answer.cut = 0;
  tracker->pending.s_addr = INADDR_ANY;
  tracker->record.answer.confirmed = extip_moment_now();
  snprintf(status->verdict, sizeof(status->verdict), "%u of %zu sources say %s",
    tally->votes, tracker->discovery->source_count,
    show(tally->addr.s_addr, addr));
  extip_schedule_decided(&tracker->schedule, extip_now(), random32());
}

/* Logged once, until there is a decision again. */
static void say_stuck(struct tracker *tracker) {
  uint32_t addr = tracker->record.answer.addr;
  char text[INET_ADDRSTRLEN];

  if (!tracker->stuck) {
    extip_log(EXTIP_LOG_WARNING,
      "%s: no decision, %s: %s%s; see 'ftpdctl extip status'",
      tracker->discovery->label, tracker->record.status.verdict,
      addr == INADDR_ANY
        ? "no external address is known yet, announcing what ProFTPD would"
        : "keeping ",
      addr == INADDR_ANY ? "" : show(addr, text));
  }
  tracker->stuck = true;
}

/* The round is over, and no address has won. */
static void defer(struct tracker *tracker, const struct extip_tally *tally) {
  char *verdict = tracker->record.status.verdict;
  size_t size = sizeof(tracker->record.status.verdict);
  char addr[INET_ADDRSTRLEN], before[INET_ADDRSTRLEN];
  bool repeated = tracker->pending.s_addr != INADDR_ANY;

  switch (tally->verdict) {
    case EXTIP_VOTE_CONFIRM:
      if (!repeated) {
        snprintf(verdict, size, "one source says %s: asking again",
          show(tally->addr.s_addr, addr));
        tracker->pending = tally->addr;
        tracker->schedule.due = extip_now();
        return;
      }
      snprintf(verdict, size, "one source said %s and then %s",
        show(tracker->pending.s_addr, before), show(tally->addr.s_addr, addr));
      break;

    case EXTIP_VOTE_SPLIT:
      extip_vote_describe_split(tally, tracker->quorum, verdict, size);
      break;

    default:
      snprintf(verdict, size, "no source gave a usable answer");
      break;
  }

  tracker->pending.s_addr = INADDR_ANY;
  say_stuck(tracker);
  tracker->schedule.failures =
    tracker->recovered ? 0 : tracker->schedule.failures;
  extip_schedule_failed(&tracker->schedule, extip_now(), random32());
}

/* The endpoints that the unanswered queries ask, as far as they are known. */
static void look_at_open_votes(struct tracker *tracker) {
  for (size_t i = 0; i < tracker->discovery->source_count; i++) {
    struct extip_vote *vote = &tracker->votes[i];
    const struct extip_answer *answer = &tracker->queries[i].answer;

    if (!vote->settled) {
      vote->port = tracker->discovery->sources[i]->port;
      vote->addrs = answer->own;
      vote->addr_count = answer->own_count;
    }
  }
}

/* Counts the answers so far. This can be a decision, or the end of the
 * round. */
static void conclude(struct tracker *tracker) {
  struct extip_vote_rule rule = {
    .quorum = tracker->quorum,
    .known = { tracker->record.answer.addr },
    .pending = tracker->pending,
  };
  struct extip_tally tally;

  look_at_open_votes(tracker);
  tally =
    extip_vote_count(&rule, tracker->votes, tracker->discovery->source_count);

  bool now = !tracker->decided && (tally.verdict == EXTIP_VOTE_SAME ||
                                    tally.verdict == EXTIP_VOTE_ADOPT);

  if (now) {
    decide(tracker, &tally);
  }

  if (tracker->unsettled == 0) {
    tracker->record.answer.cut = 0;
    if (!tracker->decided) {
      defer(tracker, &tally);
    }
    if (tracker->doubted) {
      extip_early_refuted(&tracker->doubt_gap, tracker->schedule.refresh);
    }
    tracker->record.status.ended = time(NULL);
    tracker->record.status.rounds++;
  }

  if (now || tracker->unsettled == 0) {
    publish(tracker, now && tally.verdict == EXTIP_VOTE_ADOPT);
  }
}

/* One source's part */

static bool is_valid(
  const struct extip_discovery *discovery, const struct extip_answer *answer) {
  return (answer->status == EXTIP_OK || answer->status == EXTIP_NOT_GLOBAL) &&
         may_announce(discovery, answer->addr);
}

/* Each fault of a source is logged when it appears and when it is gone. */
static void record_source(struct tracker *tracker,
  struct extip_table_source *source, const struct extip_answer *answer,
  bool valid) {
  const char *status = valid ? "ok" : extip_status_name(answer->status);
  const char *reason = valid ? "" : answer->reason;
  const char *label = tracker->discovery->label;
  char addr[INET_ADDRSTRLEN];
  bool news = strcmp(source->status, status) != 0,
       failed = *source->status != '\0';

  if (news && !valid) {
    extip_log(EXTIP_LOG_NOTICE, "%s: source %s: %s: %s", label, source->text,
      status, reason);

  } else if (news && failed) {
    extip_log(EXTIP_LOG_INFO, "%s: source %s says %s after %u ms", label,
      source->text, show(answer->addr.s_addr, addr), answer->latency_ms);
  }

  tracker->recovered |= news && valid;
  snprintf(source->status, sizeof(source->status), "%s", status);
  snprintf(source->reason, sizeof(source->reason), "%s", reason);
  if (valid) {
    source->answered = time(NULL);
    source->addr = answer->addr.s_addr;
    source->latency_ms = answer->latency_ms;
  }
}

static void on_settled(struct extip_query *query) {
  struct tracker *tracker = query->user;
  size_t source = (size_t) (query - tracker->queries);
  struct extip_vote *vote = &tracker->votes[source];

  vote->settled = true;
  vote->valid = is_valid(tracker->discovery, &query->answer);
  vote->addr = query->answer.addr;
  vote->peer = query->answer.peer;
  if (query->answer.status == EXTIP_BEHIND_NAT) {
    tracker->record.status.behind_nat = query->answer.addr.s_addr;
  }
  record_source(tracker, &tracker->record.status.sources[source],
    &query->answer, vote->valid);
  tracker->unsettled--;
  conclude(tracker);
}

/* Rounds */

static void ask(struct tracker *tracker, bool early) {
  const struct extip_discovery *discovery = tracker->discovery;
  struct extip_table_status *status = &tracker->record.status;
  int64_t now = time(NULL);

  tracker->unsettled = discovery->source_count;
  tracker->began = extip_now();
  tracker->decided = tracker->recovered = false;
  for (size_t i = 0; i < discovery->source_count; i++) {
    memset(&tracker->votes[i], 0, sizeof(tracker->votes[i]));
    memset(&tracker->queries[i].answer, 0, sizeof(struct extip_answer));
    tracker->votes[i].key = discovery->sources[i]->key;
    status->sources[i].asked = now;
  }

  tracker->record.answer.cut += tracker->engine->once;
  status->began = now;
  status->early = early ? now : status->early;
  status->ended = 0;
  publish(tracker, false);
  status->behind_nat = INADDR_ANY;

  for (size_t i = 0; i < discovery->source_count; i++) {
    struct extip_query *query = &tracker->queries[i];

    query->source = discovery->sources[i];
    query->bind = discovery->bind;
    query->ca_file = discovery->ca_file;
    query->timeout_ms = discovery->timeout * 1000;
    query->on_settled = on_settled;
    query->user = tracker;
    extip_loop_ask(tracker->engine->loop, query);
  }
}

/* Logs once that sessions no longer announce the address. Returns when this
 * will be due. */
static int64_t look_at_age(struct tracker *tracker, int64_t now) {
  const struct extip_table_answer *answer = &tracker->record.answer;
  unsigned int max_age = tracker->discovery->max_age;
  int64_t age = extip_moment_age(&answer->confirmed);
  char addr[INET_ADDRSTRLEN];

  if (max_age == 0 || answer->addr == INADDR_ANY || tracker->withdrawn) {
    return INT64_MAX;
  }

  if (age <= max_age) {
    return now + (max_age + 1 - age) * 1000;
  }

  extip_log(EXTIP_LOG_WARNING,
    "%s: %s was not confirmed for %u s: withdrawn (ExtIPMaxAge)",
    tracker->discovery->label, show(answer->addr, addr), max_age);
  tracker->withdrawn = true;
  return INT64_MAX;
}

int64_t extip_engine_turn(struct extip_engine *engine) {
  int64_t due = INT64_MAX, now = extip_now();

  for (size_t i = 0; i < engine->count; i++) {
    struct tracker *tracker = &engine->trackers[i];

    if (tracker->unsettled == 0 && next_due(tracker) <= now) {
      bool early = extip_early_take(&tracker->early, now);

      tracker->doubted = early && tracker->early.doubt;
      ask(tracker, early);
    }

    if (tracker->unsettled == 0 && next_due(tracker) < due) {
      due = next_due(tracker);
    }

    int64_t too_old = look_at_age(tracker, now);

    due = too_old < due ? too_old : due;
  }

  return due > now ? due - now : 0;
}

bool extip_engine_asks(const struct extip_engine *engine) {
  for (size_t i = 0; i < engine->count; i++) {
    if (engine->trackers[i].unsettled > 0) {
      return true;
    }
  }

  return false;
}

void extip_engine_wake(struct extip_engine *engine, unsigned int delay_ms) {
  for (size_t i = 0; i < engine->count; i++) {
    struct tracker *tracker = &engine->trackers[i];

    tracker->schedule.failures = 0;
    extip_early_request(
      &tracker->early, extip_now(), delay_ms, EXTIP_EARLY_GAP, false);
    publish(tracker, false);
  }
}

void extip_engine_doubt(
  struct extip_engine *engine, size_t record, struct in_addr addr) {
  for (size_t i = 0; i < engine->count; i++) {
    struct tracker *tracker = &engine->trackers[i];

    if (tracker->discovery->record == record &&
        tracker->record.answer.addr == addr.s_addr &&
        addr.s_addr != INADDR_ANY && tracker->unsettled == 0) {
      extip_early_request(
        &tracker->early, extip_now(), 0, tracker->doubt_gap, true);
    }
  }
}

/* Starting */

/* Takes over the known address, unless the configuration has changed. */
static void recall(struct tracker *tracker) {
  const struct extip_discovery *discovery = tracker->discovery;
  struct extip_table_answer *answer = &tracker->record.answer;
  struct in_addr addr = { answer->addr };
  char text[INET_ADDRSTRLEN];

  if (addr.s_addr != INADDR_ANY && (answer->bind != discovery->bind.s_addr ||
                                     !may_announce(discovery, addr))) {
    extip_log(EXTIP_LOG_NOTICE,
      "%s: forgetting %s, the configuration has changed", discovery->label,
      show(answer->addr, text));
    answer->previous = answer->addr;
    answer->addr = INADDR_ANY;
    answer->since = 0;
    memset(&answer->confirmed, 0, sizeof(answer->confirmed));
  }

  answer->bind = discovery->bind.s_addr;
}

/* A supervisor such as systemd may end all processes of a session with it; said
 * at the first time, the second, the fourth and so on. */
static void say_cut(const struct tracker *tracker) {
  uint32_t cut = tracker->record.answer.cut;

  if (cut > 0 && (cut & (cut - 1)) == 0) {
    extip_log(EXTIP_LOG_WARNING,
      "%s: %u round%s in a row ended with the session and found nothing: a server that systemd starts for each connection needs KillMode=process",
      tracker->discovery->label, cut, cut == 1 ? "" : "s");
  }
}

static bool same_sources(const struct extip_discovery *discovery,
  const struct extip_table_status *status) {
  if (status->source_count != discovery->source_count) {
    return false;
  }

  for (size_t i = 0; i < discovery->source_count; i++) {
    size_t most = sizeof(status->sources[i].text) - 1;

    if (strncmp(status->sources[i].text, discovery->sources[i]->text, most) !=
        0) {
      return false;
    }
  }

  return true;
}

/* Milliseconds from now to the first round. If the clock was set, the round is
 * not delayed. */
static int64_t first_due(
  const struct tracker *tracker, enum extip_start start) {
  int64_t wait = tracker->record.answer.next - time(NULL);

  return start == EXTIP_START_NOW ||
             tracker->record.answer.addr == INADDR_ANY || wait < 0 ||
             wait > tracker->discovery->refresh
           ? 0
           : wait * 1000;
}

/* SIGHUP asks for an early round as any other reason does; the time of the last
 * one is in the table. */
static void request_early_start(struct tracker *tracker) {
  int64_t now = extip_now();
  int64_t ago = (time(NULL) - tracker->record.status.early) * 1000;

  tracker->early.granted = true;
  tracker->early.last =
    now - (ago >= 0 && ago < EXTIP_EARLY_GAP ? ago : EXTIP_EARLY_GAP);
  extip_early_request(&tracker->early, now, 0, EXTIP_EARLY_GAP, false);
}

static void prepare(struct tracker *tracker, const struct extip_record *known,
  enum extip_start start) {
  const struct extip_discovery *discovery = tracker->discovery;
  struct extip_table_status *status = &tracker->record.status;
  const char *keys[EXTIP_TABLE_SOURCES];
  bool same = same_sources(discovery, &known->status);

  tracker->record = *known;
  recall(tracker);
  if (start == EXTIP_START_ONCE) {
    say_cut(tracker);
  }
  if (!same) {
    memset(status, 0, sizeof(*status));
  }

  for (size_t i = 0; i < discovery->source_count; i++) {
    keys[i] = discovery->sources[i]->key;
    snprintf(status->sources[i].text, sizeof(status->sources[i].text), "%s",
      discovery->sources[i]->text);
  }

  tracker->quorum = discovery->quorum > 0
                      ? discovery->quorum
                      : extip_vote_quorum(keys, discovery->source_count);
  tracker->doubt_gap = EXTIP_EARLY_GAP;
  tracker->schedule.refresh = (int64_t) discovery->refresh * 1000;
  tracker->schedule.retry = (int64_t) discovery->retry * 1000;
  tracker->schedule.due = extip_now();
  if (same || start == EXTIP_START_ONCE) {
    tracker->schedule.due += first_due(tracker, start);
  }

  status->quorum = tracker->quorum;
  status->max_age = discovery->max_age;
  status->helper = (uint32_t) getpid();
  status->rounds = 0;
  status->began = status->ended = 0;
  status->source_count = (uint32_t) discovery->source_count;
  if (start == EXTIP_START_EARLY) {
    request_early_start(tracker);
  }
  publish(tracker, true);
}

struct extip_engine *extip_engine_start(const struct extip_task *task,
  struct extip_loop *loop, const struct extip_record *known,
  extip_publish publish_record, void *user) {
  struct extip_engine *engine =
    calloc(1, sizeof(*engine) + task->count * sizeof(engine->trackers[0]));

  if (engine == NULL) {
    return NULL;
  }

  engine->loop = loop;
  engine->publish = publish_record;
  engine->user = user;
  engine->count = task->count;
  engine->once = task->start == EXTIP_START_ONCE;
  for (size_t i = 0; i < task->count; i++) {
    engine->trackers[i].engine = engine;
    engine->trackers[i].discovery = &task->discoveries[i];
    prepare(&engine->trackers[i], &known[i], task->start);
  }

  return engine;
}

void extip_engine_free(struct extip_engine *engine) {
  free(engine);
}
