/*
 * mod_extip_life_test - from the daemon's start over a reload to its end, and
 * in a session: what the module does at each event.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "extip-session.h"

extern xaset_t *server_list;

/* What the module has done to the helper, in place of helper.c: a word each. */

static char acts[256];
static const struct extip_task *begun;
static void (*tell_change)(const char *);

static void act(const char *word) {
  sstrcat(acts, word, sizeof(acts));
}

void __wrap_extip_helper_start(
  const struct extip_task *, void (*)(const char *));
void __wrap_extip_helper_start(
  const struct extip_task *task, void (*changed)(const char *)) {
  begun = task;
  tell_change = changed;
  act("start ");
}

void __wrap_extip_helper_stop(void);
void __wrap_extip_helper_stop(void) {
  act("stop ");
}

void __wrap_extip_helper_close(void);
void __wrap_extip_helper_close(void) {
  act("close ");
}

void __wrap_extip_helper_news(void);
void __wrap_extip_helper_news(void) {
  act("news ");
}

void __wrap_extip_helper_leave(void);
void __wrap_extip_helper_leave(void) {
  act("leave ");
}

void __wrap_extip_helper_once(const struct extip_task *);
void __wrap_extip_helper_once(const struct extip_task *task) {
  begun = task;
  act("once ");
}

/* The system log, in place of ProFTPD's. */
static char syslogged[512];

void __wrap_pr_log_pri(int, const char *, ...);
void __wrap_pr_log_pri(int priority, const char *fmt, ...) {
  va_list args;

  (void) priority;
  va_start(args, fmt);
  (void) vsnprintf(syslogged, sizeof(syslogged), fmt, args);
  va_end(args);
}

static void is_done(const char *want, const char *name) {
  is_str(acts, want, "%s", name);
  acts[0] = '\0';
}

/* The module's events, of which ProFTPD does not know here. */

static struct event {
  const char *name;
  void (*handle)(const void *, void *);
} events[16];
static unsigned int event_count;

int __real_pr_event_register(
  module *, const char *, void (*)(const void *, void *), void *);
int __wrap_pr_event_register(
  module *, const char *, void (*)(const void *, void *), void *);
int __wrap_pr_event_register(module *owner, const char *name,
  void (*handle)(const void *, void *), void *data) {
  if (owner != &extip_module) {
    return __real_pr_event_register(owner, name, handle, data);
  }
  events[event_count++] = (struct event){ name, handle };
  return 0;
}

static void happens_with(const char *name, const void *data) {
  for (unsigned int i = 0; i < event_count; i++) {
    if (strcmp(events[i].name, name) == 0) {
      events[i].handle(data, NULL);
      return;
    }
  }
  ok(0, "nobody waits for %s", name);
}

static void happens(const char *name) {
  happens_with(name, NULL);
}

/* The configuration */

static void add_source(server_rec *s) {
  static char reason[256];
  config_rec *c = add_config_param_set(&s->conf, "ExtIPSource", 1, NULL);
  struct extip_source_conf *conf = pcalloc(c->pool, sizeof(*conf));

  conf->source = extip_source_parse("if:lo", NULL, 0, reason, sizeof(reason));
  conf->words = pcalloc(c->pool, 2 * sizeof(char *));
  conf->words[0] = pstrdup(c->pool, "if:lo");
  c->argv[0] = conf;
}

static void add_text(const char *directive, const char *text) {
  config_rec *c = add_config_param_set(&main_server->conf, directive, 1, NULL);

  c->argv[0] = pstrdup(c->pool, text);
}

/* The daemon has read its configuration. */
static void be_read(void) {
  arrive("203.0.113.9", "192.168.1.1");
  daemon_uid = 33;
  daemon_gid = 34;
  is_int(extip_module.init(), 0, "the module is loaded");
  configure_number("ExtIPEngine", TRUE);
  add_source(main_server);
  add_text("ExtIPTable", "none");
  happens("core.postparse");
}

