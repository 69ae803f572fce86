/*
 * mod_extip - its directives
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "conf.h"
#include "privs.h"

#include "common_clients.h"
#include "common_duration.h"
#include "directives.h"
#include "ftpdctl.h"
#include "ipv4.h"
#include "plan.h"
#include "probe.h"
#include "router_conf.h"

#define ANYWHERE (CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL)

#define DURATION_MAX (30 * 24 * 3600) /* seconds */

/* A longer round could delay the next one. */
#define TIMEOUT_MAX 300

static struct extip_source_conf *source_confs = NULL;

/* ProFTPD's CHECK_ARGS accepts superfluous words. */
#define CHECK_ARG_COUNT(cmd, count, what) \
  if ((cmd)->argc - 1 != (count)) {       \
    CONF_ERROR((cmd), "expected " what);  \
  }

static const char *complain(
  cmd_rec *cmd, const char *value, const char *allowed) {
  return pstrcat(cmd->tmp_pool, "'", value, "': ", allowed, NULL);
}

/* usage: ExtIPBind address */
MODRET set_extipbind(cmd_rec *cmd) {
  struct in_addr addr;
  config_rec *c;

  CHECK_ARG_COUNT(cmd, 1, "an IPv4 address of this host");
  CHECK_CONF(cmd, ANYWHERE);

  if (!extip_ipv4_parse(cmd->argv[1], strlen(cmd->argv[1]), &addr) ||
      addr.s_addr == INADDR_ANY) {
    CONF_ERROR(
      cmd, complain(cmd, cmd->argv[1],
             "expected an IPv4 address of this host, such as 192.168.1.2"));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(addr));
  memcpy(c->argv[0], &addr, sizeof(addr));
  return PR_HANDLED(cmd);
}

