/*
 * mod_natpasv_active_test - PORT and EPRT: which address is taken, replaced or
 * refused, and what a client is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/active.h"
#include "../../mod_natpasv/failure.h"
#include "natpasv-session.h"

extern pr_response_t *resp_err_list;

static struct natpasv_row row;

#define PEER   NATPASV_ACTIVE_PEER
#define STRICT NATPASV_ACTIVE_STRICT
#define OFF    NATPASV_ACTIVE_OFF

#define CLIENT "203.0.113.9"
#define REFUSED(client, addr)                                   \
  "500 Your address is " client " here, and no data connection" \
  " is made to " addr ": use passive mode (PASV or EPSV)"
#define LOW \
  "500 No data connection is made to a port below 1024: use passive mode (PASV or EPSV)"

/* AllowForeignAddress: off as preset, on, or a class. */
enum foreign { NO = 0, YES = TRUE, CLASS = -1, MISSING = -2 };

/* What is left of the command: "=" as it was, another argument, or the refusal.
 */
static const struct command {
  enum natpasv_active_mode mode;
  enum foreign foreign;
  const char *client, *command, *arg, *want;
} cases[] = {
  { PEER, NO, CLIENT, "PORT", "203,0,113,9,4,0", "=" },
  { PEER, NO, CLIENT, "PORT", "203,0,113,9,3,255", LOW },
  { STRICT, NO, CLIENT, "EPRT", "|1|203.0.113.9|1024|", "=" },
  { STRICT, NO, CLIENT, "EPRT", "|1|203.0.113.9|1023|", LOW },
  { STRICT, YES, CLIENT, "EPRT", "|1|203.0.113.9|80|", LOW },
  { OFF, YES, CLIENT, "PORT", "203,0,113,9,4,0",
    "500 Active mode is off here: use passive mode (PASV or EPSV)" },

  /* A private address means the client's own. */
  { PEER, NO, CLIENT, "PORT", "10,0,0,5,195,80", "203,0,113,9,195,80" },
  { PEER, NO, CLIENT, "port", "10,0,0,5,195,80", "203,0,113,9,195,80" },
  { PEER, NO, CLIENT, "eprt", "|1|192.168.1.5|50000|",
    "|1|203.0.113.9|50000|" },
  { PEER, NO, "2001:db8::9", "EPRT", "|2|fd00::5|50000|",
    "|2|2001:db8::9|50000|" },
  { PEER, NO, "::ffff:203.0.113.9", "EPRT", "|1|10.0.0.5|50000|",
    "|1|203.0.113.9|50000|" },
  { PEER, NO, "::ffff:203.0.113.9", "PORT", "203,0,113,9,195,80", "=" },
  { STRICT, NO, CLIENT, "PORT", "10,0,0,5,195,80",
    REFUSED(CLIENT, "10.0.0.5") },
  { STRICT, NO, "2001:db8::9", "EPRT", "|2|fd00::5|50000|",
    REFUSED("2001:db8::9", "fd00::5") },

  /* Loopback, another host, another family: nobody's. */
  { PEER, NO, CLIENT, "PORT", "127,0,0,1,195,80",
    REFUSED(CLIENT, "127.0.0.1") },
  { PEER, NO, "2001:db8::9", "EPRT", "|2|::1|50000|",
    REFUSED("2001:db8::9", "::1") },
  { PEER, NO, CLIENT, "PORT", "203,0,113,77,195,80",
    REFUSED(CLIENT, "203.0.113.77") },
  { PEER, NO, "2001:db8::9", "EPRT", "|2|2001:db8::77|50000|",
    REFUSED("2001:db8::9", "2001:db8::77") },
  { PEER, NO, "2001:db8::9", "EPRT", "|2|2001:db8::109|50000|",
    REFUSED("2001:db8::9", "2001:db8::109") },
  { PEER, NO, "2001:db8::9", "EPRT", "|1|10.0.0.5|50000|",
    REFUSED("2001:db8::9", "10.0.0.5") },
  { PEER, NO, CLIENT, "EPRT", "|2|fd00::5|50000|", REFUSED(CLIENT, "fd00::5") },

  /* To other hosts, where AllowForeignAddress says so. */
  { PEER, MISSING, CLIENT, "PORT", "203,0,113,77,195,80",
    REFUSED(CLIENT, "203.0.113.77") },
  { PEER, YES, CLIENT, "PORT", "203,0,113,77,195,80", "=" },
  { STRICT, YES, CLIENT, "PORT", "127,0,0,1,195,80", "=" },
  { PEER, YES, CLIENT, "PORT", "10,0,0,5,195,80", "203,0,113,9,195,80" },
  { STRICT, YES, CLIENT, "PORT", "10,0,0,5,195,80",
    REFUSED(CLIENT, "10.0.0.5") },
  { PEER, YES, "10.0.0.7", "PORT", "10,0,0,5,195,80", "=" },
  { STRICT, YES, "10.0.0.7", "PORT", "10,0,0,5,195,80", "=" },
  { PEER, CLASS, CLIENT, "PORT", "10,0,0,5,195,80", "=" },
  { STRICT, CLASS, CLIENT, "PORT", "10,0,0,5,195,80", "=" },
  { STRICT, CLASS, CLIENT, "PORT", "10,1,0,5,195,80",
    REFUSED(CLIENT, "10.1.0.5") },
  { PEER, CLASS, CLIENT, "PORT", "10,1,0,5,195,80", "203,0,113,9,195,80" },

  /* What is no address is for ProFTPD to refuse. */
  { PEER, NO, CLIENT, "PORT", "10,0,0,5,195", "=" },
  { PEER, NO, CLIENT, "PORT", "0,0,0,0,0,0", "=" },
  { STRICT, NO, CLIENT, "EPRT", "|3|10.0.0.5|50000|", "=" },
  { STRICT, NO, CLIENT, "PORT", "10,0,0,5,195,80 x", "=" },
};

