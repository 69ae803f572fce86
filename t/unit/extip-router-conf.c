/*
 * ExtIPGateway and ExtIPForward: what is taken, with its value, and what is
 * not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/portforward.c"
#include "../../mod_extip/router_conf.c"
#include "tap.h"

#include <stdio.h>

static char *list[16];

static size_t split(const char *text) {
  static char words[256];
  size_t count = 0;

  snprintf(words, sizeof(words), "%s", text);
  for (char *word = strtok(words, " "); word != NULL;
       word = strtok(NULL, " ")) {
    list[count++] = word;
  }
  return count;
}

/* What a line means, in words; or what is wrong with it. */

static const char *gateway(const char *line) {
  static char text[256];
  struct extip_gateway_conf conf;
  size_t len;

  if (extip_gateway_parse(list, split(line), &conf, text, sizeof(text)) < 0) {
    return text;
  }

  (void) inet_ntop(AF_INET, &conf.router, text, sizeof(text));
  len = strlen(text);
  for (size_t i = 0; i < conf.protocol_count; i++) {
    len += (size_t) snprintf(text + len, sizeof(text) - len, " %s",
      extip_protocol_name(conf.protocols[i]));
  }
  return text;
}

static const char *forward(const char *line) {
  static char text[256];
  struct extip_forwards_conf conf;

  if (extip_forwards_parse(list, split(line), &conf, text, sizeof(text)) < 0) {
    return text;
  }

  snprintf(text, sizeof(text), "%s%s%smax %u lifetime %u",
    conf.control ? "control " : "", conf.passive ? "passive " : "",
    conf.any_port ? "any-port " : "", conf.max, conf.lifetime);
  return text;
}

#define EXPECTED_ROUTER "expected auto or the IPv4 address of the router"
#define EXPECTED_NUMBER "expected a number from 1 to 1000"
#define EXPECTED_FORWARDS \
  "expected off, or what is to be forwarded: control, passive or both"
#define EXPECTED_WORDS \
  "expected off, or control, passive, any-port, max <number> and lifetime <duration>"

static const struct {
  const char *line, *want;
} gateways[] = {
  { "auto", "0.0.0.0 pcp natpmp" },
  { "AUTO natpmp", "0.0.0.0 natpmp" },
  { "auto upnp PCP natpmp", "0.0.0.0 upnp pcp natpmp" },
  { "192.168.1.1", "192.168.1.1 pcp natpmp" },
  { "223.255.255.254 upnp", "223.255.255.254 upnp" },
  { "", "'': " EXPECTED_ROUTER },
  { "router", "'router': " EXPECTED_ROUTER },
  { "0.0.0.0", "'0.0.0.0': " EXPECTED_ROUTER },
  { "224.0.0.1", "'224.0.0.1': " EXPECTED_ROUTER },
  { "255.255.255.255", "'255.255.255.255': " EXPECTED_ROUTER },
  { "auto igd", "'igd': expected pcp, natpmp or upnp" },
  { "auto pcp upnp UPnP", "UPnP is given twice" },
};

static const struct {
  const char *line, *want;
} forwards[] = {
  { "off", "max 64 lifetime 1800" },
  { "OFF", "max 64 lifetime 1800" },
  { "control", "control max 64 lifetime 1800" },
  { "Passive", "passive max 64 lifetime 1800" },
  { "passive any-port control",
    "control passive any-port max 64 lifetime 1800" },
  { "control max 1", "control max 1 lifetime 1800" },
  { "max 1000 control", "control max 1000 lifetime 1800" },
  { "control lifetime 2m", "control max 64 lifetime 120" },
  { "control LIFETIME 24h MAX 9", "control max 9 lifetime 86400" },
  { "", EXPECTED_FORWARDS },
  { "any-port", EXPECTED_FORWARDS },
  { "max 7", EXPECTED_FORWARDS },
  { "off control", "'off': " EXPECTED_WORDS },
  { "control off", "'off': " EXPECTED_WORDS },
  { "control maximum 7", "'maximum': " EXPECTED_WORDS },
  { "control max", "a value must follow 'max'" },
  { "control lifetime", "a value must follow 'lifetime'" },
  { "control max 0", "max '0': " EXPECTED_NUMBER },
  { "control max 1001", "max '1001': " EXPECTED_NUMBER },
  { "control max 7x", "max '7x': " EXPECTED_NUMBER },
  { "control max +7", "max '+7': " EXPECTED_NUMBER },
  { "control max :", "max ':': " EXPECTED_NUMBER },
};

int main(void) {
  for (size_t i = 0; i < sizeof(gateways) / sizeof(gateways[0]); i++) {
    is_str(gateway(gateways[i].line), gateways[i].want, "ExtIPGateway %s",
      gateways[i].line);
  }
  for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++) {
    is_str(forward(forwards[i].line), forwards[i].want, "ExtIPForward %s",
      forwards[i].line);
  }
  ok(strstr(forward("control lifetime 119"), "from 120s to 86400s") != NULL &&
       strstr(forward("control lifetime 86401"), "from 120s") != NULL,
    "a lifetime that is too short or too long");
  return done_testing();
}
