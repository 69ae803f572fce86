/*
 * mod_extip - asks all sources at the same time
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
#include <time.h>

#include "ipv4.h"
#include "job.h"
#include "round.h"
#include "special.h"

#define WAIT_MAX_MS 60000 /* any, so that it fits in an int */

/* Whose a watched descriptor is: neither means the wake descriptor. */
struct owner {
  struct extip_lookup *lookup;
  struct extip_job *job;
};

struct extip_round {
  const struct extip_round_opts *opts;
  CURLM *multi;
  int64_t start;
  int64_t end; /* the last deadline */
  bool ended;  /* by opts */

  struct extip_job *jobs;
  size_t job_count;
  size_t unsettled;

  /* One lookup a name, however many jobs wait for it. */
  struct extip_lookup **lookups;
  size_t lookup_count;

  /* What is waited for, and for whom: side by side. */
  struct curl_waitfd *watched;
  struct owner *owners;
  unsigned watched_count;
};

/* In the order of enum extip_status. */
static const char *const status_names[] = { "ok", "not global", "own address",
  "timeout", "refused", "unreachable", "dns", "tls", "http", "redirect", "stun",
  "malformed", "too big", "local", "cancelled" };

/* In the order of enum extip_source_kind. */
static const struct extip_driver *const drivers[] = { &extip_stun_udp_driver,
  &extip_stun_stream_driver, &extip_stun_stream_driver, &extip_http_driver,
  &extip_http_driver, &extip_dns_driver, &extip_if_driver, &extip_cloud_driver,
  &extip_cloud_driver, &extip_cloud_driver };

static bool curl_ready = false;

const char *extip_status_name(enum extip_status status) {
  return status_names[status];
}

int64_t extip_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

CURLM *extip_job_multi(struct extip_job *job) {
  return job->round->multi;
}

/* Settling */

static void settle(struct extip_job *job, enum extip_status status) {
  struct extip_round *round = job->round;

  job->query->answer.status = status;
  job->query->answer.latency_ms = (unsigned) (extip_now() - round->start);
  job->settled = true;
  job->lookup = NULL;
  round->unsettled--;
  if (!round->ended && round->opts->settled != NULL) {
    round->ended = round->opts->settled(job->query, round->opts->user) != 0;
  }
}

void extip_job_fail(
  struct extip_job *job, enum extip_status status, const char *fmt, ...) {
  struct extip_answer *answer = &job->query->answer;
  va_list args;

  if (job->settled) {
    return;
  }
  va_start(args, fmt);
  vsnprintf(answer->reason, sizeof(answer->reason), fmt, args);
  va_end(args);
  settle(job, status);
}

void extip_job_fail_errno(struct extip_job *job, int error, const char *what) {
  enum extip_status status = EXTIP_UNREACHABLE;

  switch (error) {
    case ECONNREFUSED:
      status = EXTIP_REFUSED;
      break;
    case EADDRNOTAVAIL:
    case EAGAIN:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case EACCES:
    case EPERM:
      status = EXTIP_LOCAL;
      break;
    default:
      break;
  }
  extip_job_fail(job, status, "%s: %s", what, strerror(error));
}

static bool is_own(const struct extip_answer *answer, struct in_addr addr) {
  for (size_t i = 0; i < answer->own_count; i++) {
    if (answer->own[i].s_addr == addr.s_addr) {
      return true;
    }
  }
  return false;
}

void extip_job_answer(struct extip_job *job, struct in_addr addr) {
  struct extip_answer *answer = &job->query->answer;
  char text[INET_ADDRSTRLEN];
  const char *why;

  if (job->settled) {
    return;
  }
  answer->addr = addr;
  inet_ntop(AF_INET, &addr, text, sizeof(text));
  if (is_own(answer, addr)) {
    extip_job_fail(
      job, EXTIP_OWN_ADDRESS, "%s is the source's own address", text);
  } else if (!extip_is_global(addr, &why)) {
    extip_job_fail(job, EXTIP_NOT_GLOBAL, "%s is %s", text, why);
  } else {
    answer->reason[0] = '\0';
    settle(job, EXTIP_OK);
  }
}

void extip_job_own(struct extip_job *job, struct in_addr addr) {
  struct extip_answer *answer = &job->query->answer;

  if (answer->own_count < EXTIP_OWN_MAX && !is_own(answer, addr)) {
    answer->own[answer->own_count++] = addr;
  }
}

bool extip_job_may_follow(struct extip_job *job, struct in_addr addr) {
  char text[INET_ADDRSTRLEN];
  const char *why;

  if (extip_is_global(addr, &why) || is_own(&job->query->answer, addr)) {
    return true;
  }
  inet_ntop(AF_INET, &addr, text, sizeof(text));
  extip_job_fail(job, EXTIP_REDIRECT, "sends us to %s, which is %s", text, why);
  return false;
}

/* Names */

