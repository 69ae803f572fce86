/*
 * mod_extip - what the configuration asks for, server by server
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
#include "report.h"

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

/* A name that stays the same when the order of the virtual hosts changes, and
 * when a name in <VirtualHost> resolves to something else. */
static const char *server_key(pool *p, const server_rec *s) {
  char key[EXTIP_TABLE_KEY_SIZE];

  if (s == main_server) {
    return "server config";
  }

  snprintf(key, sizeof(key), "%s:%u %s", s->ServerAddress, s->ServerPort,
    s->ServerName != NULL ? s->ServerName : "");
  for (char *at = key; *at != '\0'; at++) {
    if ((unsigned char) *at < ' ' || (unsigned char) *at > '~') {
      *at = '?';
    }
  }

  return pstrdup(p, key);
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Would the two ask the same sources in the same way? SPECS belong to them. */
static bool same_quest(const struct extip_quest *a, const char *a_specs,
  const struct extip_quest *b, const char *b_specs) {
  return strcmp(a_specs, b_specs) == 0 && a->quorum == b->quorum &&
         a->refresh == b->refresh && a->retry == b->retry &&
         a->timeout == b->timeout && a->bind.s_addr == b->bind.s_addr &&
         a->allow_reserved == b->allow_reserved &&
         same_text(a->ca_file, b->ca_file);
}

static struct extip_quest read_quest(pool *p, const server_rec *s,
  const array_header *sources, unsigned long options) {
  const struct extip_source_conf *const *confs = sources->elts;
  struct extip_refresh_conf usual = { DEFAULT_REFRESH, EXTIP_RETRY };
  unsigned no_quorum = 0, usual_timeout = DEFAULT_TIMEOUT;
  struct in_addr any = { INADDR_ANY };
  const struct extip_refresh_conf *refresh =
    find_value(s, "ExtIPRefresh", &usual);
  struct extip_quest quest = {
    .key = server_key(p, s),
    .quorum = *((unsigned *) find_value(s, "ExtIPQuorum", &no_quorum)),
    .refresh = refresh->refresh,
    .retry = refresh->retry,
    .timeout = *((unsigned *) find_value(s, "ExtIPTimeout", &usual_timeout)),
    .bind = *((struct in_addr *) find_value(s, "ExtIPBind", &any)),
    .ca_file = find_value(s, "ExtIPCACertificate", NULL),
    .allow_reserved = (options & EXTIP_OPT_ALLOW_RESERVED) != 0,
    .source_count = (size_t) sources->nelts,
  };

  quest.sources =
    pcalloc(p, quest.source_count * sizeof(struct extip_source *));
  for (size_t i = 0; i < quest.source_count; i++) {
    quest.sources[i] = confs[i]->source;
  }

  return quest;
}

static const char *join_specs(pool *p, const array_header *sources) {
  const struct extip_source_conf *const *confs = sources->elts;
  const char *specs = "";

  for (unsigned i = 0; i < (unsigned) sources->nelts; i++) {
    specs = pstrcat(p, specs, confs[i]->spec, "\n", NULL);
  }

  return specs;
}

/* Two name-based hosts may have the same address, port and name. */
static void make_key_unique(
  pool *p, const struct extip_plan *plan, struct extip_quest *quest) {
  const char *key = quest->key;
  size_t number = 1, i = 0;

  while (i < plan->quest_count) {
    if (strcmp(plan->quests[i].key, quest->key) != 0) {
      i++;
      continue;
    }

    char unique[EXTIP_TABLE_KEY_SIZE];

    snprintf(unique, sizeof(unique), "%.*s#%zu", EXTIP_TABLE_KEY_SIZE - 8, key,
      ++number);
    quest->key = pstrdup(p, unique);
    i = 0;
  }
}

/* The quest of server S: one that is there already, or a new one, or NULL. */
static const struct extip_quest *add_quest(pool *p, struct extip_plan *plan,
  const char **specs, const server_rec *s, unsigned long options) {
  array_header *sources = find_sources(p, s);
  struct extip_quest quest;

  if (sources->nelts == 0) {
    extip_log(EXTIP_LOG_WARNING,
      "ExtIPEngine is on for '%s' but there is no "
      "ExtIPSource: nothing will be asked",
      server_key(p, s));
    return NULL;
  }

  if (sources->nelts > EXTIP_TABLE_SOURCES) {
    extip_log(EXTIP_LOG_WARNING,
      "'%s' has %d ExtIPSource directives: only the "
      "first %d are asked",
      server_key(p, s), sources->nelts, EXTIP_TABLE_SOURCES);
    sources->nelts = EXTIP_TABLE_SOURCES;
  }

  quest = read_quest(p, s, sources, options);
  if (quest.quorum > quest.source_count) {
    extip_log(EXTIP_LOG_WARNING,
      "ExtIPQuorum %u for '%s' can never be reached "
      "with %zu sources",
      quest.quorum, quest.key, quest.source_count);
  }

  specs[plan->quest_count] = join_specs(p, sources);
  for (size_t i = 0; i < plan->quest_count; i++) {
    if (same_quest(
          &plan->quests[i], specs[i], &quest, specs[plan->quest_count])) {
      return &plan->quests[i];
    }
  }

  if (plan->quest_count == EXTIP_TABLE_ANSWERS) {
    extip_log(EXTIP_LOG_WARNING,
      "more than %d servers with sources of their "
      "own: '%s' gets no address",
      EXTIP_TABLE_ANSWERS, quest.key);
    return NULL;
  }

  make_key_unique(p, plan, &quest);
  plan->quests[plan->quest_count] = quest;
  return &plan->quests[plan->quest_count++];
}

struct extip_plan *extip_plan_make(pool *p, xaset_t *servers) {
  struct extip_plan *plan = pcalloc(p, sizeof(*plan));
  const char **specs = pcalloc(p, (EXTIP_TABLE_ANSWERS + 1) * sizeof(*specs));
  int off = FALSE;
  unsigned none = 0;

  for (server_rec *s = (server_rec *) servers->xas_list; s != NULL;
       s = s->next) {
    plan->vhost_count++;
  }

  plan->vhosts = pcalloc(p, plan->vhost_count * sizeof(*plan->vhosts));
  plan->quests = pcalloc(p, EXTIP_TABLE_ANSWERS * sizeof(*plan->quests));

  struct extip_vhost *vhost = plan->vhosts;

  for (server_rec *s = (server_rec *) servers->xas_list; s != NULL;
       s = s->next, vhost++) {
    unsigned long options = find_options(s);

    vhost->server = s;
    vhost->engine = *((int *) find_value(s, "ExtIPEngine", &off)) == TRUE;
    vhost->announce_to_all = (options & EXTIP_OPT_ANNOUNCE_TO_ALL) != 0;
    vhost->max_age = *((unsigned *) find_value(s, "ExtIPMaxAge", &none));
    if (vhost->engine) {
      vhost->quest = add_quest(p, plan, specs, s, options);
    }
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
