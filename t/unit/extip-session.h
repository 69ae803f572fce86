/*
 * extip-session.h - sessions of mod_extip within "proftpd -t", for
 * t/extip-session.t. Each is a process of its own with the daemon's table. The
 * clock and the log belong to the test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef EXTIP_SESSION_TEST_H
#define EXTIP_SESSION_TEST_H

#include "proftpd-session.h"

#include "../../mod_extip/helper.h"
#include "../../mod_extip/log.h"
#include "../../mod_extip/mod_extip.h"
#include "../../mod_extip/session.h"
#include "../../mod_extip/shared.h"

/* What the test decides. */
static struct {
  int64_t now; /* extip_now() */
  int64_t age; /* of each time that was recorded, in seconds */
} world = { .now = 5000000 };

int64_t __wrap_extip_now(void);
int64_t __wrap_extip_now(void) {
  return world.now;
}

int64_t __wrap_extip_moment_age(const struct extip_moment *);
int64_t __wrap_extip_moment_age(const struct extip_moment *moment) {
  (void) moment;
  return world.age;
}

/* In place of log.c */

void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  log_line(loudness == EXTIP_LOG_WARNING  ? PR_LOG_WARNING
           : loudness == EXTIP_LOG_NOTICE ? PR_LOG_NOTICE
                                          : PR_LOG_INFO,
    "", fmt, args);
  va_end(args);
}

void extip_log_open(const char *path) {
  (void) path;
}

void extip_log_close(void) {
}

/* The daemon: a plan with this one server, and what is known of it. */

#define ASKED  5
#define SERVER 7

static struct extip_discovery discovery = { .label = "test" };
static struct extip_vhost vhosts[2];
__attribute__((unused)) static struct extip_plan plan = { .vhosts = vhosts,
  .vhost_count = 1,
  .discoveries = &discovery,
  .discovery_count = 1 };

static inline void know_at(size_t record, const char *text) {
  struct extip_record whole = { .answer = {
                                  .asked = ASKED, .servers = { SERVER } } };

  (void) inet_pton(AF_INET, text, &whole.answer.addr);
  extip_table_write(extip_shared_table(), record, &whole);
}

static inline void know(const char *text) {
  know_at(discovery.record, text);
}

static inline void start_daemon(void) {
  bool empty;

  vhosts[0] = (struct extip_vhost){ .server = main_server,
    .engine = true,
    .discovery = &discovery,
    .asked = ASKED,
    .id = SERVER };
  (void) extip_shared_make(&empty);
}

/* What the helper was woken with since the last time; false for nothing. */
static inline bool was_woken(struct extip_wake *wake) {
  return recv(extip_shared_wake_fd(), wake, sizeof(*wake), MSG_DONTWAIT) ==
         sizeof(*wake);
}

static inline bool woken(void) {
  struct extip_wake wake;

  return was_woken(&wake);
}

/* A directive of the main server with what its handler has made of it. */
static inline void *configured(const char *directive, size_t size) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  c->argv[0] = pcalloc(c->pool, size);
  return c->argv[0];
}

#endif
