/*
 * mod_extip_ftpdctl_test - ftpdctl extip: what it answers, and to whom.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

#include "../../mod_extip/common_compat.h"
#include "../../mod_extip/ftpdctl.h"
#include "../../mod_extip/schedule.h"

static time_t wall = 1700000000;
static pid_t forked = 4712; /* what extip_helper_fork() returns */
static pid_t helper = 4711;
static unsigned int helper_in; /* seconds until there is one */

/* In place of others' functions, with -Wl,--wrap. */

static int (*handle)(pr_ctrls_t *, int, char **);

int __wrap_pr_ctrls_register(const module *, const char *, const char *,
  int (*)(pr_ctrls_t *, int, char **));
int __wrap_pr_ctrls_register(const module *owner, const char *action,
  const char *about, int (*called)(pr_ctrls_t *, int, char **)) {
  (void) owner;
  (void) about;
  handle = strcmp(action, "extip") == 0 ? called : NULL;
  return 0;
}

int __wrap_pr_ctrls_unregister(module *, const char *);
int __wrap_pr_ctrls_unregister(module *owner, const char *action) {
  (void) owner;
  handle = strcmp(action, "extip") == 0 ? NULL : handle;
  return 0;
}

time_t __wrap_time(time_t *);
time_t __wrap_time(time_t *at) {
  (void) at;
  return wall;
}

pid_t __wrap_extip_helper_pid(unsigned int *);
pid_t __wrap_extip_helper_pid(unsigned int *seconds) {
  *seconds = helper_in;
  return helper;
}

int64_t __wrap_extip_helper_since(void);
int64_t __wrap_extip_helper_since(void) {
  return helper != 0 ? 1000000000 : 0;
}

pid_t __wrap_extip_helper_fork(void);
pid_t __wrap_extip_helper_fork(void) {
  errno = EAGAIN;
  return forked;
}

/* A request of a user, in words; its answer is one text. */

static uid_t user;
static int status;
static unsigned int line_count;
static char answered[256 * 1024];

static const char *answer(const char *request) {
  pr_ctrls_cl_t peer = { .cl_uid = user };
  pr_ctrls_t ctrl = { .ctrls_cl = &peer };
  cmd_rec *cmd = words("", request);
  size_t len = 0;

  ctrl.ctrls_tmp_pool = make_sub_pool(place);
  status = handle(&ctrl, (int) cmd->argc - 1, (char **) cmd->argv + 1);
  line_count = ctrl.ctrls_cb_resps != NULL ? ctrl.ctrls_cb_resps->nelts : 0;
  answered[0] = '\0';
  for (unsigned int i = 0; i < line_count; i++) {
    len += (size_t) snprintf(answered + len, sizeof(answered) - len, "%s%s",
      i > 0 ? "\n" : "", ((char **) ctrl.ctrls_cb_resps->elts)[i]);
  }
  destroy_pool(ctrl.ctrls_tmp_pool);
  return answered;
}

static void be_asked(void) {
  start_daemon();
  arrive("203.0.113.9", "192.168.1.1");
  extip_ftpdctl_start();
  extip_ftpdctl_show(&plan);
}

static void is_refused(const char *request, int want, const char *why) {
  is_str(answer(request), why, "'%s' is refused", request);
  is_int(status, want, "... with its status");
}

static void test_words(void) {
  static const char *const actions[] = { "check", "forwards", "refresh",
    "status" };
  char text[64];

  be_asked();
  is_refused("x", PR_CTRLS_STATUS_WRONG_PARAMETERS,
    "'x': allowed are check, forwards, refresh, status");
  is_refused("status xml", PR_CTRLS_STATUS_WRONG_PARAMETERS,
    "'xml': allowed are json, prometheus or nothing");
  is_refused("forwards prometheus", PR_CTRLS_STATUS_WRONG_PARAMETERS,
    "'prometheus': allowed are json or nothing");
  is_refused("refresh json", PR_CTRLS_STATUS_WRONG_PARAMETERS,
    "'json': allowed are no words");
  is_refused("check json", PR_CTRLS_STATUS_WRONG_PARAMETERS,
    "'json': allowed are no words");

  user = 1000;
  for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
    snprintf(text, sizeof(text),
      "access to 'extip %s' denied: see ExtIPControlsACLs", actions[i]);
    is_refused(actions[i], PR_CTRLS_STATUS_ACCESS_DENIED, text);
  }
}

