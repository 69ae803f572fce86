/*
 * mod_extip - what each server's configuration asks for
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"

#include "plan.h"
#include "log.h"
#include "vote.h"

#define DEFAULT_REFRESH (5 * 60)
#define DEFAULT_TIMEOUT 5

static void *find_value(
  const server_rec *s, const char *name, void *otherwise) {
  config_rec *c = find_config(s->conf, CONF_PARAM, name, FALSE);

  return c != NULL && c->argc > 0 ? c->argv[0] : otherwise;
}

static unsigned long find_options(const server_rec *s) {
  unsigned long options = 0;
  config_rec *c = find_config(s->conf, CONF_PARAM, "ExtIPOptions", FALSE);

  for (; c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "ExtIPOptions", FALSE)) {
    options |= *((unsigned long *) c->argv[0]);
  }

  return options;
}

/* The server's own sources, or, when it has none, those of <Global>. */
static array_header *find_sources(pool *p, const server_rec *s) {
  array_header *sources =
    make_array(p, 2, sizeof(const struct extip_source_conf *));
  bool own = false;

  for (config_rec *c = find_config(s->conf, CONF_PARAM, "ExtIPSource", FALSE);
       c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, "ExtIPSource", FALSE)) {
    const struct extip_source_conf *conf = c->argv[0];

    if (!conf->global && !own) {
      own = true;
      clear_array(sources);
    }

    if (conf->global != own) {
      *((const struct extip_source_conf **) push_array(sources)) = conf;
    }
  }

  return sources;
}

/* A name for people, such as "ftp.example.net (192.0.2.1:21)". */
static const char *server_label(pool *p, const server_rec *s) {
  char label[EXTIP_TABLE_LABEL_SIZE];

  snprintf(label, sizeof(label), "%.60s (%.24s:%u)",
    s->ServerName != NULL ? s->ServerName : "",
    s->addr != NULL ? pr_netaddr_get_ipstr(s->addr) : s->ServerAddress,
    s->ServerPort);
  for (char *at = label; *at != '\0'; at++) {
    if ((unsigned char) *at < ' ' || (unsigned char) *at > '~') {
      *at = '?';
    }
  }

  return pstrdup(p, label);
}

/* What identifies a server even if it gets another name or another place among
 * the virtual hosts, or if a name in <VirtualHost> resolves to another
 * address. */
static uint64_t server_id(pool *p, const server_rec *s) {
  char port[16];
  const char *text;

  snprintf(port, sizeof(port), ":%u", s->ServerPort);
  text = pstrcat(p, s->ServerAddress, port, NULL);
  return extip_table_id(text, strlen(text));
}

/* Sources in any order, and the local address. */
static uint64_t asked_id(
  pool *p, const array_header *sources, struct in_addr bind) {
  const struct extip_source_conf *const *confs = sources->elts;
  uint64_t sum = extip_table_id(&bind, sizeof(bind));

  for (unsigned int i = 0; i < (unsigned int) sources->nelts; i++) {
    const struct extip_source *source = confs[i]->source;
    const char *arg = source->extract.arg;
    const char *text =
      pstrcat(p, source->text, " ", arg != NULL ? arg : "", NULL);

    sum += extip_table_id(text, strlen(text));
  }

  return sum != 0 ? sum : 1;
}

static bool same_words(char *const *a, char *const *b) {
  size_t i = 0;

  while (a[i] != NULL && b[i] != NULL && strcmp(a[i], b[i]) == 0) {
    i++;
  }

  return a[i] == NULL && b[i] == NULL;
}

/* Whether both ask the same sources in the same way. */
static bool same_discovery(
  const struct extip_discovery *a, const struct extip_discovery *b) {
  bool same = a->source_count == b->source_count && a->quorum == b->quorum &&
              a->refresh == b->refresh && a->retry == b->retry &&
              a->timeout == b->timeout && a->bind.s_addr == b->bind.s_addr &&
              a->allow_reserved == b->allow_reserved &&
              strcmp(a->ca_file, b->ca_file) == 0;

  for (size_t i = 0; same && i < a->source_count; i++) {
    same = same_words(a->words[i], b->words[i]);
  }

  return same;
}

static struct extip_discovery read_discovery(pool *p, const server_rec *s,
  const array_header *sources, unsigned long options) {
  const struct extip_source_conf *const *confs = sources->elts;
  struct extip_refresh_conf usual = { DEFAULT_REFRESH, EXTIP_RETRY };
  unsigned int no_quorum = 0, usual_timeout = DEFAULT_TIMEOUT;
  struct in_addr any = { INADDR_ANY };
  const struct extip_refresh_conf *refresh =
    find_value(s, "ExtIPRefresh", &usual);
  struct extip_discovery discovery = {
    .label = server_label(p, s),
    .quorum = *((unsigned int *) find_value(s, "ExtIPQuorum", &no_quorum)),
    .refresh = refresh->refresh,
    .retry = refresh->retry,
    .timeout =
      *((unsigned int *) find_value(s, "ExtIPTimeout", &usual_timeout)),
    .bind = *((struct in_addr *) find_value(s, "ExtIPBind", &any)),
    .ca_file = find_value(s, "ExtIPCACertificate", ""),
    .allow_reserved = (options & EXTIP_OPT_ALLOW_RESERVED) != 0,
    .source_count = (size_t) sources->nelts,
  };

  char ***words = pcalloc(p, discovery.source_count * sizeof(*words));

  discovery.sources =
    pcalloc(p, discovery.source_count * sizeof(struct extip_source *));
  for (size_t i = 0; i < discovery.source_count; i++) {
    discovery.sources[i] = confs[i]->source;
    words[i] = confs[i]->words;
  }

  discovery.words = words;
  return discovery;
}

