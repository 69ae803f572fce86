/*
 * What ftpdctl natpasv prints.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/metrics.c"
#include "../../mod_natpasv/status.c"

#include "tap.h"

#include <stdlib.h>

static char printed[8000];

static void keep(void *user, const char *line) {
  (void) user;
  strncat(printed, line, sizeof(printed) - strlen(printed) - 1);
  strncat(printed, "\n", sizeof(printed) - strlen(printed) - 1);
}

static const struct natpasv_counts classes[] = {
  { 0, "", 40, { 2117, 1, 2, 3, 4, 6 } },
  { 0, "lan", 7, { 5, 0, 0, 0, 0, 0 } },
};

static const struct natpasv_status_pool pools[] = {
  { "public", 1000, 12, 31, 5, { 0, "", 40, { 2122, 1, 2, 3, 4, 6 } }, classes,
    2, 0, 0 },
  { "rest", 10, 0, 0, 0, { 0, "", 0, { 0 } }, NULL, 0, 8, 4 },
};

static const struct natpasv_status_lease leases[] = {
  { 61000, "", "192.0.2.1", 4711, 3 },
  { 61001, "lan", "2001:db8::1", 4712, -1 },
};

static const struct natpasv_status status = { "mod_natpasv/0.1", 86400, pools,
  2 };

static const struct natpasv_status nothing = { "mod_natpasv/0.1", 0, NULL, 0 };

static void test_text(void) {
  struct report out = { keep, NULL };

  setenv("TZ", "UTC", 1);
  natpasv_status_text(&status, 86400 + 3661, &out);
  is_str(printed,
    "pool                        size    leased quarantined waiting\n"
    "public                      1000        12          31       5\n"
    "rest                          10         0           0       0\n"
    "  4 of 8 forwarded\n"
    "since 1970-01-02 00:00:00 (1h 1m 1s ago)\n"
    "pool, class                 peak   granted  waited refused unreached  "
    "dropped  foreign\n"
    "public                        40      2122       1       2         4     "
    "   6        3\n"
    "  (none)                      40      2117       1       2         4     "
    "   6        3\n"
    "  lan                          7         5       0       0         0     "
    "   0        0\n"
    "rest                           0         0       0       0         0     "
    "   0        0\n",
    "pools and their classes in columns");

  printed[0] = '\0';
  natpasv_status_leases(leases, 2, 5, &out);
  is_str(printed,
    " port class            client                                     process "
    "    age\n"
    "61000 (none)           192.0.2.1                                     4711 "
    "     3s\n"
    "61001 lan              2001:db8::1                                   4712 "
    "    -1s\n"
    "and 3 more\n",
    "leases, and how many there was no room for");
}

/* Nobody has used active mode. */
#define NO_ACTIVE                                                       \
  ", \"active\": 0, \"active_replaced\": 0, \"active_refused\": 0, " \
  "\"active_failed\": 0"

static void test_json(void) {
  printed[0] = '\0';
  natpasv_status_json(&status, keep, NULL);
  is_str(printed,
    "{\"module\": \"mod_natpasv\", \"version\": \"0.1\", \"since\": "
    "\"1970-01-02T00:00:00Z\", \"pools\": [{\"pool\": \"public\", \"size\": "
    "1000, \"leased\": 12, \"quarantined\": 31, \"waiting\": 5, \"peak\": 40, "
    "\"granted\": 2122, \"waited\": 1, \"refused\": 2, \"foreign\": 3, "
    "\"unreached\": 4, \"dropped\": 6" NO_ACTIVE ", \"to_forward\": 0, \"forwarded\": 0, \"classes\": [{\"class\": \"\", "
    "\"peak\": 40, \"granted\": 2117, \"waited\": 1, \"refused\": 2, "
    "\"foreign\": 3, \"unreached\": 4, \"dropped\": 6" NO_ACTIVE "}, {\"class\": \"lan\", "
    "\"peak\": 7, \"granted\": 5, \"waited\": 0, \"refused\": 0, \"foreign\": "
    "0, \"unreached\": 0, \"dropped\": 0" NO_ACTIVE "}]}, {\"pool\": \"rest\", \"size\": "
    "10, \"leased\": 0, \"quarantined\": 0, \"waiting\": 0, \"peak\": 0, "
    "\"granted\": 0, \"waited\": 0, \"refused\": 0, \"foreign\": 0, "
    "\"unreached\": 0, \"dropped\": 0, \"active\": 0, \n\"active_replaced\": 0, "
    "\"active_refused\": 0, \"active_failed\": 0, \"to_forward\": 8, \"forwarded\": 4, \"classes\": []}]}\n",
    "the same as JSON");

  printed[0] = '\0';
  natpasv_status_json(&nothing, keep, NULL);
  is_str(printed,
    "{\"module\": \"mod_natpasv\", \"version\": \"0.1\", \"since\": null, "
    "\"pools\": []}\n",
    "no pool is an empty array");

  printed[0] = '\0';
  natpasv_status_leases_json(
    "mod_natpasv/0.1", 86400, leases, 2, 5, keep, NULL);
  is_str(printed,
    "{\"module\": \"mod_natpasv\", \"version\": \"0.1\", \"since\": "
    "\"1970-01-02T00:00:00Z\", \"leased\": 5, \"leases\": [{\"port\": 61000, "
    "\"class\": \"\", \"client\": \"192.0.2.1\", \"pid\": 4711, \"age_s\": 3}, "
    "{\"port\": 61001, \"class\": \"lan\", \"client\": \"2001:db8::1\", "
    "\"pid\": 4712, \"age_s\": null}]}\n",
    "leases as JSON");
}

/* Whether a metric has these samples, in this order, and no other. */
static void metric(const char *name, const char *samples) {
  char begin[200], *at, *end;

  snprintf(begin, sizeof(begin), "# TYPE %s ", name);
  at = strstr(printed, begin);
  at = at != NULL ? strchr(at, '\n') + 1 : strchr(printed, '\0');
  end = strstr(at, "# HELP");
  snprintf(begin, sizeof(begin), "%.*s",
    (int) (end != NULL ? end - at : (long) strlen(at)), at);
  is_str(begin, samples, "%s", name);
}

static void test_metrics(void) {
  struct natpasv_status_pool twice[] = { pools[1], pools[1] };
  struct natpasv_status repeated = status;

  printed[0] = '\0';
  natpasv_metrics(&status, keep, NULL);
  metric("proftpd_natpasv_info", "proftpd_natpasv_info{version=\"0.1\"} 1\n");
  metric("proftpd_natpasv_leased_ports",
    "proftpd_natpasv_leased_ports{pool=\"public\"} 12\n"
    "proftpd_natpasv_leased_ports{pool=\"rest\"} 0\n");
  metric("proftpd_natpasv_requests_refused_total",
    "proftpd_natpasv_requests_refused_total{pool=\"public\",class=\"\"} 2\n"
    "proftpd_natpasv_requests_refused_total{pool=\"public\",class=\"lan\"} 0\n"
    "proftpd_natpasv_requests_refused_total{pool=\"rest\",class=\"\"} 0\n");

  repeated.pools = twice;
  printed[0] = '\0';
  natpasv_metrics(&repeated, keep, NULL);
  metric("proftpd_natpasv_pool_ports",
    "proftpd_natpasv_pool_ports{pool=\"rest\"} 10\n");
  metric("proftpd_natpasv_ports_granted_total",
    "proftpd_natpasv_ports_granted_total{pool=\"rest\",class=\"\"} 0\n");
}

int main(void) {
  test_text();
  test_json();
  test_metrics();
  return done_testing();
}