static void test_start(void) {
  be_read();
  is_done("", "the configuration alone starts no helper");
  happens("core.startup");
  is_done("start ", "the daemon's start does");
  is_int(begun->user, 33, "... as the daemon's User");
  is_int(begun->group, 34, "... and Group");
  is_int(begun->start, EXTIP_START_NOW, "... which asks at once");
  is_int((long long) begun->count, 1, "... for one address");
  is_str(begun->table, "", "... and keeps it nowhere");
  is_int((long long) begun->discoveries[0].record, 0, "... but in memory");
  is_said("", "of which the log is not told");
  happens("core.signal.USR2");
  is_done("news ", "SIGUSR2 brings news of the helper");
}

static void find(const char *text) {
  struct extip_record whole = { .answer = { .asked = 1 } };
  struct extip_table_answer answer;

  (void) extip_table_read(extip_shared_view(), 0, &answer);
  whole.answer = answer;
  (void) inet_pton(AF_INET, text, &whole.answer.addr);
  extip_table_write(extip_shared_table(), 0, &whole);
}

/* What is in force: one line. */
static void test_summary(void) {
  static server_rec other;

  be_read();
  happens("core.startup");
  (void) snprintf(acts, sizeof(acts),
    "mod_extip/0.1: in force for 1 of 1 servers: %s asks 1 source every 300 s, quorum 1, knows no address yet",
    begun->discoveries[0].label);
  is_str(syslogged, acts, "at the start the system log tells what is in force");

  add_source(main_server);
  find("198.51.100.7");
  other = *main_server;
  other.conf = NULL;
  other.next = NULL;
  other.set = NULL;
  (void) xaset_insert_end(server_list, (xasetmember_t *) &other);
  happens("core.restart");
  happens("core.postparse");
  (void) snprintf(acts, sizeof(acts),
    "mod_extip/0.1: in force for 1 of 2 servers: %s asks 2 sources every 300 s, quorum 1, knows 198.51.100.7",
    begun->discoveries[0].label);
  is_str(syslogged, acts, "... and what is known");
  forget("ExtIPSource");
  happens("core.restart");
  happens("core.postparse");
  is_str(syslogged,
    "mod_extip/0.1: in force for no server: ExtIPEngine is off, or there is no ExtIPSource",
    "... or why nothing is");
}

static void test_table(void) {
  be_read();
  forget("ExtIPTable");
  happens("core.startup");
  is_str(begun->table, EXTIP_STATE_DIR "/extip.tab",
    "without ExtIPTable there is one");
}

static void test_root(void) {
  be_read();
  daemon_uid = 0;
  happens("core.startup");
  is_begun("WARNING User is root, ", "a helper of root is warned of");
}

static void test_forward_ports(void) {
  struct extip_forwards_conf *conf;

  be_read();
  conf = configured("ExtIPForward", sizeof(*conf));
  *conf = extip_forwards_default;
  conf->control = true;
  main_server->ServerPort = 21;
  happens("core.startup");
  is_int((long long) begun->router.port_count, 1, "ports are to be forwarded");
  ok(strstr(syslogged, "; the router is asked to forward 1 port") != NULL,
    "... which the system log says");
  is_int((long long) extip_forward_table_count(extip_shared_forwards()), 1,
    "... of which sessions are told");
  ok(!extip_forward_table_has_passive(extip_shared_forwards()),
    "... none a passive one");
  conf->passive = true;
  add_passiveports(61000, 61001);
  happens("core.restart");
  happens("core.postparse");
  is_int((long long) begun->router.port_count, 3, "... and passive ones");
  ok(extip_forward_table_has_passive(extip_shared_forwards()),
    "... as sessions are told");
}