static void add_server(struct extip_table_answer *owner, uint64_t id) {
  for (size_t i = 0; i < EXTIP_TABLE_SERVERS; i++) {
    if (owner->servers[i] == 0 || owner->servers[i] == id) {
      owner->servers[i] = id;
      return;
    }
  }
}

/* Sources at one host and port have one vote. */
static void check_quorum(const struct extip_discovery *discovery) {
  const char *keys[EXTIP_TABLE_SOURCES];
  unsigned int endpoints;

  for (size_t i = 0; i < discovery->source_count; i++) {
    keys[i] = discovery->sources[i]->key;
  }

  endpoints = extip_vote_endpoints(keys, discovery->source_count);
  if (discovery->quorum > endpoints) {
    extip_log(EXTIP_LOG_WARNING,
      "ExtIPQuorum %u for '%s' can never be reached with %zu source%s at %u endpoint%s",
      discovery->quorum, discovery->label, discovery->source_count,
      discovery->source_count == 1 ? "" : "s", endpoints,
      endpoints == 1 ? "" : "s");
  }
}

static void append_discovery(struct extip_plan *plan,
  const struct extip_discovery *discovery, uint64_t asked) {
  struct extip_table_answer *owner = &plan->owners[plan->discovery_count];

  plan->discoveries[plan->discovery_count++] = *discovery;
  sstrncpy(owner->label, discovery->label, sizeof(owner->label));
  owner->asked = asked;
  owner->bind = discovery->bind.s_addr;
}

/* The discovery of VHOST: an existing one, a new one, or NULL. */
static const struct extip_discovery *add_discovery(pool *p,
  struct extip_plan *plan, struct extip_vhost *vhost, unsigned long options) {
  const server_rec *s = vhost->server;
  array_header *sources = find_sources(p, s);
  struct extip_discovery discovery;
  size_t place = 0;

  if (sources->nelts == 0) {
    extip_log(EXTIP_LOG_WARNING,
      "ExtIPEngine is on for '%s', but there is no ExtIPSource: no source will be asked",
      server_label(p, s));
    return NULL;
  }

  if (sources->nelts > EXTIP_TABLE_SOURCES) {
    extip_log(EXTIP_LOG_WARNING,
      "'%s' has %d ExtIPSource directives: only the first %d are asked",
      server_label(p, s), sources->nelts, EXTIP_TABLE_SOURCES);
    sources->nelts = EXTIP_TABLE_SOURCES;
  }

  discovery = read_discovery(p, s, sources, options);
  check_quorum(&discovery);

  vhost->asked = asked_id(p, sources, discovery.bind);
  while (place < plan->discovery_count &&
         !same_discovery(&plan->discoveries[place], &discovery)) {
    place++;
  }

  if (place == EXTIP_TABLE_ANSWERS) {
    plan->left_out = plan->left_out != NULL ? plan->left_out : discovery.label;
    return NULL;
  }

  if (place == plan->discovery_count) {
    append_discovery(plan, &discovery, vhost->asked);
  }

  if (vhost->max_age > 0 &&
      (plan->discoveries[place].max_age == 0 ||
        vhost->max_age < plan->discoveries[place].max_age)) {
    plan->discoveries[place].max_age = vhost->max_age;
  }

  add_server(&plan->owners[place], vhost->id);
  return &plan->discoveries[place];
}

struct extip_plan *extip_plan_make(
  pool *p, xaset_t *servers, char *reason, size_t reason_size) {
  struct extip_plan *plan = pcalloc(p, sizeof(*plan));
  int off = FALSE;
  unsigned int none = 0;
  size_t room;

  for (server_rec *s = (server_rec *) servers->xas_list; s != NULL;
       s = s->next) {
    plan->vhost_count++;
  }

  plan->vhosts = pcalloc(p, plan->vhost_count * sizeof(*plan->vhosts));
  /* No more than are needed: a large block that is given back at a reload is
   * soon in use for something small, and the next plan needs another. */
  room = plan->vhost_count < EXTIP_TABLE_ANSWERS ? plan->vhost_count
                                                 : EXTIP_TABLE_ANSWERS;
  plan->discoveries = pcalloc(p, room * sizeof(*plan->discoveries));
  plan->owners = pcalloc(p, room * sizeof(*plan->owners));

  struct extip_vhost *vhost = plan->vhosts;

  for (server_rec *s = (server_rec *) servers->xas_list; s != NULL;
       s = s->next, vhost++) {
    unsigned long options = find_options(s);

    vhost->server = s;
    vhost->id = server_id(p, s);
    vhost->engine = *((int *) find_value(s, "ExtIPEngine", &off)) == TRUE;
    vhost->announce_to_all = (options & EXTIP_OPT_ANNOUNCE_TO_ALL) != 0;
    vhost->max_age = *((unsigned int *) find_value(s, "ExtIPMaxAge", &none));
    if (vhost->engine) {
      vhost->discovery = add_discovery(p, plan, vhost, options);
    }
  }

  if (plan->left_out != NULL) {
    (void) pr_snprintf(reason, reason_size,
      "more than %d servers ask for an address of their own, '%s' is one too many: let servers share sources, in <Global>",
      EXTIP_TABLE_ANSWERS, plan->left_out);
    return NULL;
  }

  return plan;
}

const struct extip_vhost *extip_plan_find(
  const struct extip_plan *plan, const server_rec *server) {
  for (size_t i = 0; plan != NULL && i < plan->vhost_count; i++) {
    if (plan->vhosts[i].server == server) {
      return &plan->vhosts[i];
    }
  }

  return NULL;
}
