/*
 * The grammar of KeepaliveRule: what is read, what is refused and with which
 * words, what is printed, and which rule governs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"
#include "../../mod_keepalive/rule.c"

#include <stdlib.h>

#define MAX_WORDS 12

static unsigned int split(char *line, char **words) {
  unsigned int count = 0;

  for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
    words[count++] = word;
  }

  return count;
}

static int parse(const char *text, struct keepalive_rule *rule, char *reason,
  size_t size) {
  static char line[256];
  char *words[MAX_WORDS];
  unsigned int count;

  snprintf(line, sizeof(line), "%s", text);
  count = split(line, words);
  reason[0] = '\0';
  return keepalive_rule_parse(rule, count, words, reason, size);
}

static void test_good_rules(void) {
  static const struct {
    const char *text, *printed;
  } cases[] = {
    { "*", "* interval 25s method auto" },
    { "* method tcp", "* interval 25s method tcp" },
    { "* deadline 2m", "* interval 25s method auto deadline 120s" },
    { "* deadline 10s", "* interval 5s method auto deadline 10s" },
    { "* deadline 2s", "* interval 1s method auto deadline 2s" },
    { "* interval 60s", "* interval 60s method auto" },
    { "lan interval 5m method tcp", "lan interval 300s method tcp" },
    { "lan method tcp interval 5m", "lan interval 300s method tcp" },
    { "* interval 1 method TLS", "* interval 1s method tls" },
    { "* INTERVAL 1 Method reply", "* interval 1s method reply" },
    { "* interval 9 method telnet deadline 10",
      "* interval 9s method telnet deadline 10s" },
    { "* deadline 10h interval 32767 method reply",
      "* interval 32767s method reply deadline 36000s" },
    { "* interval 32767 method none", "* interval 32767s method none" },
    { "interval interval 7", "interval interval 7s method auto" },
    { "* interval 1 deadline 24h",
      "* interval 1s method auto deadline 86400s" },
  };
  struct keepalive_rule rule;
  char reason[256], text[128], again[128];

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    ok(parse(cases[i].text, &rule, reason, sizeof(reason)) == 0,
      "'%s' is a rule", cases[i].text);
    is_str(keepalive_rule_print(&rule, text, sizeof(text)), cases[i].printed,
      "and is printed in full");
    ok(parse(text, &rule, reason, sizeof(reason)) == 0,
      "what is printed is a rule");
    is_str(keepalive_rule_print(&rule, again, sizeof(again)), text,
      "and the same one");
  }
}

static void test_bad_rules(void) {
  static const struct {
    const char *text, *says;
  } cases[] = {
    { "* deadline 1", "deadline '1s': expected more than the interval of 1s" },
    { "* deadline 60s method none", "deadline '60s': needs probes" },
    { "* 60s", "'60s': expected interval" },
    { "* interval", "'interval' needs a value" },
    { "* interval 0", "interval '0': expected a duration from 1s to 32767s" },
    { "* interval 32768", "interval '32768': expected" },
    { "* interval 10h", "interval '10h': expected" },
    { "* interval soon", "interval 'soon': expected" },
    { "* interval 5 interval 6", "'interval' is allowed once" },
    { "* interval 5 method", "'method' needs a value" },
    { "* interval 5 method udp", "method 'udp': expected one of auto, tcp" },
    { "* interval 5 method tcp,tls", "method 'tcp,tls': expected one of" },
    { "* interval 5 method tcp method tls", "'method' is allowed once" },
    { "* interval 5 deadline 5", "deadline '5s': expected more than" },
    { "* interval 5 deadline 0", "deadline '0': expected a duration" },
    { "* interval 5 deadline 25h", "deadline '25h': expected" },
    { "* interval 5 retries 3", "'retries': expected interval" },
    { "la* interval 5", "class 'la*': expected the name" },
  };
  struct keepalive_rule rule;
  char reason[256];

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    int res = parse(cases[i].text, &rule, reason, sizeof(reason));

    ok(res == -1 && strncmp(reason, cases[i].says, strlen(cases[i].says)) == 0,
      "'%s' is refused: %s", cases[i].text, reason);
  }
}

static void test_choice(void) {
  static const struct keepalive_rule
    global_all = { "*", 1, 0, KEEPALIVE_AUTO, KEEPALIVE_SCOPE_GLOBAL },
    global_lan = { "lan", 2, 0, KEEPALIVE_AUTO, KEEPALIVE_SCOPE_GLOBAL },
    server_all = { "*", 3, 0, KEEPALIVE_AUTO, KEEPALIVE_SCOPE_SERVER },
    server_lan = { "lan", 4, 0, KEEPALIVE_AUTO, KEEPALIVE_SCOPE_SERVER },
    section_all = { "*", 5, 0, KEEPALIVE_AUTO, KEEPALIVE_SCOPE_SECTION };
  static const struct {
    const char *what, *class_name;
    const struct keepalive_rule *rules[4], *want;
  } cases[] = {
    { "no rule governs where none is", "lan", { NULL }, NULL },
    { "no rule governs another class", "wan", { &server_lan }, NULL },
    { "a class is not none", NULL, { &server_lan }, NULL },
    { "* is for everybody", "wan", { &server_lan, &server_all }, &server_all },
    { "* is for clients without a class", NULL, { &server_all }, &server_all },
    { "the class comes before *", "lan", { &server_lan, &server_all },
      &server_lan },
    { "the class comes before *, in any order", "lan",
      { &server_all, &server_lan }, &server_lan },
    { "the server comes before <Global>", "lan", { &server_all, &global_lan },
      &server_all },
    { "<Global> counts where the server has nothing", "lan",
      { &global_all, &global_lan }, &global_lan },
    { "a section comes before the server", "lan",
      { &section_all, &server_lan, &global_lan }, &section_all },
    { "a section comes before the server, in any order", "lan",
      { &server_lan, &global_lan, &section_all }, &section_all },
    { "of two equal rules the first", "lan", { &server_lan, &global_lan,
      &server_lan }, &server_lan },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const struct keepalive_rule *best = NULL;

    for (size_t j = 0; j < 4 && cases[i].rules[j] != NULL; j++) {
      best = keepalive_rule_choose(best, cases[i].rules[j],
        cases[i].class_name);
    }

    ok(best == cases[i].want, "%s", cases[i].what);
  }
}

/* Where there is room for a part, that part is printed and no byte more. */
static void test_cut(void) {
  struct keepalive_rule rule;
  char reason[256], whole[128];
  bool same = true;

  (void) parse("lan interval 25 method tls deadline 90", &rule, reason,
    sizeof(reason));
  (void) keepalive_rule_print(&rule, whole, sizeof(whole));
  for (size_t size = 1; size <= strlen(whole) + 1; size++) {
    char *exactly = malloc(size); /* for the sanitizers */

    (void) keepalive_rule_print(&rule, exactly, size);
    same = same && strncmp(exactly, whole, size - 1) == 0 &&
      strlen(exactly) == size - 1;
    free(exactly);
  }
  ok(same, "'%s' is cut to the room there is", whole);
}

int main(void) {
  test_cut();
  test_good_rules();
  test_bad_rules();
  test_choice();
  return done_testing();
}
