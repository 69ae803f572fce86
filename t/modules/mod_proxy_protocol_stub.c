/*
 * What others see of mod_proxy_protocol, which is not in Debian: the directive,
 * and a session whose client address is the one in version 1 of the PROXY
 * protocol's header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

#include <stdio.h>

#define HEADER_MAX 107 /* "PROXY TCP6 ..." with its end */

/* usage: ProxyProtocolEngine on|off, and the same for ProxyProtocolIgnore */
MODRET set_switch(cmd_rec *cmd) {
  config_rec *c;

  CHECK_ARGS(cmd, 1);
  CHECK_CONF(cmd, CONF_ROOT | CONF_VIRTUAL | CONF_GLOBAL);
  c = add_config_param(cmd->argv[0], 1, NULL);
  c->argv[0] = pcalloc(c->pool, sizeof(int));
  *((int *) c->argv[0]) = get_boolean(cmd, 1);
  return PR_HANDLED(cmd);
}

/* Byte by byte: what follows is the client's. */
static int read_header(int fd, char *line) {
  for (size_t len = 0; len < HEADER_MAX; len++) {
    if (read(fd, &line[len], 1) != 1) {
      return -1;
    }
    if (line[len] == '\n') {
      line[len] = '\0';
      return 0;
    }
  }
  return -1;
}

/* PROXY TCP4 client server port port. Returns the client, or NULL. */
static const char *parse_header(char *line, int *port) {
  enum { PROXY, FAMILY, CLIENT, SERVER, CLIENT_PORT, WORDS };
  char *word[WORDS], *rest = NULL;

  for (int i = 0; i < WORDS; i++) {
    word[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
    if (word[i] == NULL) {
      return NULL;
    }
  }

  *port = (int) strtol(word[CLIENT_PORT], NULL, 10);
  return strcmp(word[PROXY], "PROXY") == 0 ? word[CLIENT] : NULL;
}

static int proxy_protocol_stub_sess_init(void) {
  config_rec *c =
    find_config(main_server->conf, CONF_PARAM, "ProxyProtocolEngine", FALSE);
  char line[HEADER_MAX + 1];
  const char *client;
  int port = 0;

  if (c == NULL || *((int *) c->argv[0]) != TRUE) {
    return 0;
  }

  client =
    read_header(session.c->rfd, line) == 0 ? parse_header(line, &port) : NULL;
  if (client == NULL) {
    errno = EPERM;
    return -1;
  }

  session.c->remote_addr = pr_netaddr_get_addr(session.pool, client, NULL);
  session.c->remote_port = port;
  session.c->remote_name = pr_netaddr_get_ipstr(session.c->remote_addr);
  pr_netaddr_set_sess_addrs();
  session.conn_class = pr_class_match_addr(session.c->remote_addr);
  return 0;
}

static conftable proxy_protocol_conftab[] = {
  { "ProxyProtocolEngine", set_switch, NULL },
  { "ProxyProtocolIgnore", set_switch, NULL },
  { NULL, NULL, NULL },
};

__attribute__((visibility("default"))) module proxy_protocol_stub_module = {
  NULL,
  NULL,
  0x20,
  "proxy_protocol_stub",
  proxy_protocol_conftab,
  NULL,
  NULL,
  NULL,
  proxy_protocol_stub_sess_init,
  "mod_proxy_protocol_stub/0",
  NULL,
  0,
};
