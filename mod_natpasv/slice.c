/*
 * mod_natpasv - one node's part of the ports that a fleet shares
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "slice.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOSTNAME "hostname"

/* Decimal digits up to there, at most three; -1 if it is anything else. */
static int parse_number(const char *text, const char *end) {
  int number = 0;

  if (text == end || end - text > 3) {
    return -1;
  }
  for (; text < end; text++) {
    if (*text < '0' || *text > '9') {
      return -1;
    }
    number = number * 10 + (*text - '0');
  }
  return number;
}

/* "ftp-0" is the first. */
static int part_of_host(const char *hostname) {
  const char *end = strchr(hostname, '.'), *digits;
  int ordinal;

  end = end != NULL ? end : hostname + strlen(hostname);
  digits = end;
  while (digits > hostname && digits[-1] >= '0' && digits[-1] <= '9') {
    digits--;
  }

  ordinal = parse_number(digits, end);
  return digits > hostname && digits[-1] == '-' && ordinal >= 0 ? ordinal + 1
                                                                : -1;
}

int natpasv_slice_parse(struct natpasv_slice *slice, const char *text,
  const char *hostname, char *reason, size_t reason_size) {
  const char *slash = strchr(text, '/');
  bool by_name = strncasecmp(text, HOSTNAME "/", sizeof(HOSTNAME)) == 0;
  int k, n;

  n = slash != NULL ? parse_number(slash + 1, slash + strlen(slash)) : -1;
  k = by_name         ? part_of_host(hostname)
      : slash != NULL ? parse_number(text, slash)
                      : -1;

  if (by_name && k < 0) {
    snprintf(reason, reason_size,
      "slice '%s': the name of this host, '%.64s', does not end with '-' and a number from 0",
      text, hostname);
    return -1;
  }

  if (n < 1 || n > NATPASV_SLICE_MAX || k < 1 || k > n) {
    snprintf(reason, reason_size,
      "slice '%s'%s%.64s is not <k>/<n> or hostname/<n>, with n up to %d and k from 1 to n%s",
      text, by_name ? " on host " : "", by_name ? hostname : "",
      NATPASV_SLICE_MAX,
      slash == text ? ": is the variable in %{env:...} set?" : "");
    return -1;
  }

  slice->k = (unsigned int) k;
  slice->n = (unsigned int) n;
  return 0;
}

/* As text, the part of the ports with these numbers, counted from 0. */
static void print_part(const struct natpasv_ports *ports, unsigned int first,
  unsigned int count, char *text, size_t size) {
  unsigned int before = 0, end = first + count;
  size_t used = 0;

  text[0] = '\0';
  for (unsigned int i = 0; i < ports->nranges; i++) {
    const struct natpasv_range *range = &ports->range[i];
    unsigned int after = before + range->last - range->first + 1;
    unsigned int from = before > first ? before : first;
    unsigned int to = after < end ? after : end;

    if (from < to) {
      used += (size_t) snprintf(text + used, size - used, "%s%u-%u",
        used > 0 ? "," : "", range->first + from - before,
        range->first + to - 1 - before);
    }
    before = after;
  }
}

int natpasv_slice_cut(const struct natpasv_slice *slice,
  struct natpasv_ports *ports, char *reason, size_t reason_size) {
  unsigned int size, rest;
  char text[NATPASV_MAX_RANGES * 12 + 1];

  if (slice->n == 0) {
    return 0;
  }

  size = ports->count / slice->n;
  rest = ports->count % slice->n;
  if (size == 0) {
    snprintf(reason, reason_size,
      "slice %u/%u: %u ports cannot be divided into %u parts: at least %u are needed",
      slice->k, slice->n, ports->count, slice->n, slice->n);
    return -1;
  }

  if (rest != 0) {
    snprintf(reason, reason_size,
      "slice %u/%u: %u ports cannot be divided into %u equal parts: %u or %u can",
      slice->k, slice->n, ports->count, slice->n, ports->count - rest,
      ports->count - rest + slice->n);
    return -1;
  }

  print_part(ports, (slice->k - 1) * size, size, text, sizeof(text));
  return natpasv_ports_parse(ports, text, 1);
}
