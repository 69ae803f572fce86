/*
 * mod_extip - runs rounds: asks, decides, publishes
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "job.h"
#include "schedule.h"
#include "special.h"
#include "vote.h"

/* Answers that are due this soon are asked for in the same round. */
#define JOIN_MS 1000

/* One quest on its way. */
struct pursuit {
  const struct extip_quest *quest;
  size_t record;
  unsigned quorum;
  struct extip_table_answer answer; /* as last written */
  struct extip_table_status status; /* the same */
  struct extip_schedule schedule;

  /* A change that one source vouched for, to be repeated by the next round. */
  struct in_addr pending;

  bool stuck; /* the log knows that there is no decision */

  /* The round that runs. */
  bool asked, decided;
  struct extip_ballot ballots[EXTIP_TABLE_SOURCES];
};

struct extip_engine {
  int table_fd;
  const struct extip_engine_calls *calls;
  struct extip_early early;
  struct pursuit *pursuits;
  size_t count;
  int64_t began; /* the round that runs */
};

/* Where an answer belongs; hangs on the query. */
struct seat {
  struct pursuit *pursuit;
  size_t source;
};

static uint32_t random32(void) {
  uint32_t random = 0;

  /* For jitter only: without entropy there is none. */
  (void) getrandom(&random, sizeof(random), GRND_NONBLOCK);
  return random;
}

__attribute__((format(printf, 3, 4))) static void say(
  const struct extip_engine *engine, enum extip_loudness loudness,
  const char *fmt, ...) {
  char text[1024];
  va_list args;

  va_start(args, fmt);
  vsnprintf(text, sizeof(text), fmt, args);
  va_end(args);
  engine->calls->log(loudness, text);
}

