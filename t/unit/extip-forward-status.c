/* ftpdctl extip forwards: the lines for people and for machines. */

#include "../../mod_extip/forward_status.c"
#include "../../mod_extip/portforward.c"
#include "../../mod_extip/printable.c"
#include "tap.h"

#include <stdlib.h>

static char printed[256 * 1024];

static void keep(void *user, const char *line) {
  size_t used = strlen(printed);

  (void) user;
  snprintf(printed + used, sizeof(printed) - used, "%s\n", line);
}

/* 1,700,000,000 is 2023-11-14 22:13:20 UTC. */
#define WALL 1700000000

static const struct extip_forward forwards[] = {
  { .port = { 21, 21 },
    .given = 21,
    .state = EXTIP_FORWARD_OPEN,
    .protocol = EXTIP_PCP,
    .addr = 0x07090909,
    .since = WALL - 60,
    .until = 5000 + 1000 * 900 },
  { .port = { 61000, 62000 },
    .given = 40000,
    .state = EXTIP_FORWARD_OPEN,
    .protocol = EXTIP_NATPMP,
    .since = WALL,
    .until = 5000 },
  { .port = { 61001, 61001 },
    .state = EXTIP_FORWARD_REFUSED,
    .addr = 0x07090909,
    .reason = "the router's table is full\n" },
};

int main(void) {
  struct json json = { .line = keep };

  setenv("TZ", "UTC", 1);
  extip_forward_status_text(forwards, 3, 5000, WALL, keep, NULL);
  is_str(printed,
    "2 of 3 ports are forwarded\n"
    " port outside               protocol state        since               until\n"
    "   21 9.9.9.7:21            pcp      open         2023-11-14 22:12:20 2023-11-14 22:28:20\n"
    "61000 ?:40000               natpmp   open         2023-11-14 22:13:20 2023-11-14 22:13:20\n"
    "61001 -                     pcp      refused      -                   -\n"
    "      the router's table is full?\n",
    "a line for each, and why it is not open");

  printed[0] = '\0';
  json_report(&json, "mod_extip/0.1", 0);
  extip_forward_status_json(forwards + 1, 2, 5000, WALL, &json);
  json_report_end(&json);
  is_str(printed,
    "{\"module\": \"mod_extip\", \"version\": \"0.1\", \"since\": null, "
    "\"forwards\": [{\"port\": 61000, \"wanted_port\": 62000, \"outside_port\": 40000, "
    "\"outside_address\": null, \"protocol\": \"natpmp\", \"state\": \"open\", "
    "\"since\": \"2023-11-14T22:13:20Z\", \"until\": \"2023-11-14T22:13:20Z\", \"reason\": \"\"}, "
    "{\"port\": 61001, \"wanted_port\": 61001, \"outside_port\": null, "
    "\"outside_address\": \"9.9.9.7\", \"protocol\": \"pcp\", "
    "\"state\": \"refused\", \"since\": null, \"until\": null, "
    "\"reason\": \"the router's table is full\\u000a\"}]}\n",
    "the same as JSON");

  static struct extip_forward many[EXTIP_FORWARDS_MAX];
  size_t lines = 0;

  printed[0] = '\0';
  extip_forward_status_text(many, EXTIP_FORWARDS_MAX, 0, WALL, keep, NULL);
  for (const char *c = printed; (c = strchr(c, '\n')) != NULL; c++) {
    lines++;
  }
  ok(lines > 400 && lines < 1000, "a thousand are fewer lines than ftpdctl takes");
  return done_testing();
}