static const struct command *tried;

static void allow_foreign(enum foreign what) {
  config_rec *c = add_config_param_set(
    &main_server->conf, "AllowForeignAddress", 2, NULL, NULL);

  c->argv[0] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = (int) what;
  c->argv[1] = pstrdup(c->pool, "friends");
}

static const char *left_of(const cmd_rec *cmd, const char *arg) {
  static char text[256];

  if (resp_err_list != NULL) {
    (void) snprintf(
      text, sizeof(text), "%s %s", resp_err_list->num, resp_err_list->msg);
    return text;
  }
  ok(cmd->argc != 2 || strcmp(cmd->arg, cmd->argv[1]) == 0,
    "... both forms of the argument are the same");
  return strcmp(cmd->arg, arg) == 0 ? "=" : cmd->arg;
}

static void test_command(void) {
  struct natpasv_active active = { tried->mode, &row };
  cmd_rec *cmd = words(tried->command, tried->arg);
  modret_t *res;

  arrive(tried->client, "192.168.1.1");
  add_class("friends", "10.0.0.0/16");
  if (tried->foreign != MISSING) {
    allow_foreign(tried->foreign);
  }

  cmd->arg = pstrdup(cmd->pool, tried->arg);
  res = natpasv_active_command(cmd, &active);
  is_str(left_of(cmd, tried->arg), tried->want,
    "%s %s of %s, mode %d, foreign %d", tried->command, tried->arg,
    tried->client, tried->mode, tried->foreign);
  if (tried->want[0] == '5') {
    ok(MODRET_ISERROR(res) && errno == EPERM, "... is an error");
    is_int(
      (long long) row.count[NATPASV_ACTIVE_REFUSED], 1, "... that is counted");
    ok(strncmp(done.log, "NOTICE! ", 8) == 0 &&
         strstr(done.log, tried->want + 4) != NULL,
      "... and said");
  } else {
    ok(MODRET_ISDECLINED(res), "... is for ProFTPD to do");
    is_int((long long) row.count[NATPASV_ACTIVE_REPLACED],
      tried->want[0] != '=', "... another address is counted");
    is_int(
      (long long) row.count[NATPASV_ACTIVE_REFUSED], 0, "... and no refusal");
  }
}