static void test_no_word(void) {
  pr_ctrls_cl_t peer = { .cl_uid = 0 };
  pr_ctrls_t ctrl = { .ctrls_cl = &peer };
  char *none[] = { NULL };

  be_asked();
  ctrl.ctrls_tmp_pool = place;
  is_int(
    handle(&ctrl, 0, none), PR_CTRLS_STATUS_WRONG_PARAMETERS, "no word at all");
  is_str(*((char **) ctrl.ctrls_cb_resps->elts),
    "a word is missing: expected check, forwards, refresh, status",
    "... is answered");
}

static void test_nothing(void) {
  static const char off[] =
    "ExtIPEngine is off, there is no ExtIPSource, or there was no memory (see the log)";

  be_asked();
  plan.discovery_count = 0;
  is_refused("status", PR_CTRLS_STATUS_OPERATION_DENIED, off);
  plan.discovery_count = 1;
  extip_ftpdctl_show(NULL);
  is_refused("status", PR_CTRLS_STATUS_OPERATION_DENIED, off);
  extip_ftpdctl_stop();
  ok(handle == NULL, "at the end there is no action");
}

/* The moment of its record was ten minutes ago, whatever the clock said. */
static void know_confirmed(void) {
  struct extip_record whole = { .answer = { .label = "main",
                                  .asked = ASKED,
                                  .servers = { SERVER },
                                  .addr = inet_addr("198.51.100.1"),
                                  .confirmed = { .wall = 12345 } } };

  extip_table_write(extip_shared_table(), 0, &whole);
  world.age = 600;
}

static void test_status(void) {
  be_asked();
  know_confirmed();
  ok(strstr(answer("status"), "\n  address     198.51.100.1\n") != NULL,
    "status: the address");
  ok(strstr(answered, "main\n") == answered, "... of the server");
  ok(strstr(answered, " (10m 0s ago)\n") != NULL,
    "... and when it was confirmed");
  ok(strstr(answered, "\n  next round  never\n") != NULL, "... by a helper");
  is_int(status, PR_CTRLS_STATUS_OK, "... with its status");

  helper = 0;
  ok(strstr(answer("status"),
       "\n  next round  none: there is no helper process\n") != NULL,
    "... without a helper");
  (void) memset(extip_shared_table(), 0, sizeof(struct extip_table));
  ok(strstr(answer("status"), "\n  confirmed   never\n") != NULL,
    "status of an address that was never confirmed");
}

static void test_machines(void) {
  be_asked();
  know_confirmed();
  ok(
    strstr(answer("status json"),
      "\"since\": \"2001-09-09T01:46:40Z\", \"helper\": 4711, \"answers\": [{\"server\": \"main\", \"address\": \"198.51.100.1\"") !=
      NULL,
    "status json");
  is_int(status, PR_CTRLS_STATUS_OK, "... with its status");
  ok(
    strstr(answer("status prometheus"),
      "\nproftpd_extip_address_info{server=\"main\",address=\"198.51.100.1\"} 1") !=
      NULL,
    "status prometheus");
  ok(strstr(answered, "\nproftpd_extip_helper_up 1\n") != NULL,
    "... with a helper");
  is_int(status, PR_CTRLS_STATUS_OK, "... with its status");
  helper = 0;
  ok(strstr(answer("status json"), "\"since\": null, \"helper\": null, ") !=
       NULL,
    "status json without a helper");
}

/* ftpdctl refuses what is longer than 1,024 lines. */
static void test_many(void) {
  static struct extip_discovery many[EXTIP_TABLE_ANSWERS];
  struct extip_record whole = { .status = {
                                  .source_count = EXTIP_TABLE_SOURCES } };

  be_asked();
  for (size_t i = 0; i < EXTIP_TABLE_SOURCES; i++) {
    sstrncpy(whole.status.sources[i].reason, "silent",
      sizeof(whole.status.sources[i].reason));
  }
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    many[i].record = i;
    extip_table_write(extip_shared_table(), i, &whole);
  }
  plan.discoveries = many;
  plan.discovery_count = EXTIP_TABLE_ANSWERS;
  (void) answer("status");
  ok(line_count > 880 && line_count <= 1000, "a long answer has %u lines",
    line_count);
  ok(strstr(answered, " more: see 'ftpdctl extip status json'") != NULL,
    "... and says where the rest is");
  is_int(line_count % 56, 1, "... no server in part");
  ok(strstr(answered, "\n48 more: ") != NULL, "... how many are left");
}

