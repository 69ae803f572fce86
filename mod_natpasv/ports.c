/*
 * mod_natpasv - the ports of a pool
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "ports.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A decimal number without sign, blank or leading zero; moves the text on. */
static int parse_port(
  const char **text, unsigned int *port, unsigned int lowest) {
  const char *digit = *text;
  unsigned int number = 0;

  if (*digit < '1' || *digit > '9') {
    return -1;
  }

  for (; *digit >= '0' && *digit <= '9'; digit++) {
    number = number * 10 + (unsigned int) (*digit - '0');
    if (number > NATPASV_MAX_PORT) {
      return -1;
    }
  }

  *text = digit;
  *port = number;
  return number < lowest ? -1 : 0;
}

static int parse_range(
  const char **text, struct natpasv_range *range, unsigned int lowest) {
  if (parse_port(text, &range->first, lowest) < 0) {
    return -1;
  }

  range->last = range->first;
  if (**text == '-') {
    (*text)++;
    if (parse_port(text, &range->last, lowest) < 0) {
      return -1;
    }
  }

  return range->last < range->first ? -1 : 0;
}

static int add_range(
  struct natpasv_ports *ports, const struct natpasv_range *range) {
  struct natpasv_ports one = { .nranges = 1, .range = { *range } };

  if (ports->nranges == NATPASV_MAX_RANGES) {
    errno = E2BIG;
    return -1;
  }

  if (natpasv_ports_overlap(ports, &one) != 0) {
    errno = EEXIST;
    return -1;
  }

  ports->range[ports->nranges++] = *range;
  ports->count += range->last - range->first + 1;
  return 0;
}

int natpasv_ports_parse(
  struct natpasv_ports *ports, const char *text, unsigned int lowest) {
  struct natpasv_range range;

  memset(ports, 0, sizeof(*ports));

  for (;;) {
    if (parse_range(&text, &range, lowest) < 0 ||
        (*text != ',' && *text != '\0')) {
      errno = EINVAL;
      return -1;
    }

    if (add_range(ports, &range) < 0) {
      return -1;
    }

    if (*text++ == '\0') {
      return 0;
    }
  }
}

int natpasv_ports_print(
  const struct natpasv_ports *ports, char *text, size_t size) {
  int length = 0;

  for (unsigned int i = 0; i < ports->nranges; i++) {
    const struct natpasv_range *range = &ports->range[i];
    size_t used = (size_t) length < size ? (size_t) length : size;

    length += snprintf(text + used, size - used,
      range->first == range->last ? "%s%u" : "%s%u-%u", i == 0 ? "" : ",",
      range->first, range->last);
  }

  return length;
}

bool natpasv_ports_have(const struct natpasv_ports *ports, unsigned int port) {
  return natpasv_ports_index(ports, port) >= 0;
}

int natpasv_ports_index(const struct natpasv_ports *ports, unsigned int port) {
  unsigned int before = 0;

  for (unsigned int i = 0; i < ports->nranges; i++) {
    const struct natpasv_range *range = &ports->range[i];

    if (port >= range->first && port <= range->last) {
      return (int) (before + port - range->first);
    }
    before += range->last - range->first + 1;
  }

  return -1;
}

unsigned int natpasv_ports_nth(
  const struct natpasv_ports *ports, unsigned int n) {
  for (unsigned int i = 0; i < ports->nranges; i++) {
    unsigned int size = ports->range[i].last - ports->range[i].first + 1;

    if (n < size) {
      return ports->range[i].first + n;
    }
    n -= size;
  }
  return 0;
}

uint64_t natpasv_ports_key(const struct natpasv_ports *ports) {
  struct natpasv_range runs[NATPASV_MAX_RANGES];
  unsigned int n = natpasv_ports_runs(ports, runs);
  uint64_t key = n;

  for (unsigned int i = 0; i < n; i++) {
    key ^= (uint64_t) runs[i].first << 32 | runs[i].last;
    key = (key ^ key >> 29) * UINT64_C(0x9e3779b97f4a7c15);
  }
  key ^= key >> 32;
  return key != 0 ? key : 1;
}

unsigned int natpasv_ports_runs(const struct natpasv_ports *ports,
  struct natpasv_range runs[NATPASV_MAX_RANGES]) {
  unsigned int n = 0, port = 0;

  /* The next range each time, and one that begins where that ended is part of
   * it. */
  for (unsigned int i = 0; i < ports->nranges; i++) {
    const struct natpasv_range *next = NULL;

    for (unsigned int j = 0; j < ports->nranges; j++) {
      const struct natpasv_range *range = &ports->range[j];

      if (range->first >= port &&
          (next == NULL || range->first < next->first)) {
        next = range;
      }
    }

    if (n > 0 && next->first == port) {
      runs[n - 1].last = next->last;
    } else {
      runs[n++] = *next;
    }
    port = next->last + 1;
  }
  return n;
}

unsigned int natpasv_ports_overlap(
  const struct natpasv_ports *a, const struct natpasv_ports *b) {
  for (unsigned int i = 0; i < a->nranges; i++) {
    for (unsigned int j = 0; j < b->nranges; j++) {
      const struct natpasv_range *one = &a->range[i], *other = &b->range[j];

      if (one->first <= other->last && other->first <= one->last) {
        return one->first > other->first ? one->first : other->first;
      }
    }
  }
  return 0;
}

unsigned int natpasv_ports_marked(
  const struct natpasv_ports *ports, const uint64_t bitmap[NATPASV_WORDS]) {
  for (unsigned int i = 0; i < ports->nranges; i++) {
    for (unsigned int port = ports->range[i].first;
         port <= ports->range[i].last; port++) {
      if ((bitmap[natpasv_word(port)] & natpasv_bit(port)) != 0) {
        return port;
      }
    }
  }
  return 0;
}