static void test_others(void) {
  struct natpasv_active active = { PEER, &row };
  cmd_rec *cmd = words("PORT", "203,0,113,77,195,80");

  arrive(CLIENT, "192.168.1.1");
  cmd->arg = pstrdup(cmd->pool, "203,0,113,77,195,80");
  session.sf_flags |= SF_EPSV_ALL;
  ok(MODRET_ISDECLINED(natpasv_active_command(cmd, &active)),
    "after EPSV ALL ProFTPD refuses itself");
  session.sf_flags = 0;
  cmd->argc = 1;
  ok(MODRET_ISDECLINED(natpasv_active_command(cmd, &active)),
    "... and PORT alone");

  cmd = words("EPRT", "|2|2001:db8::77|50000|");
  cmd->arg = pstrdup(cmd->pool, "|2|2001:db8::77|50000|");
  pr_netaddr_disable_ipv6();
  ok(MODRET_ISDECLINED(natpasv_active_command(cmd, &active)),
    "... and IPv6 where it does not speak it");
}

static void test_transfer(void) {
  struct natpasv_active active = { PEER, &row };
  cmd_rec *cmd = words("RETR", "file");

  arrive(CLIENT, "192.168.1.1");
  ok(MODRET_ISDECLINED(natpasv_active_transfer(cmd, &active)),
    "a transfer in active mode");
  is_int((long long) row.count[NATPASV_ACTIVE], 1, "... is counted");
  active.mode = STRICT;
  ok(MODRET_ISDECLINED(natpasv_active_transfer(cmd, &active)),
    "... and one with strict");
  active.mode = OFF;
  ok(MODRET_ISERROR(natpasv_active_transfer(cmd, &active)),
    "... and is refused where active mode is off");
  is_str(resp_err_list->num, "425", "... with 425");
  is_str(resp_err_list->msg,
    "Active mode is off here: use passive mode (PASV or EPSV)",
    "... and what to do");
  is_int((long long) row.count[NATPASV_ACTIVE], 2, "... and not counted");
}

/* A 425 of ProFTPD, for which no connection could be made. */
static const char *failed(const char *code, const char *text) {
  static const char *const none = "as it was";
  struct natpasv_active active = { PEER, &row };

  pr_response_clear(&resp_err_list);
  pr_response_add_err(code, "%s", text);
  natpasv_active_failed(words("RETR", "file"), &active);
  return strcmp(resp_err_list->msg, text) == 0 ? none : resp_err_list->msg;
}

static void test_failed(void) {
  static const int errors[] = { ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH,
    ENETUNREACH, EACCES, EADDRNOTAVAIL };
  char text[256], want[512];

  arrive(CLIENT, "192.168.1.1");
  memcpy(&session.data_addr, address(place, "203.0.113.77"),
    sizeof(session.data_addr));
  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
    (void) snprintf(text, sizeof(text), "Unable to build data connection: %s",
      strerror(errors[i]));
    (void) snprintf(want, sizeof(want),
      "%s (203.0.113.77): use passive mode (PASV or EPSV)", text);
    is_str(failed("425", text), want, "no connection: %s", strerror(errors[i]));
    is_str(resp_err_list->num, "425", "... with the same code");
    is_int((long long) row.count[NATPASV_ACTIVE_FAILED], (long long) i + 1,
      "... is counted");
    (void) snprintf(want, sizeof(want),
      "NOTICE! client 203.0.113.9 is in active mode, and no connection to 203.0.113.77 can be made: %s;",
      strerror(errors[i]));
    ok(strncmp(done.log, want, strlen(want)) == 0, "... and said");
    done.log[0] = '\0';
    world.now_ms += 60000;
  }

  is_str(
    failed("425", "Unable to build data connection: Operation not permitted"),
    "as it was", "TLS that fails is none of these");
  is_str(failed("426", "Connection refused"), "as it was",
    "... nor is another code");
  is_int((long long) row.count[NATPASV_ACTIVE_FAILED], 6, "... not counted");
  pr_response_clear(&resp_err_list);
  ok(natpasv_failure() == NULL, "no reply, no failure");
}

static void run_tests(void) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    tried = &cases[i];
    in_session(test_command);
  }
  in_session(test_others);
  in_session(test_transfer);
  in_session(test_failed);
}

TEST_MODULE(natpasv_active_test, hooks);
