/*
 * mod_extip - ExtIPGateway and ExtIPForward
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "common_duration.h"
#include "ipv4.h"
#include "router_conf.h"

#define LIFETIME_MIN 120 /* seconds; routers take no less */
#define LIFETIME_MAX (24 * 3600)

const struct extip_gateway_conf extip_gateway_default = {
  .protocols = { EXTIP_PCP, EXTIP_NATPMP },
  .protocol_count = 2,
};

const struct extip_forwards_conf extip_forwards_default = {
  .max = 64,
  .lifetime = 30 * 60,
};

/* Always -1. */
__attribute__((format(printf, 3, 4))) static int refuse(
  char *reason, size_t reason_size, const char *fmt, ...) {
  va_list args;

  va_start(args, fmt);
  vsnprintf(reason, reason_size, fmt, args);
  va_end(args);
  return -1;
}

static int add_protocol(struct extip_gateway_conf *conf, const char *word,
  char *reason, size_t reason_size) {
  for (unsigned int i = 0; i < EXTIP_PROTOCOLS; i++) {
    if (strcasecmp(word, extip_protocol_name(i)) != 0) {
      continue;
    }

    for (size_t j = 0; j < conf->protocol_count; j++) {
      if (conf->protocols[j] == i) {
        return refuse(reason, reason_size, "%s is given twice", word);
      }
    }
    conf->protocols[conf->protocol_count++] = i;
    return 0;
  }

  return refuse(
    reason, reason_size, "'%s': expected pcp, natpmp or upnp", word);
}

int extip_gateway_parse(char *const *words, size_t count,
  struct extip_gateway_conf *conf, char *reason, size_t reason_size) {
  *conf = (struct extip_gateway_conf){ .protocol_count = 0 };

  if (count == 0 ||
      (strcasecmp(words[0], "auto") != 0 &&
        (!extip_ipv4_parse(words[0], strlen(words[0]), &conf->router) ||
          conf->router.s_addr == INADDR_ANY ||
          ntohl(conf->router.s_addr) >> 28 >= 14))) {
    return refuse(reason, reason_size,
      "'%s': expected auto or the IPv4 address of the router",
      count > 0 ? words[0] : "");
  }

  for (size_t i = 1; i < count; i++) {
    if (add_protocol(conf, words[i], reason, reason_size) < 0) {
      return -1;
    }
  }

  if (conf->protocol_count == 0) {
    memcpy(conf->protocols, extip_gateway_default.protocols,
      sizeof(conf->protocols));
    conf->protocol_count = extip_gateway_default.protocol_count;
  }
  return 0;
}

static int read_max(
  const char *word, unsigned int *max, char *reason, size_t reason_size) {
  char *end = NULL;
  unsigned long number = strtoul(word, &end, 10);

  if (*word < '0' || *word > '9' || *end != '\0' || number < 1 ||
      number > EXTIP_FORWARDS_MAX) {
    return refuse(reason, reason_size,
      "max '%s': expected a number from 1 to %d", word, EXTIP_FORWARDS_MAX);
  }
  *max = (unsigned int) number;
  return 0;
}

/* Words with a value after them. */
static int read_pair(struct extip_forwards_conf *conf, const char *word,
  const char *value, char *reason, size_t reason_size) {
  if (strcasecmp(word, "max") == 0) {
    return read_max(value, &conf->max, reason, reason_size);
  }
  return duration_parse(
    value, LIFETIME_MIN, LIFETIME_MAX, &conf->lifetime, reason, reason_size);
}

static bool *find_flag(struct extip_forwards_conf *conf, const char *word) {
  return strcasecmp(word, "control") == 0    ? &conf->control
         : strcasecmp(word, "passive") == 0  ? &conf->passive
         : strcasecmp(word, "any-port") == 0 ? &conf->any_port
                                             : NULL;
}

int extip_forwards_parse(char *const *words, size_t count,
  struct extip_forwards_conf *conf, char *reason, size_t reason_size) {
  *conf = extip_forwards_default;
  if (count == 1 && strcasecmp(words[0], "off") == 0) {
    return 0;
  }

  for (size_t i = 0; i < count; i++) {
    bool *flag = find_flag(conf, words[i]);
    bool pair =
      strcasecmp(words[i], "max") == 0 || strcasecmp(words[i], "lifetime") == 0;

    if (flag != NULL) {
      *flag = true;
    } else if (!pair) {
      return refuse(reason, reason_size,
        "'%s': expected off, or control, passive, any-port, max <number> and lifetime <duration>",
        words[i]);
    } else if (++i == count) {
      return refuse(
        reason, reason_size, "a value must follow '%s'", words[i - 1]);
    } else if (read_pair(conf, words[i - 1], words[i], reason, reason_size) <
               0) {
      return -1;
    }
  }

  return conf->control || conf->passive
           ? 0
           : refuse(reason, reason_size,
               "expected off, or what is to be forwarded: control, passive or both");
}