static const struct extip_lookup *find_lookup(
  const struct extip_round *round, const char *name) {
  for (size_t i = 0; i < round->lookup_count; i++) {
    if (strcmp(extip_lookup_name(round->lookups[i]), name) == 0) {
      return round->lookups[i];
    }
  }
  return NULL;
}

/* NULL with errno. */
static const struct extip_lookup *add_lookup(
  struct extip_round *round, const char *name) {
  int64_t left = round->end - extip_now();
  size_t count = round->lookup_count + 1;
  struct extip_lookup **lookups =
    realloc(round->lookups, count * sizeof(*lookups));

  if (lookups == NULL) {
    return NULL;
  }
  round->lookups = lookups;
  lookups[count - 1] = extip_lookup_start(name, left > 0 ? (unsigned) left : 0);
  if (lookups[count - 1] == NULL) {
    return NULL;
  }
  round->lookup_count = count;
  return lookups[count - 1];
}

static void pass_on_lookup(
  struct extip_job *job, const struct extip_lookup *lookup) {
  const struct in_addr *addrs;
  const char *why;
  size_t count = extip_lookup_result(lookup, &addrs, &why);

  job->lookup = NULL;
  if (count == 0) {
    extip_job_fail(
      job, EXTIP_DNS, "'%.80s': %s", extip_lookup_name(lookup), why);
    return;
  }
  job->driver->resolved(job, addrs, count);
}

void extip_job_resolve(struct extip_job *job, const char *host) {
  const struct extip_lookup *lookup;
  struct in_addr addr;

  if (extip_ipv4_parse(host, strlen(host), &addr)) {
    job->driver->resolved(job, &addr, 1);
    return;
  }
  lookup = find_lookup(job->round, host);
  if (lookup == NULL) {
    lookup = add_lookup(job->round, host);
  }
  if (lookup == NULL) {
    extip_job_fail_errno(job, errno, "cannot start to resolve the name");
  } else if (extip_lookup_fd(lookup) < 0) {
    pass_on_lookup(job, lookup);
  } else {
    job->lookup = lookup;
  }
}

/* The loop */

static void time_out(struct extip_job *job) {
  char waiting[96] = "";

  if (job->lookup != NULL) {
    extip_job_fail(job, EXTIP_DNS, "'%.80s' not resolved in %u ms",
      extip_lookup_name(job->lookup), job->query->timeout_ms);
    return;
  }
  if (job->driver->waiting != NULL) {
    job->driver->waiting(job, waiting, sizeof(waiting));
  }
  extip_job_fail(job, EXTIP_TIMEOUT, "no answer in %u ms%s%s",
    job->query->timeout_ms, *waiting != '\0' ? ": " : "", waiting);
}

/* Does what is due; the milliseconds until more is. */
static int64_t run_clock(struct extip_round *round) {
  int64_t next = INT64_MAX;

  for (size_t i = 0; i < round->job_count; i++) {
    struct extip_job *job = &round->jobs[i];
    int64_t now = extip_now();

    if (job->settled) {
      continue;
    }
    if (now >= job->deadline) {
      time_out(job);
    } else if (job->tick_at >= 0 && now >= job->tick_at) {
      job->tick_at = -1;
      job->driver->tick(job);
    }
    if (!job->settled) {
      next = job->deadline < next ? job->deadline : next;
      next = job->tick_at >= 0 && job->tick_at < next ? job->tick_at : next;
    }
  }
  next -= extip_now();
  return next > 0 ? next : 0;
}

static void run_transfers(struct extip_round *round) {
  CURLMsg *message;
  int running;
  int left;

  curl_multi_perform(round->multi, &running);
  while ((message = curl_multi_info_read(round->multi, &left)) != NULL) {
    CURLcode code = message->data.result;
    void *job = NULL;

    /* The driver may free the handle: MESSAGE is not used after this. */
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
    if (job != NULL && !((struct extip_job *) job)->settled) {
      ((struct extip_job *) job)->driver->transferred(job, code);
    }
  }
}

static void finish_lookup(
  struct extip_round *round, struct extip_lookup *lookup) {
  extip_lookup_read(lookup);
  for (size_t i = 0; i < round->job_count; i++) {
    if (round->jobs[i].lookup == lookup) {
      pass_on_lookup(&round->jobs[i], lookup);
    }
  }
}

static void watch(struct extip_round *round, int fd,
  struct extip_lookup *lookup, struct extip_job *job) {
  unsigned at = round->watched_count;

  if (fd >= 0) {
    round->watched[at].fd = fd;
    round->watched[at].events = CURL_WAIT_POLLIN;
    round->watched[at].revents = 0;
    round->owners[at].lookup = lookup;
    round->owners[at].job = job;
    round->watched_count++;
  }
}

/* The descriptors to wait for and whose they are; -1 when there is no memory.
 */
