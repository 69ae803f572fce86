/*
 * mod_natpasv - what the host says about its ports
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSCTL     "/proc/sys/net/ipv4/"
#define TCP_LISTEN 0x0a

/* The first line, with blanks in it turned to dashes: the kernel writes the
 * two ends of a range so. */
static int read_line(const char *path, char *line, size_t size) {
  FILE *file = fopen(path, "re");
  char *got, *blank;

  if (file == NULL) {
    return -1;
  }

  got = fgets(line, (int) size, file);
  (void) fclose(file);
  if (got == NULL) {
    return -1;
  }

  line[strcspn(line, "\n")] = '\0';
  for (blank = strchr(line, '\t'); blank != NULL; blank = strchr(line, '\t')) {
    *blank = '-';
  }
  return 0;
}

int natpasv_host_ephemeral(struct natpasv_ports *ports, char *reserved) {
  struct natpasv_ports kept;
  char range[64];
  unsigned i;

  if (read_line(SYSCTL "ip_local_port_range", range, sizeof(range)) < 0 ||
      natpasv_ports_parse(ports, range, 1) < 0) {
    return -1;
  }

  if (read_line(
        SYSCTL "ip_local_reserved_ports", reserved, NATPASV_RESERVED_MAX) < 0) {
    reserved[0] = '\0';
  }

  if (natpasv_ports_parse(&kept, reserved, 1) == 0) {
    for (i = 0; i < NATPASV_WORDS; i++) {
      ports->mask[i] &= ~kept.mask[i];
    }
  }
  return 0;
}

/* "  0: 0100007F:1F40 00000000:0000 0A ...": local and remote address with
 * port, state. The kernel shows the listening ones first. */
static int listening_port(const char *line) {
  const char *local = strchr(line, ':'), *remote, *state;

  local = local != NULL ? strchr(local + 1, ':') : NULL;
  remote = local != NULL ? strchr(local + 1, ':') : NULL;
  state = remote != NULL ? strchr(remote + 1, ' ') : NULL;

  if (state == NULL || strtoul(state, NULL, 16) != TCP_LISTEN) {
    return -1;
  }
  return (int) (strtoul(local + 1, NULL, 16) & NATPASV_MAX_PORT);
}

static int add_listeners(uint64_t *listeners, const char *path) {
  FILE *file = fopen(path, "re");
  char line[512];
  int port;

  if (file == NULL) {
    return -1;
  }

  /* The first line is the heading. */
  if (fgets(line, sizeof(line), file) != NULL) {
    while (fgets(line, sizeof(line), file) != NULL &&
           (port = listening_port(line)) >= 0) {
      listeners[natpasv_word(port)] |= natpasv_bit(port);
    }
  }

  (void) fclose(file);
  return 0;
}

int natpasv_host_listeners(uint64_t listeners[NATPASV_WORDS]) {
  memset(listeners, 0, NATPASV_WORDS * sizeof(uint64_t));

  /* A host without IPv6 has no tcp6. */
  (void) add_listeners(listeners, "/proc/net/tcp6");
  return add_listeners(listeners, "/proc/net/tcp");
}
