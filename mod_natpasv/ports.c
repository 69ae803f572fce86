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
static int parse_port(const char **text, unsigned *port, unsigned lowest) {
  const char *digit = *text;
  unsigned number = 0;

  if (*digit < '1' || *digit > '9') {
    return -1;
  }

  for (; *digit >= '0' && *digit <= '9'; digit++) {
    number = number * 10 + (unsigned) (*digit - '0');
    if (number > NATPASV_MAX_PORT) {
      return -1;
    }
  }

  *text = digit;
  *port = number;
  return number < lowest ? -1 : 0;
}

static int parse_range(
  const char **text, struct natpasv_range *range, unsigned lowest) {
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
  unsigned port;

  if (ports->nranges == NATPASV_MAX_RANGES) {
    errno = E2BIG;
    return -1;
  }

  for (port = range->first; port <= range->last; port++) {
    if (natpasv_ports_have(ports, port)) {
      errno = EEXIST;
      return -1;
    }
    ports->mask[natpasv_word(port)] |= natpasv_bit(port);
  }

  if (ports->nranges == 0 || natpasv_word(range->first) < ports->first_word) {
    ports->first_word = natpasv_word(range->first);
  }
  if (natpasv_word(range->last) > ports->last_word) {
    ports->last_word = natpasv_word(range->last);
  }

  ports->range[ports->nranges++] = *range;
  ports->count += range->last - range->first + 1;
  return 0;
}

int natpasv_ports_parse(
  struct natpasv_ports *ports, const char *text, unsigned lowest) {
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
  unsigned i;
  int length = 0;

  for (i = 0; i < ports->nranges; i++) {
    const struct natpasv_range *range = &ports->range[i];
    size_t used = (size_t) length < size ? (size_t) length : size;

    length += snprintf(text + used, size - used,
      range->first == range->last ? "%s%u" : "%s%u-%u", i == 0 ? "" : ",",
      range->first, range->last);
  }

  return length;
}

int natpasv_ports_have(const struct natpasv_ports *ports, unsigned port) {
  return port <= NATPASV_MAX_PORT &&
         (ports->mask[natpasv_word(port)] & natpasv_bit(port)) != 0;
}

int natpasv_ports_index(const struct natpasv_ports *ports, unsigned port) {
  unsigned i, before = 0;

  for (i = 0; i < ports->nranges; i++) {
    const struct natpasv_range *range = &ports->range[i];

    if (port >= range->first && port <= range->last) {
      return (int) (before + port - range->first);
    }
    before += range->last - range->first + 1;
  }

  return -1;
}

unsigned natpasv_ports_nth(const struct natpasv_ports *ports, unsigned place) {
  const struct natpasv_range *range = ports->range;

  while (place > range->last - range->first) {
    place -= range->last - range->first + 1;
    range++;
  }
  return range->first + place;
}

unsigned natpasv_ports_overlap(
  const struct natpasv_ports *a, const struct natpasv_ports *b) {
  unsigned word;

  for (word = 0; word < NATPASV_WORDS; word++) {
    uint64_t both = a->mask[word] & b->mask[word];

    if (both != 0) {
      return word * 64 + (unsigned) __builtin_ctzll(both);
    }
  }

  return 0;
}
