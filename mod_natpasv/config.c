/*
 * mod_natpasv - what the configuration says about a whole server
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "config.h"

#define ENGINE "NATPasvEngine"

bool natpasv_config_is_on(xaset_t *conf, const char *directive) {
  const config_rec *c = find_config(conf, CONF_PARAM, directive, FALSE);

  return c != NULL && *((const int *) c->argv[0]) == TRUE;
}

bool natpasv_config_engine(xaset_t *conf) {
  return natpasv_config_is_on(conf, ENGINE);
}

bool natpasv_config_any_on(xaset_t *conf) {
  for (config_rec *c = find_config(conf, CONF_PARAM, ENGINE, TRUE); c != NULL;
       c = find_config_next(c, c->next, CONF_PARAM, ENGINE, TRUE)) {
    if (*((int *) c->argv[0]) == TRUE) {
      return true;
    }
  }
  return false;
}

bool natpasv_config_any_engine(void) {
  for (server_rec *s = (server_rec *) server_list->xas_list; s != NULL;
       s = s->next) {
    if (natpasv_config_any_on(s->conf)) {
      return true;
    }
  }
  return false;
}

bool natpasv_config_may_engage(xaset_t *conf) {
  return find_config(conf, CONF_PARAM, ENGINE, TRUE) != NULL;
}

bool natpasv_config_behind_balancer(xaset_t *conf) {
  return natpasv_config_is_on(conf, "ProxyProtocolEngine") &&
         !natpasv_config_is_on(conf, "ProxyProtocolIgnore");
}

const char *natpasv_config_param(const char *directive, const char *preset) {
  server_rec *s = (server_rec *) server_list->xas_list;
  config_rec *c = find_config(s->conf, CONF_PARAM, directive, FALSE);

  return c != NULL ? c->argv[0] : preset;
}