/* usage: ExtIPCACertificate path */
MODRET set_extipcacertificate(cmd_rec *cmd) {
  struct stat st;
  int res;

  CHECK_ARG_COUNT(cmd, 1, "the path of a file");
  CHECK_CONF(cmd, ANYWHERE);

  PRIVS_ROOT
  res = stat(cmd->argv[1], &st);
  PRIVS_RELINQUISH

  if (*((char *) cmd->argv[1]) != '/' || res < 0 || !S_ISREG(st.st_mode)) {
    CONF_ERROR(cmd,
      complain(cmd, cmd->argv[1],
        "expected the absolute path of a file with certificates in PEM format"));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPControlsACLs actions|all allow|deny user|group list */
MODRET set_extipcontrolsacls(cmd_rec *cmd) {
  char reason[256];

  CHECK_CONF(cmd, CONF_ROOT);
  if (extip_ftpdctl_configure(cmd, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  return PR_HANDLED(cmd);
}

/* usage: ExtIPEngine on|off */
MODRET set_extipengine(cmd_rec *cmd) {
  int engine;
  config_rec *c;

  CHECK_ARG_COUNT(cmd, 1, "on or off");
  CHECK_CONF(cmd, ANYWHERE);

  engine = get_boolean(cmd, 1);
  if (engine < 0) {
    CONF_ERROR(cmd, complain(cmd, cmd->argv[1], "expected on or off"));
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = engine;
  return PR_HANDLED(cmd);
}

/* usage: ExtIPForward off | [control] [passive] [any-port] [max number]
 * [lifetime duration] */
MODRET set_extipforward(cmd_rec *cmd) {
  struct extip_forwards_conf conf;
  char reason[256];
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT);
  if (extip_forwards_parse((char *const *) cmd->argv + 1,
        (size_t) cmd->argc - 1, &conf, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(conf));
  memcpy(c->argv[0], &conf, sizeof(conf));
  return PR_HANDLED(cmd);
}

/* usage: ExtIPGateway auto|address [pcp] [natpmp] [upnp] */
MODRET set_extipgateway(cmd_rec *cmd) {
  struct extip_gateway_conf conf;
  char reason[256];
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT);
  if (extip_gateway_parse((char *const *) cmd->argv + 1, (size_t) cmd->argc - 1,
        &conf, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(conf));
  memcpy(c->argv[0], &conf, sizeof(conf));
  return PR_HANDLED(cmd);
}

/* usage: ExtIPLog path|none */
MODRET set_extiplog(cmd_rec *cmd) {
  CHECK_ARG_COUNT(cmd, 1, "an absolute path or none");
  CHECK_CONF(cmd, CONF_ROOT);

  if (strcasecmp(cmd->argv[1], "none") != 0 &&
      *((char *) cmd->argv[1]) != '/') {
    CONF_ERROR(
      cmd, complain(cmd, cmd->argv[1], "expected an absolute path or none"));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

static void add_unsigned(cmd_rec *cmd, unsigned int value) {
  config_rec *c = add_config_param(cmd->argv[0], 1, NULL);

  c->argv[0] = palloc(c->pool, sizeof(value));
  memcpy(c->argv[0], &value, sizeof(value));
}

/* usage: ExtIPMaxAge duration|none */
MODRET set_extipmaxage(cmd_rec *cmd) {
  unsigned int seconds = 0;
  char reason[256];

  CHECK_ARG_COUNT(cmd, 1, "a duration or none");
  CHECK_CONF(cmd, ANYWHERE);

  if (strcasecmp(cmd->argv[1], "none") != 0 &&
      duration_parse(
        cmd->argv[1], 1, DURATION_MAX, &seconds, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, reason, ", or none", NULL));
  }

  add_unsigned(cmd, seconds);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPOptions [AllowReserved] [AnnounceToAll] */
MODRET set_extipoptions(cmd_rec *cmd) {
  static const struct {
    const char *name;
    unsigned long option;
  } names[] = {
    { "AllowReserved", EXTIP_OPT_ALLOW_RESERVED },
    { "AnnounceToAll", EXTIP_OPT_ANNOUNCE_TO_ALL },
  };
  unsigned long options = 0;
  config_rec *c;

  if (cmd->argc < 2) {
    CONF_ERROR(cmd, "expected AllowReserved, AnnounceToAll or both");
  }
  CHECK_CONF(cmd, ANYWHERE);

  for (unsigned int i = 1; i < (unsigned int) cmd->argc; i++) {
    unsigned long option = 0;

    for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
      if (strcasecmp(cmd->argv[i], names[j].name) == 0) {
        option = names[j].option;
      }
    }

    if (option == 0) {
      CONF_ERROR(cmd,
        complain(cmd, cmd->argv[i], "expected AllowReserved or AnnounceToAll"));
    }
    options |= option;
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(options));
  memcpy(c->argv[0], &options, sizeof(options));
  return PR_HANDLED(cmd);
}

/* usage: ExtIPProbe turn:host[:port] credentials file | url with {port} */
MODRET set_extipprobe(cmd_rec *cmd) {
  struct extip_probe probe;
  char reason[512];
  config_rec *c;

  CHECK_CONF(cmd, CONF_ROOT);
  if (extip_probe_parse((char *const *) cmd->argv + 1, cmd->argc - 1, &probe,
        reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  c = add_config_param(cmd->argv[0], cmd->argc - 1, NULL);
  for (unsigned int i = 1; i < cmd->argc; i++) {
    c->argv[i - 1] = pstrdup(c->pool, cmd->argv[i]);
  }
  return PR_HANDLED(cmd);
}

/* usage: ExtIPQuorum number */
MODRET set_extipquorum(cmd_rec *cmd) {
  const char *text;
  char allowed[64], *end = NULL;
  unsigned long quorum;

  CHECK_ARG_COUNT(cmd, 1, "a number");
  CHECK_CONF(cmd, ANYWHERE);

  text = cmd->argv[1];
  quorum = strtoul(text, &end, 10);
  if (!PR_ISDIGIT(*text) || *end != '\0' || quorum < 1 ||
      quorum > EXTIP_TABLE_SOURCES) {
    snprintf(allowed, sizeof(allowed), "expected a number from 1 to %d",
      EXTIP_TABLE_SOURCES);
    CONF_ERROR(cmd, complain(cmd, text, allowed));
  }

  add_unsigned(cmd, (unsigned int) quorum);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPRefresh interval [first-retry] */
MODRET set_extiprefresh(cmd_rec *cmd) {
  struct extip_refresh_conf refresh = { .retry = 0 };
  char reason[256];
  config_rec *c;

  if (cmd->argc < 2 || cmd->argc > 3) {
    CONF_ERROR(
      cmd, "expected an interval and perhaps a first retry, such as 5m 5s");
  }
  CHECK_CONF(cmd, ANYWHERE);

  if (duration_parse(cmd->argv[1], 1, DURATION_MAX, &refresh.refresh, reason,
        sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  if (cmd->argc == 3) {
    if (duration_parse(cmd->argv[2], 1, refresh.refresh, &refresh.retry, reason,
          sizeof(reason)) < 0) {
      CONF_ERROR(cmd, reason);
    }

  } else {
    refresh.retry =
      refresh.refresh < EXTIP_RETRY ? refresh.refresh : EXTIP_RETRY;
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = palloc(c->pool, sizeof(refresh));
  memcpy(c->argv[0], &refresh, sizeof(refresh));
  return PR_HANDLED(cmd);
}

/* The parsed sources are not in a pool. A cleanup of the config_rec's pool
 * would run too late, because SIGHUP unloads the module first. */
void extip_directives_free(void) {
  for (; source_confs != NULL; source_confs = source_confs->next) {
    extip_source_free(source_confs->source);
  }
}

/* usage: ExtIPSource uri [extract how] [header "Name: value"]... */
MODRET set_extipsource(cmd_rec *cmd) {
  struct extip_source_conf *conf;
  struct extip_source *source;
  config_rec *c;
  char reason[512];

  if (cmd->argc < 2) {
    CONF_ERROR(cmd, pstrcat(cmd->tmp_pool, "expected a URI: ",
                      extip_source_forms(reason, sizeof(reason)), NULL));
  }
  CHECK_CONF(cmd, ANYWHERE);

  source = extip_source_parse(cmd->argv[1], (char *const *) cmd->argv + 2,
    (size_t) cmd->argc - 2, reason, sizeof(reason));
  if (source == NULL) {
    CONF_ERROR(cmd, reason);
  }

  c = add_config_param(cmd->argv[0], 1, NULL);
  c->flags |= CF_MULTI;
  conf = pcalloc(c->pool, sizeof(*conf));
  conf->source = source;
  conf->words = pcalloc(c->pool, (size_t) cmd->argc * sizeof(*conf->words));
  for (unsigned int i = 1; i < (unsigned int) cmd->argc; i++) {
    conf->words[i - 1] = pstrdup(c->pool, cmd->argv[i]);
  }
  conf->global = cmd->config != NULL && cmd->config->config_type == CONF_GLOBAL;
  conf->next = source_confs;
  source_confs = conf;
  c->argv[0] = conf;
  return PR_HANDLED(cmd);
}

/* usage: ExtIPTable path|none */
MODRET set_extiptable(cmd_rec *cmd) {
  CHECK_ARG_COUNT(cmd, 1, "an absolute path or none");
  CHECK_CONF(cmd, CONF_ROOT);

  if (strcasecmp(cmd->argv[1], "none") != 0 &&
      (*((char *) cmd->argv[1]) != '/' ||
        strlen(cmd->argv[1]) > PR_TUNABLE_PATH_MAX - 16)) {
    CONF_ERROR(cmd,
      complain(cmd, cmd->argv[1],
        "expected an absolute path in a directory where only root may write, or none"));
  }

  (void) add_config_param_str(cmd->argv[0], 1, cmd->argv[1]);
  return PR_HANDLED(cmd);
}

/* usage: ExtIPTimeout duration */
MODRET set_extiptimeout(cmd_rec *cmd) {
  unsigned int seconds;
  char reason[256];

  CHECK_ARG_COUNT(cmd, 1, "a duration");
  CHECK_CONF(cmd, ANYWHERE);

  if (duration_parse(
        cmd->argv[1], 1, TIMEOUT_MAX, &seconds, reason, sizeof(reason)) < 0) {
    CONF_ERROR(cmd, reason);
  }

  add_unsigned(cmd, seconds);
  return PR_HANDLED(cmd);
}

conftable extip_conftab[] = {
  { "ExtIPBind", set_extipbind, NULL },
  { "ExtIPCACertificate", set_extipcacertificate, NULL },
  { "ExtIPControlsACLs", set_extipcontrolsacls, NULL },
  { "ExtIPEngine", set_extipengine, NULL },
  { "ExtIPForward", set_extipforward, NULL },
  { "ExtIPGateway", set_extipgateway, NULL },
  { "ExtIPLog", set_extiplog, NULL },
  { "ExtIPMaxAge", set_extipmaxage, NULL },
  { "ExtIPOptions", set_extipoptions, NULL },
  { "ExtIPProbe", set_extipprobe, NULL },
  { "ExtIPQuorum", set_extipquorum, NULL },
  { "ExtIPRefresh", set_extiprefresh, NULL },
  { "ExtIPSource", set_extipsource, NULL },
  { "ExtIPTable", set_extiptable, NULL },
  { "ExtIPTimeout", set_extiptimeout, NULL },
  { "NATPasvLocal", set_natpasvlocal, NULL },
  { NULL, NULL, NULL },
};