static int collect(struct extip_round *round) {
  size_t room = 1 + round->lookup_count + round->job_count;
  struct curl_waitfd *watched =
    realloc(round->watched, room * sizeof(*watched));
  struct owner *owners;

  if (watched == NULL) {
    return -1;
  }
  round->watched = watched;
  owners = realloc(round->owners, room * sizeof(*owners));
  if (owners == NULL) {
    return -1;
  }
  round->owners = owners;
  round->watched_count = 0;

  watch(round, round->opts->wake_fd, NULL, NULL);
  for (size_t i = 0; i < round->lookup_count; i++) {
    watch(round, extip_lookup_fd(round->lookups[i]), round->lookups[i], NULL);
  }
  for (size_t i = 0; i < round->job_count; i++) {
    if (!round->jobs[i].settled) {
      watch(round, round->jobs[i].fd, NULL, &round->jobs[i]);
    }
  }
  return 0;
}

/* Waits at most TIMEOUT_MS and does what has become possible. */
static int wait_and_read(struct extip_round *round, int64_t timeout_ms) {
  if (collect(round) < 0) {
    return -1;
  }
  if (curl_multi_poll(round->multi, round->watched, round->watched_count,
        timeout_ms < WAIT_MAX_MS ? (int) timeout_ms : WAIT_MAX_MS,
        NULL) != CURLM_OK) {
    errno = EIO;
    return -1;
  }
  for (unsigned i = 0; i < round->watched_count; i++) {
    struct extip_job *job = round->owners[i].job;

    if (round->watched[i].revents == 0) {
      continue;
    }
    if (round->owners[i].lookup != NULL) {
      finish_lookup(round, round->owners[i].lookup);
    } else if (job == NULL) {
      round->ended = true;
    } else if (!job->settled && job->fd == round->watched[i].fd) {
      job->driver->readable(job);
    }
  }
  return 0;
}

/* What a settled job holds need not wait for the slowest one. */
static void stop_jobs(struct extip_round *round, bool all) {
  for (size_t i = 0; i < round->job_count; i++) {
    struct extip_job *job = &round->jobs[i];

    if ((all || job->settled) && !job->stopped) {
      job->stopped = true;
      job->driver->stop(job);
    }
  }
}

static int run_loop(struct extip_round *round) {
  while (round->unsettled > 0 && !round->ended) {
    int64_t timeout_ms = run_clock(round);

    stop_jobs(round, false);

    run_transfers(round);
    if (round->unsettled == 0 || round->ended) {
      break;
    }
    if (wait_and_read(round, timeout_ms) < 0) {
      return -1;
    }
  }
  return round->ended ? 1 : 0;
}

static int begin(
  struct extip_round *round, struct extip_query *queries, size_t count) {
  if (!curl_ready) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
      errno = ENOMEM;
      return -1;
    }
    curl_ready = true;
  }
  round->multi = curl_multi_init();
  round->jobs = calloc(count > 0 ? count : 1, sizeof(*round->jobs));
  if (round->multi == NULL || round->jobs == NULL) {
    errno = ENOMEM;
    return -1;
  }
  round->start = extip_now();
  round->job_count = count;
  round->unsettled = count;
  for (size_t i = 0; i < count; i++) {
    struct extip_job *job = &round->jobs[i];

    job->round = round;
    job->query = &queries[i];
    job->driver = drivers[queries[i].source->kind];
    job->deadline = round->start + queries[i].timeout_ms;
    round->end = job->deadline > round->end ? job->deadline : round->end;
    job->fd = -1;
    job->tick_at = -1;
  }

  /* Jobs that follow are not started when one of them ends the round. */
  for (size_t i = 0; i < count && !round->ended; i++) {
    round->jobs[i].driver->start(&round->jobs[i]);
  }
  return 0;
}

static void end(struct extip_round *round) {
  stop_jobs(round, true);
  for (size_t i = 0; i < round->lookup_count; i++) {
    extip_lookup_free(round->lookups[i]);
  }
  if (round->multi != NULL) {
    curl_multi_cleanup(round->multi);
  }
  free(round->lookups);
  free(round->watched);
  free(round->owners);
  free(round->jobs);
}

static void give_up(struct extip_query *queries, size_t count,
  enum extip_status status, const char *reason) {
  for (size_t i = 0; i < count; i++) {
    struct extip_answer *answer = &queries[i].answer;

    memset(answer, 0, sizeof(*answer));
    answer->status = status;
    snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
  }
}

int extip_round_run(struct extip_query *queries, size_t count,
  const struct extip_round_opts *opts) {
  struct extip_round round = { .opts = opts };
  int result = -1;
  int saved;

  give_up(queries, count, EXTIP_CANCELLED, "the round ended early");
  if (begin(&round, queries, count) == 0) {
    result = run_loop(&round);
  }
  saved = errno;
  end(&round);
  if (result < 0) {
    give_up(queries, count, EXTIP_LOCAL, strerror(saved));
  }
  errno = saved;
  return result;
}

void extip_round_free(void) {
  if (curl_ready) {
    curl_global_cleanup();
    curl_ready = false;
  }
}
