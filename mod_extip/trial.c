/*
 * mod_extip - extip-helper probe: has a probe try ports of an address
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "printable.h"
#include "trial.h"

static const char usage[] =
  "usage: extip-helper probe <probe> [credentials <file>] [as <uid>:<gid>] <address> <port>...\n"
  "Has a probe, as in ExtIPProbe, try whether it can connect to these ports.\n"
  "Exit status: 0 when it was asked, 1 when not, 2 when it cannot be.\n";

/* A number without sign, or -1. */
static long read_number(const char *text, long most) {
  char *end;
  long number;

  errno = 0;
  number = strtol(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 &&
             number <= most
           ? number
           : -1;
}

/* The file is one line, user:password. Others must not be able to read it. */
static int read_credentials(
  struct extip_trial *trial, char *reason, size_t size) {
  const char *path = trial->probe.credentials;
  char line[sizeof(trial->user) + sizeof(trial->password)];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  ssize_t len = -1;
  struct stat st;
  char *colon;

  if (fd < 0 || fstat(fd, &st) < 0) {
    snprintf(reason, size, "credentials '%s': %s", path, strerror(errno));
    return -1;
  }
  if (S_ISREG(st.st_mode) && (st.st_mode & 077) == 0) {
    len = read(fd, line, sizeof(line) - 1);
  }
  (void) close(fd);
  if (len < 0) {
    snprintf(
      reason, size, "credentials '%s': others can read it: chmod 600", path);
    return -1;
  }

  line[len] = '\0';
  line[strcspn(line, "\r\n")] = '\0';
  colon = strchr(line, ':');
  if (colon == NULL || colon == line ||
      (size_t) (colon - line) >= sizeof(trial->user) ||
      strlen(colon + 1) >= sizeof(trial->password)) {
    snprintf(
      reason, size, "credentials '%s': expected one line, user:password", path);
    return -1;
  }

  *colon = '\0';
  memcpy(trial->user, line, (size_t) (colon - line) + 1);
  memcpy(trial->password, colon + 1, strlen(colon + 1) + 1);
  explicit_bzero(line, sizeof(line));
  return 0;
}

static int become(const char *ids, char *reason, size_t size) {
  const char *colon = strchr(ids, ':');
  char user[16];
  long uid, gid;

  snprintf(
    user, sizeof(user), "%.*s", colon != NULL ? (int) (colon - ids) : 0, ids);
  uid = read_number(user, 0x7fffffff);
  gid = colon != NULL ? read_number(colon + 1, 0x7fffffff) : -1;
  if (uid < 0 || gid < 0) {
    snprintf(reason, size, "'%s' is not <uid>:<gid>", ids);
    return -1;
  }
  if (extip_drop_privileges((uid_t) uid, (gid_t) gid) < 0) {
    snprintf(reason, size, "cannot become %s: %s", ids, strerror(errno));
    return -1;
  }
  return 0;
}

static int read_ports(
  struct extip_trial *trial, int argc, char **argv, char *reason, size_t size) {
  if (argc < 2 || argc - 1 > EXTIP_TRIAL_PORTS) {
    snprintf(
      reason, size, "expected an address and 1 to %d ports", EXTIP_TRIAL_PORTS);
    return -1;
  }
  if (inet_pton(AF_INET, argv[0], &trial->addr) != 1) {
    snprintf(reason, size, "'%s' is not an IPv4 address", argv[0]);
    return -1;
  }

  for (int i = 1; i < argc; i++) {
    long port = read_number(argv[i], 65535);

    if (port < 1) {
      snprintf(reason, size, "'%s' is not a port (1-65535)", argv[i]);
      return -1;
    }
    trial->ports[trial->count++] = (uint16_t) port;
  }
  return 0;
}

/* Reads the arguments in their order, and gives up the privileges in between:
 * after the credentials were read. */
static int prepare(
  struct extip_trial *trial, int argc, char **argv, char *reason, size_t size) {
  size_t words = argc > 2 && strcasecmp(argv[1], "credentials") == 0 ? 3 : 1;

  if (extip_probe_parse(argv, words, &trial->probe, reason, size) < 0 ||
      (trial->probe.credentials != NULL &&
        read_credentials(trial, reason, size) < 0)) {
    return -1;
  }
  argc -= (int) words;
  argv += words;

  if (argc > 1 && strcmp(argv[0], "as") == 0) {
    if (become(argv[1], reason, size) < 0) {
      return -1;
    }
    argc -= 2;
    argv += 2;
  }
  return read_ports(trial, argc, argv, reason, size);
}

int extip_trial_main(int argc, char **argv) {
  static struct extip_trial trial;
  char reason[512], shown[512];
  int res;

  if (argc < 1) {
    fputs(usage, stderr);
    return 2;
  }

  /* Who reads the lines may end before this does. */
  (void) setvbuf(stdout, NULL, _IOLBF, 0);
  if (prepare(&trial, argc, argv, reason, sizeof(reason)) < 0) {
    printf("failed %s\n", reason);
    return 2;
  }

  res = trial.probe.turn ? extip_trial_turn(&trial, reason, sizeof(reason))
                         : extip_trial_http(&trial, reason, sizeof(reason));
  if (res < 0) {
    (void) extip_printable(shown, sizeof(shown), reason, strlen(reason));
    printf("failed %s\n", shown);
    return 1;
  }
  return 0;
}
