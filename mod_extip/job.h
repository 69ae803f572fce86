/*
 * mod_extip - one query of a round, as its driver sees it
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#ifndef EXTIP_JOB_H
#define EXTIP_JOB_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "resolve.h"
#include "round.h"

struct extip_job;

/*
 * What a kind of source does. The loop in round.c calls these, and never again
 * after the job is settled but for stop. All but start and stop may be NULL
 * where the driver does not cause them.
 */
struct extip_driver {
  void (*start)(struct extip_job *job);

  /* The name given to extip_job_resolve() stands for these addresses, one at
   * least. When it stands for none, the job has been settled instead. */
  void (*resolved)(
    struct extip_job *job, const struct in_addr *addrs, size_t count);

  /* job->fd can be read. */
  void (*readable)(struct extip_job *job);

  /* The time job->tick_at has come; it has been set back to -1. */
  void (*tick)(struct extip_job *job);

  /* The transfer that the driver added to extip_job_multi() is over. */
  void (*transferred)(struct extip_job *job, CURLcode code);

  /* What the job is waiting for, in a few words, to end "no answer in 5000 ms:
   * " with. */
  void (*waiting)(struct extip_job *job, char *buf, size_t bufsz);

  /* Gives back everything that job->state holds; called once, always. */
  void (*stop)(struct extip_job *job);
};

extern const struct extip_driver extip_stun_udp_driver;
extern const struct extip_driver extip_stun_stream_driver;
extern const struct extip_driver extip_http_driver;
extern const struct extip_driver extip_cloud_driver;
extern const struct extip_driver extip_dns_driver;
extern const struct extip_driver extip_if_driver;

struct extip_round;

struct extip_job {
  /* Set by the round, only read by drivers. */
  struct extip_round *round;
  struct extip_query *query;
  const struct extip_driver *driver;
  int64_t deadline; /* extip_now() at which the job times out */
  bool settled;
  bool stopped;
  const struct extip_lookup *lookup; /* the name waited for, or NULL */

  /* The driver's. */
  void *state;
  int fd;          /* to be watched for reading, -1: none */
  int64_t tick_at; /* extip_now() for a call of tick, -1: none */
};

/* Milliseconds of a clock that nobody sets. */
int64_t extip_now(void);

CURLM *extip_job_multi(struct extip_job *job);

/* Calls resolved, at once when HOST is an IPv4 address. HOST is copied. */
void extip_job_resolve(struct extip_job *job, const char *host);

/* Remembers ADDR as one of the source's own. */
void extip_job_own(struct extip_job *job, struct in_addr addr);

/* True when ADDR may be asked because a reply said so (redirect, alternate
 * server): it is globally reachable, or one of the source's own. When false,
 * the job has been settled. */
bool extip_job_may_follow(struct extip_job *job, struct in_addr addr);

/* The two ways to settle a job. Only the first one counts; the driver goes on
 * to return to the loop. */
void extip_job_answer(struct extip_job *job, struct in_addr addr);
__attribute__((format(printf, 3, 4))) void extip_job_fail(
  struct extip_job *job, enum extip_status status, const char *fmt, ...);

/* Settles the job as the error number of a socket call says. */
void extip_job_fail_errno(struct extip_job *job, int error, const char *what);

#endif
