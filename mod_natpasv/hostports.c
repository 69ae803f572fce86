/*
 * mod_natpasv - ports of this host that others use
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "hostports.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSCTL     "/proc/sys/net/ipv4/"
#define TCP_LISTEN 0x0a

/* Room for a list of every other port. */
#define LINE_MAX_SIZE (256 * 1024)

/* Reads the first line and turns blanks into dashes, because the kernel
 * separates the two ends of a range by a blank. It has to be one read: the
 * kernel does not go on with a list. To be freed; NULL if there is none. */
static char *read_line(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  char *line = fd >= 0 ? malloc(LINE_MAX_SIZE) : NULL;
  ssize_t length = line != NULL ? read(fd, line, LINE_MAX_SIZE - 1) : -1;

  if (fd >= 0) {
    (void) close(fd);
  }
  if (length < 0) {
    free(line);
    return NULL;
  }

  line[length] = '\0';
  line[strcspn(line, "\n")] = '\0';
  for (char *blank = strchr(line, '\t'); blank != NULL;
       blank = strchr(line, '\t')) {
    *blank = '-';
  }
  return line;
}

static void mark(
  uint64_t *ports, const struct natpasv_range *range, bool marked) {
  for (unsigned int port = range->first; port <= range->last; port++) {
    uint64_t *word = &ports[natpasv_word(port)], bit = natpasv_bit(port);

    *word = marked ? *word | bit : *word & ~bit;
  }
}

/* One range at a time: the kernel's list may have more of them than a pool. */
static void remove_ports(uint64_t *ports, const char *list) {
  while (*list != '\0') {
    struct natpasv_ports some;
    size_t length = strcspn(list, ",");
    char range[32] = "";

    if (length < sizeof(range)) {
      memcpy(range, list, length);
    }

    if (natpasv_ports_parse(&some, range, 1) == 0) {
      mark(ports, &some.range[0], false);
    }
    list += length + (list[length] == ',');
  }
}

int natpasv_hostports_ephemeral(
  struct natpasv_range *range, uint64_t ports[NATPASV_WORDS], char **reserved) {
  char *line = read_line(SYSCTL "ip_local_port_range");
  struct natpasv_ports all;
  int res = line != NULL ? natpasv_ports_parse(&all, line, 1) : -1;

  free(line);
  if (res < 0) {
    return -1;
  }

  *range = all.range[0];
  memset(ports, 0, NATPASV_WORDS * sizeof(uint64_t));
  mark(ports, range, true);
  *reserved = read_line(SYSCTL "ip_local_reserved_ports");
  if (*reserved != NULL) {
    remove_ports(ports, *reserved);
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

int natpasv_hostports_listeners(uint64_t listeners[NATPASV_WORDS]) {
  memset(listeners, 0, NATPASV_WORDS * sizeof(uint64_t));

  /* A host without IPv6 has no tcp6. */
  (void) add_listeners(listeners, "/proc/net/tcp6");
  return add_listeners(listeners, "/proc/net/tcp");
}
