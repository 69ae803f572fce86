/*
 * mod_extip - ExtIPProbe: who tries from outside whether a port is reachable
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "probe.h"
#include "uri.h"

/* The forms:
 *
 *   turn:host[:port] credentials /path
 *   http://... or https://... with {port} in it
 *
 * A TURN server without credentials would serve anybody, and there is none.
 */

static int parse_port(const char *text, uint16_t *port) {
  char *end;
  unsigned long number = strtoul(text, &end, 10);

  if (*text < '1' || *text > '9' || *end != '\0' || number > 65535) {
    return -1;
  }
  *port = (uint16_t) number;
  return 0;
}

static int parse_turn(
  const char *rest, struct extip_probe *probe, char *reason, size_t size) {
  const char *colon = strchr(rest, ':');
  size_t len = colon != NULL ? (size_t) (colon - rest) : strlen(rest);
  const char *wrong = extip_host_check(rest, len);

  if (wrong == NULL && len >= sizeof(probe->host)) {
    wrong = "the name is too long";
  }
  if (wrong != NULL) {
    snprintf(reason, size, "'%s': %s", probe->text, wrong);
    return -1;
  }

  memcpy(probe->host, rest, len);
  probe->host[len] = '\0';
  probe->turn = true;
  probe->port = EXTIP_PROBE_TURN_PORT;
  if (colon != NULL && parse_port(colon + 1, &probe->port) < 0) {
    snprintf(reason, size, "'%s': '%s' is not a port (1-65535)", probe->text,
      colon + 1);
    return -1;
  }
  return 0;
}

static int parse_credentials(char *const *words, size_t count,
  struct extip_probe *probe, char *reason, size_t size) {
  if (count == 2 && strcasecmp(words[0], "credentials") == 0 &&
      *words[1] == '/') {
    probe->credentials = words[1];
    return 0;
  }

  snprintf(reason, size,
    "'%s': expected 'credentials' and the absolute path of a file that contains user:password",
    probe->text);
  return -1;
}

static bool is_checker(const char *text) {
  return strncasecmp(text, "http://", 7) == 0 ||
         strncasecmp(text, "https://", 8) == 0;
}

int extip_probe_parse(char *const *words, size_t count,
  struct extip_probe *probe, char *reason, size_t size) {
  *probe = (struct extip_probe){ .text = count > 0 ? words[0] : "" };

  if (strncasecmp(probe->text, "turn:", 5) == 0) {
    return parse_turn(probe->text + 5, probe, reason, size) < 0
             ? -1
             : parse_credentials(words + 1, count - 1, probe, reason, size);
  }

  if (!is_checker(probe->text)) {
    snprintf(reason, size,
      "'%s': expected turn:host[:port] credentials <file>, or the URL of a checker that contains {port}",
      probe->text);
    return -1;
  }
  if (strstr(probe->text, EXTIP_PROBE_PORT) == NULL) {
    snprintf(reason, size,
      "'%s': {port} is missing, where the checker expects the number of the port",
      probe->text);
    return -1;
  }
  if (count > 1) {
    snprintf(
      reason, size, "'%s': only a TURN server has credentials", probe->text);
    return -1;
  }
  return 0;
}