static void test_no_source(void) {
  struct extip_forwards_conf *conf;

  be_read();
  conf = configured("ExtIPForward", sizeof(*conf));
  *conf = extip_forwards_default;
  happens("core.restart");
  forget("ExtIPSource");
  done.log[0] = acts[0] = '\0';
  happens("core.postparse");
  is_begun("WARNING ExtIPEngine is on for ", "no source is warned of");
  happens("core.startup");
  is_done("", "... and starts no helper");
  is_said(
    "WARNING ExtIPForward does nothing: it needs ExtIPEngine on and an ExtIPSource, such as natpmp:",
    "... nor are ports forwarded");
}

static unsigned int changes;
static char exported[64];

static void changed_ev(const void *event_data, void *user_data) {
  const char *text = pr_env_get(permanent_pool, "EXTIP_ADDRESS");

  (void) user_data;
  changes += strcmp(event_data, "198.51.100.7") == 0;
  sstrncpy(exported, text != NULL ? text : "", sizeof(exported));
}

static void test_change(void) {
  be_read();
  happens("core.startup");
  (void) __real_pr_event_register(
    &extip_module, "mod_extip.address-changed", changed_ev, NULL);
  tell_change("198.51.100.7");
  is_int(changes, 1, "another address is an event");
  is_str(exported, "198.51.100.7", "... with the environment");
  is_str(pr_env_get(permanent_pool, "EXTIP_ADDRESS"), NULL,
    "... which is gone then");
}

static void test_reload(void) {
  be_read();
  happens("core.startup");
  happens("core.restart");
  is_done("start close stop ",
    "before a reload the helper that keeps nothing removes its forwards");
  ok(extip_shared_view() == NULL, "... and the module has no memory");
  happens("core.postparse");
  is_done("start ", "after it there is another one");
  is_int(begun->start, EXTIP_START_EARLY, "... which asks at once, once");

  happens("core.restart");
  forget("ExtIPTable");
  happens("core.postparse");
  acts[0] = '\0';
  happens("core.restart");
  is_done("stop ", "with a table the forwards stay");
}

static void test_end(void) {
  be_read();
  happens("core.startup");
  happens("core.shutdown");
  is_done("start close stop ", "the daemon's end is the helper's");
  ok(extip_shared_view() == NULL, "... and the memory's");
}

static void test_unloaded(void) {
  be_read();
  happens("core.startup");
  happens_with("core.module-unload", "mod_other.c");
  is_done("start ", "another module is unloaded");
  happens_with("core.module-unload", "mod_extip.c");
  is_done("stop ", "this one is");
}

/* Only with inetd does a session ask itself. */
static void test_inetd(void) {
  ServerType = SERVER_INETD;
  be_read();
  happens("core.startup");
  is_done("", "with inetd there is no helper");
  is_int(extip_module.sess_init(), 0, "a session begins");
  is_done("once leave ", "... and asks once");
}

static void test_inetd_off(void) {
  ServerType = SERVER_INETD;
  be_read();
  (void) extip_module.sess_init();
  is_done("leave ", "without memory it does not ask");
}

static modret_t *call(const char *name, const char *word) {
  cmd_rec *cmd = word != NULL ? pr_cmd_alloc(session.pool, 2, name, word)
                              : pr_cmd_alloc(session.pool, 1, name);

  for (cmdtable *c = extip_module.cmdtable; c->cmd_type != 0; c++) {
    if (strcmp(c->command, name) == 0) {
      return c->handler(cmd);
    }
  }
  ok(0, "there is no %s", name);
  return PR_ERROR(cmd);
}