static void test_forwards(void) {
  static const struct forward_port ports[] = { { 21, 21 } };

  be_asked();
  is_str(answer("forwards"), "no port is to be forwarded: ExtIPForward is off",
    "no forwards");
  is_int(status, PR_CTRLS_STATUS_OK, "... is no error");
  ok(strstr(answer("forwards json"), "\"forwards\": []") != NULL,
    "... in JSON as well");
  extip_forward_table_claim(extip_shared_forwards(), ports, 1, false);
  ok(strstr(answer("forwards"), "0 of 1 ports are forwarded\n") == answered,
    "a forward that is asked for");
  ok(strstr(answer("forwards json"), "\"forwards\": [{\"port\": 21, ") != NULL,
    "... in JSON");
  is_int(status, PR_CTRLS_STATUS_OK, "... with its status");
  extip_shared_free();
  is_str(answer("forwards"), "no port is to be forwarded: ExtIPForward is off",
    "no memory");
}

static void asked_early(int64_t when) {
  struct extip_record whole = { .answer = { .asked = ASKED },
    .status = { .early = when } };

  extip_table_write(extip_shared_table(), 0, &whole);
}

static void test_refresh(void) {
  struct extip_wake wake = { 1, 1 };

  be_asked();
  is_str(answer("refresh"), "a round begins now; see 'ftpdctl extip status'",
    "refresh");
  is_int(status, PR_CTRLS_STATUS_OK, "... with its status");
  ok(was_woken(&wake), "... wakes the helper");
  is_int(wake.addr, INADDR_ANY, "... for all addresses");

  asked_early(wall - 3);
  is_str(answer("refresh"),
    "a round begins in 7 s, because the last one on request was less than 10 s ago; see 'ftpdctl extip status'",
    "... soon again");
  ok(woken(), "... wakes the helper as well");
  asked_early(wall - 9);
  ok(strstr(answer("refresh"), "a round begins in 1 s, ") == answered,
    "... later");
  asked_early(wall - 10);
  ok(strstr(answer("refresh"), "a round begins now") == answered,
    "... late enough");
  asked_early(wall);
  ok(strstr(answer("refresh"), "a round begins in 10 s, ") == answered,
    "... at once");
  asked_early(wall + 1);
  ok(strstr(answer("refresh"), "a round begins now") == answered,
    "... and after the clock was set back");
}

static void test_refresh_refused(void) {
  be_asked();
  helper = 0;
  helper_in = 4;
  is_refused("refresh", PR_CTRLS_STATUS_OPERATION_DENIED,
    "there is no helper process: the next one begins in 4 s, with a round");
  ok(!woken(), "... and nobody is woken");
  helper = 4711;
  (void) close(extip_shared_wake_fd());
  ok(strstr(answer("refresh"), "the helper process cannot be woken: ") ==
       answered,
    "a helper that cannot be woken");
  is_int(status, PR_CTRLS_STATUS_OPERATION_DENIED, "... with its status");
}

static void test_check(void) {
  be_asked();
  forked = -1;
  is_refused("check", PR_CTRLS_STATUS_OPERATION_DENIED,
    "cannot start the check: Resource temporarily unavailable");
  forked = 4712;
  is_str(answer("check"), "", "check: a process of its own answers");
  is_int(status, PR_CTRLS_STATUS_OK, "... with its status");
  is_refused("check", PR_CTRLS_STATUS_OPERATION_DENIED,
    "the last check began 0 s ago: try again in 60 s");
  wall += 59;
  is_refused("check", PR_CTRLS_STATUS_OPERATION_DENIED,
    "the last check began 59 s ago: try again in 1 s");
  wall += 1;
  is_str(answer("check"), "", "... a minute later");
  wall -= 1;
  is_str(answer("check"), "", "... and when the clock was set back");
}

static void run_tests(void) {
  (void) setenv("TZ", "UTC", 1);
  in_session(test_words);
  in_session(test_no_word);
  in_session(test_nothing);
  in_session(test_status);
  in_session(test_machines);
  in_session(test_many);
  in_session(test_forwards);
  in_session(test_refresh);
  in_session(test_refresh_refused);
  in_session(test_check);
}

TEST_MODULE(extip_ftpdctl_test, NULL);