/* An address for the log, "none" for 0. BUF has INET_ADDRSTRLEN bytes. */
static const char *show(uint32_t addr, char *buf) {
  struct in_addr in = { .s_addr = addr };

  return addr == INADDR_ANY ? "none"
                            : inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

static bool may_announce(const struct extip_quest *quest, struct in_addr addr) {
  return extip_is_global(addr, NULL) ||
         (quest->allow_reserved && extip_vote_usable(addr));
}

static void write_answer(
  struct extip_engine *engine, const struct pursuit *pursuit) {
  if (extip_table_write(engine->table_fd, pursuit->record, &pursuit->answer) <
      0) {
    say(
      engine, EXTIP_LOG_WARNING, "cannot write the table: %s", strerror(errno));
  }
}

/* The status is for people; that the disk is full is said for the answer. */
static void write_status(
  struct extip_engine *engine, const struct pursuit *pursuit) {
  (void) extip_table_write_status(
    engine->table_fd, pursuit->record, &pursuit->status);
}

/* Deciding */

/* The sources that gave ADDR, with commas between them. */
static void name_supporters(
  const struct pursuit *pursuit, struct in_addr addr, char *buf, size_t bufsz) {
  size_t len = 0;

  *buf = '\0';
  for (size_t i = 0; i < pursuit->quest->source_count; i++) {
    const struct extip_ballot *ballot = &pursuit->ballots[i];

    if (ballot->valid && ballot->addr.s_addr == addr.s_addr && len < bufsz) {
      len += (size_t) snprintf(buf + len, bufsz - len, "%s%s",
        len > 0 ? ", " : "", pursuit->quest->sources[i]->text);
    }
  }
}

static void adopt(struct extip_engine *engine, struct pursuit *pursuit,
  const struct extip_outcome *outcome) {
  char supporters[512], old[INET_ADDRSTRLEN], new[INET_ADDRSTRLEN];

  name_supporters(pursuit, outcome->addr, supporters, sizeof(supporters));
  say(engine, EXTIP_LOG_NOTICE,
    "%s: address is now %s, was %s: said %s (%u of %zu, quorum %u) after "
    "%lld ms",
    pursuit->quest->key, show(outcome->addr.s_addr, new),
    show(pursuit->answer.addr, old), supporters, outcome->votes,
    pursuit->quest->source_count, pursuit->quorum,
    (long long) (extip_now() - engine->began));

  pursuit->answer.previous = pursuit->answer.addr;
  pursuit->answer.addr = outcome->addr.s_addr;
  pursuit->answer.since = time(NULL);
}

/* An address won: it is published before slower sources have answered. */
static void decide(struct extip_engine *engine, struct pursuit *pursuit,
  const struct extip_outcome *outcome) {
  bool change = outcome->verdict == EXTIP_VOTE_ADOPT;
  char addr[INET_ADDRSTRLEN];

  if (change) {
    adopt(engine, pursuit, outcome);

  } else if (pursuit->stuck) {
    say(engine, EXTIP_LOG_NOTICE,
      "%s: %s confirmed after %u rounds without a "
      "decision",
      pursuit->quest->key, show(outcome->addr.s_addr, addr),
      pursuit->schedule.failures);
  }

  pursuit->decided = true;
  pursuit->stuck = false;
  pursuit->pending.s_addr = INADDR_ANY;
  pursuit->answer.confirmed = time(NULL);
  write_answer(engine, pursuit);

  snprintf(pursuit->status.verdict, sizeof(pursuit->status.verdict),
    "%u of %zu sources say %s", outcome->votes, pursuit->quest->source_count,
    show(outcome->addr.s_addr, addr));

  if (change && engine->calls->changed != NULL) {
    engine->calls->changed(outcome->addr);
  }
}

/* Said once, until there is a decision again. */
static void say_stuck(struct extip_engine *engine, struct pursuit *pursuit) {
  char addr[INET_ADDRSTRLEN];

  if (!pursuit->stuck) {
    say(engine, EXTIP_LOG_WARNING, "%s: no decision, %s: %s %s",
      pursuit->quest->key, pursuit->status.verdict,
      pursuit->answer.addr == INADDR_ANY ? "announcing" : "keeping",
      show(pursuit->answer.addr, addr));
  }
  pursuit->stuck = true;
}

static void describe_split(const struct pursuit *pursuit,
  const struct extip_outcome *outcome, char *buf, size_t bufsz) {
  char addr[INET_ADDRSTRLEN];

  if (outcome->votes == 0) {
    snprintf(buf, bufsz, "every source contradicts itself");

  } else if (outcome->votes == outcome->rival) {
    snprintf(buf, bufsz, "sources disagree, %u say %s and as many another",
      outcome->votes, show(outcome->addr.s_addr, addr));

  } else {
    snprintf(buf, bufsz, "%u say %s and the quorum is %u", outcome->votes,
      show(outcome->addr.s_addr, addr), pursuit->quorum);
  }
}

/* The round is over and nothing won outright. */
static void defer(struct extip_engine *engine, struct pursuit *pursuit,
  const struct extip_outcome *outcome) {
  char *verdict = pursuit->status.verdict;
  size_t size = sizeof(pursuit->status.verdict);
  char addr[INET_ADDRSTRLEN], before[INET_ADDRSTRLEN];
  bool repeated = pursuit->pending.s_addr != INADDR_ANY;

  switch (outcome->verdict) {
    case EXTIP_VOTE_CONFIRM:
      if (!repeated) {
        snprintf(verdict, size, "one source says %s: asking again",
          show(outcome->addr.s_addr, addr));
        pursuit->pending = outcome->addr;
        pursuit->schedule.due = extip_now();
        return;
      }
      snprintf(verdict, size, "one source said %s and then %s",
        show(pursuit->pending.s_addr, before),
        show(outcome->addr.s_addr, addr));
      break;

    case EXTIP_VOTE_SPLIT:
      describe_split(pursuit, outcome, verdict, size);
      break;

    default:
      snprintf(verdict, size, "no source gave a usable answer");
      break;
  }

  pursuit->pending.s_addr = INADDR_ANY;
  say_stuck(engine, pursuit);
  extip_schedule_failed(&pursuit->schedule, extip_now(), random32());
}

static struct extip_outcome count(const struct pursuit *pursuit) {
  struct extip_motion motion = {
    .quorum = pursuit->quorum,
    .known = { pursuit->answer.addr },
    .pending = pursuit->pending,
  };

  return extip_vote(&motion, pursuit->ballots, pursuit->quest->source_count);
}

/* One source's part */

static bool is_valid(
  const struct extip_quest *quest, const struct extip_answer *answer) {
  return (answer->status == EXTIP_OK || answer->status == EXTIP_NOT_GLOBAL) &&
         may_announce(quest, answer->addr);
}

/* Each fault of a source is logged when it appears and when it is gone. */
static void record_source(struct extip_engine *engine,
  const struct pursuit *pursuit, struct extip_table_source *source,
  const struct extip_answer *answer, bool valid) {
  const char *status = valid ? "ok" : extip_status_name(answer->status);
  const char *reason = valid ? "" : answer->reason;
  char addr[INET_ADDRSTRLEN];
  bool news = strcmp(source->status, status) != 0;

  if (news && !valid) {
    say(engine, EXTIP_LOG_NOTICE, "%s: source %s: %s: %s", pursuit->quest->key,
      source->text, status, reason);

  } else if (news) {
    say(engine, EXTIP_LOG_INFO, "%s: source %s: says %s after %u ms",
      pursuit->quest->key, source->text, show(answer->addr.s_addr, addr),
      answer->latency_ms);
  }

  snprintf(source->status, sizeof(source->status), "%s", status);
  snprintf(source->reason, sizeof(source->reason), "%s", reason);
  if (valid) {
    source->answered = time(NULL);
    source->addr = answer->addr.s_addr;
    source->latency_ms = answer->latency_ms;
  }
}

static int on_settled(struct extip_query *query, void *user) {
  struct extip_engine *engine = user;
  const struct seat *seat = query->user;
  struct pursuit *pursuit = seat->pursuit;
  struct extip_ballot *ballot = &pursuit->ballots[seat->source];
  struct extip_outcome outcome;

  ballot->settled = true;
  ballot->valid = is_valid(pursuit->quest, &query->answer);
  ballot->addr = query->answer.addr;
  ballot->peer = query->answer.peer;
  record_source(engine, pursuit, &pursuit->status.sources[seat->source],
    &query->answer, ballot->valid);

  if (!pursuit->decided) {
    outcome = count(pursuit);
    if (outcome.verdict == EXTIP_VOTE_SAME ||
        outcome.verdict == EXTIP_VOTE_ADOPT) {
      decide(engine, pursuit, &outcome);
    }
  }

  return 0;
}

/* Rounds */

static int64_t to_wall_clock(int64_t due) {
  return time(NULL) + (due - extip_now() + 999) / 1000;
}

static void open_round(
  struct extip_engine *engine, struct pursuit *pursuit, bool early) {
  const struct extip_quest *quest = pursuit->quest;
  int64_t now = time(NULL);

  pursuit->asked = true;
  pursuit->decided = false;
  for (size_t i = 0; i < quest->source_count; i++) {
    memset(&pursuit->ballots[i], 0, sizeof(pursuit->ballots[i]));
    pursuit->ballots[i].key = quest->sources[i]->key;
    pursuit->status.sources[i].asked = now;
  }

  pursuit->status.began = now;
  pursuit->status.early = early ? now : pursuit->status.early;
  pursuit->status.ended = 0;
  write_status(engine, pursuit);
}

static void close_round(struct extip_engine *engine, struct pursuit *pursuit) {
  pursuit->asked = false;
  if (pursuit->decided) {
    extip_schedule_decided(&pursuit->schedule, extip_now(), random32());

  } else {
    /* Whoever was cut off has settled with nothing. */
    for (size_t i = 0; i < pursuit->quest->source_count; i++) {
      pursuit->ballots[i].settled = true;
    }

    struct extip_outcome outcome = count(pursuit);

    defer(engine, pursuit, &outcome);
  }

  pursuit->status.ended = time(NULL);
  pursuit->status.rounds++;
  pursuit->status.failures = pursuit->schedule.failures;
  pursuit->status.next = to_wall_clock(pursuit->schedule.due);
  write_status(engine, pursuit);
}

/* Queries of all pursuits that take part; the caller frees both arrays. */
static size_t make_queries(struct extip_engine *engine,
  struct extip_query **queries, struct seat **seats) {
  size_t total = 0, n = 0;

  for (size_t i = 0; i < engine->count; i++) {
    total +=
      engine->pursuits[i].asked ? engine->pursuits[i].quest->source_count : 0;
  }

  *queries = calloc(total, sizeof(**queries));
  *seats = calloc(total, sizeof(**seats));
  if (*queries == NULL || *seats == NULL) {
    return 0;
  }

  for (size_t i = 0; i < engine->count; i++) {
    struct pursuit *pursuit = &engine->pursuits[i];
    const struct extip_quest *quest = pursuit->quest;

    for (size_t j = 0; pursuit->asked && j < quest->source_count; j++, n++) {
      (*seats)[n].pursuit = pursuit;
      (*seats)[n].source = j;
      (*queries)[n].source = quest->sources[j];
      (*queries)[n].bind = quest->bind;
      (*queries)[n].ca_file = quest->ca_file;
      (*queries)[n].timeout_ms = quest->timeout * 1000;
      (*queries)[n].user = &(*seats)[n];
    }
  }

  return total;
}

static void ask(struct extip_engine *engine, int stop_fd) {
  struct extip_round_opts opts = {
    .wake_fd = stop_fd, .settled = on_settled, .user = engine
  };
  struct extip_query *queries;
  struct seat *seats;
  size_t total = make_queries(engine, &queries, &seats);

  if (total == 0 || extip_round_run(queries, total, &opts) < 0) {
    say(
      engine, EXTIP_LOG_WARNING, "cannot ask any source: %s", strerror(errno));
  }

  free(queries);
  free(seats);
}

void extip_engine_run(struct extip_engine *engine, int stop_fd) {
  int64_t now = extip_now();
  bool early = extip_early_take(&engine->early, now);

  for (size_t i = 0; i < engine->count; i++) {
    if (early || engine->pursuits[i].schedule.due <= now + JOIN_MS) {
      open_round(engine, &engine->pursuits[i], early);
    }
  }

  engine->began = now;
  ask(engine, stop_fd);

  for (size_t i = 0; i < engine->count; i++) {
    if (engine->pursuits[i].asked) {
      close_round(engine, &engine->pursuits[i]);
    }
  }
}

int64_t extip_engine_wait(const struct extip_engine *engine) {
  int64_t due = INT64_MAX, now = extip_now();

  for (size_t i = 0; i < engine->count; i++) {
    if (engine->pursuits[i].schedule.due < due) {
      due = engine->pursuits[i].schedule.due;
    }
  }

  if (engine->early.wanted && engine->early.due < due) {
    due = engine->early.due;
  }

  return due > now ? due - now : 0;
}

void extip_engine_wake(struct extip_engine *engine, unsigned delay_ms) {
  extip_early_request(&engine->early, extip_now(), delay_ms);
}

/* Starting */

/* What the table remembers is known, unless the configuration says otherwise
 * now. */
static void recall(struct extip_engine *engine, struct pursuit *pursuit) {
  const struct extip_quest *quest = pursuit->quest;
  struct extip_table_answer *answer = &pursuit->answer;
  struct in_addr addr;
  char buf[INET_ADDRSTRLEN];

  if (extip_table_read(engine->table_fd, pursuit->record, answer) < 0) {
    memset(answer, 0, sizeof(*answer));
    snprintf(answer->key, sizeof(answer->key), "%s", quest->key);
  }

  addr.s_addr = answer->addr;
  if (addr.s_addr != INADDR_ANY &&
      (answer->bind != quest->bind.s_addr || !may_announce(quest, addr))) {
    say(engine, EXTIP_LOG_NOTICE,
      "%s: forgetting %s, the configuration has "
      "changed",
      quest->key, show(answer->addr, buf));
    answer->previous = answer->addr;
    answer->addr = INADDR_ANY;
    answer->since = answer->confirmed = 0;
  }

  answer->bind = quest->bind.s_addr;
  write_answer(engine, pursuit);
}

static bool same_sources(
  const struct extip_quest *quest, const struct extip_table_status *status) {
  if (status->source_count != quest->source_count) {
    return false;
  }

  for (size_t i = 0; i < quest->source_count; i++) {
    size_t most = sizeof(status->sources[i].text) - 1;

    if (strncmp(status->sources[i].text, quest->sources[i]->text, most) != 0) {
      return false;
    }
  }

  return true;
}

/* Milliseconds from now to the first round. BEFORE is what the process before
 * us left behind. A clock that was set is no reason to wait. */
static int64_t first_due(const struct pursuit *pursuit, enum extip_start start,
  const struct extip_table_status *before) {
  int64_t wait = before->next - time(NULL);

  return start == EXTIP_START_NOW || pursuit->answer.addr == INADDR_ANY ||
             wait < 0 || wait > pursuit->quest->refresh
           ? 0
           : wait * 1000;
}

/* A SIGHUP asks for a round like any other early reason; when the last one was
 * is in the table. */
static void request_early_start(struct extip_engine *engine) {
  int64_t now = extip_now(), ago = EXTIP_EARLY_GAP, wall = time(NULL);

  for (size_t i = 0; i < engine->count; i++) {
    int64_t this_ago = (wall - engine->pursuits[i].status.early) * 1000;

    if (this_ago >= 0 && this_ago < ago) {
      ago = this_ago;
    }
  }

  engine->early.granted = true;
  engine->early.last = now - ago;
  extip_early_request(&engine->early, now, 0);
}

static void prepare(struct extip_engine *engine, struct pursuit *pursuit,
  enum extip_start start) {
  const struct extip_quest *quest = pursuit->quest;
  struct extip_table_status *status = &pursuit->status;
  const char *keys[EXTIP_TABLE_SOURCES];
  int64_t wait = 0;

  recall(engine, pursuit);
  if (extip_table_read_status(engine->table_fd, pursuit->record, status) == 0 &&
      same_sources(quest, status)) {
    wait = first_due(pursuit, start, status);

  } else {
    memset(status, 0, sizeof(*status));
  }

  for (size_t i = 0; i < quest->source_count; i++) {
    keys[i] = quest->sources[i]->key;
    snprintf(status->sources[i].text, sizeof(status->sources[i].text), "%s",
      quest->sources[i]->text);
  }

  pursuit->quorum = quest->quorum > 0
                      ? quest->quorum
                      : extip_vote_quorum(keys, quest->source_count);
  pursuit->schedule.refresh = (int64_t) quest->refresh * 1000;
  pursuit->schedule.retry = (int64_t) quest->retry * 1000;
  pursuit->schedule.failures = status->failures;
  pursuit->schedule.due = extip_now() + wait;
  pursuit->stuck = status->failures > 0;
  status->quorum = pursuit->quorum;
  status->helper = (uint32_t) getpid();
  status->rounds = 0;
  status->source_count = (uint32_t) quest->source_count;
  status->next = to_wall_clock(pursuit->schedule.due);
  write_status(engine, pursuit);
}

static int claim_records(
  struct extip_engine *engine, const struct extip_quest *quests) {
  const char *keys[EXTIP_TABLE_ANSWERS];
  size_t records[EXTIP_TABLE_ANSWERS];

  for (size_t i = 0; i < engine->count; i++) {
    keys[i] = quests[i].key;
  }

  if (extip_table_claim(engine->table_fd, keys, engine->count, records) < 0) {
    return -1;
  }

  for (size_t i = 0; i < engine->count; i++) {
    engine->pursuits[i].quest = &quests[i];
    engine->pursuits[i].record = records[i];
  }

  return 0;
}

struct extip_engine *extip_engine_start(const struct extip_quest *quests,
  size_t count, int write_fd, const struct extip_engine_calls *calls,
  enum extip_start start) {
  struct extip_engine *engine;

  if (count > EXTIP_TABLE_ANSWERS) {
    errno = E2BIG;
    return NULL;
  }

  engine = calloc(1, sizeof(*engine));
  if (engine == NULL) {
    return NULL;
  }

  engine->table_fd = write_fd;
  engine->calls = calls;
  engine->count = count;
  engine->pursuits = calloc(count > 0 ? count : 1, sizeof(*engine->pursuits));
  if (engine->pursuits == NULL || claim_records(engine, quests) < 0) {
    extip_engine_free(engine);
    return NULL;
  }

  for (size_t i = 0; i < count; i++) {
    prepare(engine, &engine->pursuits[i], start);
  }

  if (start == EXTIP_START_EARLY) {
    request_early_start(engine);
  }

  return engine;
}

void extip_engine_free(struct extip_engine *engine) {
  if (engine != NULL) {
    free(engine->pursuits);
    free(engine);
  }
}