static void test_session(void) {
  modret_t *res;
  int wake;

  be_read();
  happens("core.startup");
  find("198.51.100.7");
  wake = dup(extip_shared_wake_fd());
  acts[0] = '\0';
  is_int(extip_module.sess_init(), 0, "a session begins");
  is_done("leave ", "... without the helper");
  ok(extip_shared_table() == NULL, "... and can write nothing");
  is_str(
    note("mod_extip.address"), "198.51.100.7", "... but knows the address");

  res = call("extip_get_addr", NULL);
  is_str(MODRET_HASDATA(res) ? pr_netaddr_get_ipstr(res->data) : NULL,
    "198.51.100.7", "as it tells other modules");
  ok(MODRET_ISDECLINED(call("extip_announce_to_all", NULL)), "... not for all");
  ok(MODRET_ISDECLINED(call("extip_forward", NULL)), "... no forwards");
  ok(MODRET_ISDECLINED(call("extip_forward", "61000")), "... nor one");
  ok(MODRET_ISDECLINED(call("PASV", NULL)), "PASV is answered by ProFTPD");
  ok(MODRET_ISDECLINED(call("PORT", NULL)), "... PORT, too");
  ok(MODRET_ISDECLINED(call("EPRT", NULL)), "... and EPRT");

  happens_with("mod_natpasv.unreached", "198.51.100.7");
  is_int(recv(wake, acts, sizeof(acts), MSG_DONTWAIT),
    sizeof(struct extip_wake), "nobody connects to the address: it is doubted");
  happens_with("mod_natpasv.unreached", "198.51.100.8");
  happens_with("mod_natpasv.unreached", "here");
  happens("mod_natpasv.unreached");
  is_int(recv(wake, acts, sizeof(acts), MSG_DONTWAIT), -1,
    "... another is not, nor forwards that there are not");

  acts[0] = '\0';
  happens("core.signal.USR2");
  happens("core.restart");
  happens("core.shutdown");
  is_done("", "the daemon's events mean nothing in a session");
  is_str(note("mod_extip.address"), "198.51.100.7", "... which goes on");
}

static void test_commands(void) {
  static const char *const commands[] = { "PASV", "PORT", "EPRT" };
  config_rec *c;

  be_read();
  happens("core.startup");
  find("198.51.100.7");
  (void) extip_module.sess_init();
  for (size_t i = 0; i < 3; i++) {
    (void) call(commands[i], NULL);
    c = find_config(main_server->conf, CONF_PARAM, "MasqueradeAddress", FALSE);
    is_str(c != NULL ? pr_netaddr_get_ipstr(c->argv[0]) : NULL, "198.51.100.7",
      "%s finds the address", commands[i]);
    forget("MasqueradeAddress");
  }
}

static void test_asked_for(void) {
  struct extip_forwards_conf *conf;
  unsigned long *options;
  modret_t *res;

  be_read();
  options = configured("ExtIPOptions", sizeof(*options));
  *options = EXTIP_OPT_ANNOUNCE_TO_ALL;
  conf = configured("ExtIPForward", sizeof(*conf));
  *conf = extip_forwards_default;
  conf->passive = true;
  add_passiveports(61000, 61001);
  happens("core.restart");
  happens("core.postparse");
  happens("core.startup");
  (void) extip_module.sess_init();
  ok(MODRET_ISHANDLED(call("extip_announce_to_all", NULL)),
    "it is announced to all");
  ok(MODRET_ISDECLINED(call("extip_get_addr", NULL)), "... when it is known");
  res = call("extip_forward", NULL);
  is_int(MODRET_HASDATA(res) ? ((struct forwards *) res->data)->count : 0, 2,
    "other modules are told of the forwards");
  res = call("extip_forward", "61001");
  is_int(MODRET_HASDATA(res) ? ((struct forward *) res->data)->inside : 0,
    61001, "... and of one");
}

static void run_tests(void) {
  in_session(test_start);
  in_session(test_summary);
  in_session(test_table);
  in_session(test_root);
  in_session(test_forward_ports);
  in_session(test_no_source);
  in_session(test_change);
  in_session(test_reload);
  in_session(test_end);
  in_session(test_unloaded);
  in_session(test_inetd);
  in_session(test_inetd_off);
  in_session(test_session);
  in_session(test_commands);
  in_session(test_asked_for);
}

TEST_MODULE(extip_life_test, NULL);
