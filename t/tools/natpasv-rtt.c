/*
 * natpasv-rtt - how long servers take to answer a command: many round trips on
 * one control connection each, each timed.
 *
 *   natpasv-rtt <address> <port>[,<port>]... <count> <command>...
 *
 * Logs in as ftp/ftp. Servers and commands take turns in blocks, so that
 * whatever else happens on the machine happens to all of them. After each
 * command comes a NOOP that is not timed: the server has done with the command
 * when it answers that, and no processor goes to sleep. One line a server and
 * command: the port, the command, how many answers began with 2, lowest and
 * highest port announced, and the 10th, 50th, 90th and 99th percentile in
 * microseconds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SERIES 16
#define BLOCK      20

struct series {
  int control;
  unsigned int port;
  const char *command;
  char line[64];
  double *us;
  unsigned int good, lowest, highest;
};

static char reply[4096];

static double now_us(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

/* One reply, which may have several lines; its code. */
static int read_reply(int control) {
  size_t length = 0;

  for (;;) {
    ssize_t got =
      read(control, reply + length, sizeof(reply) - length - 1);
    char *last;

    if (got <= 0) {
      fprintf(stderr, "natpasv-rtt: the server closed the connection\n");
      exit(1);
    }
    length += (size_t) got;
    reply[length] = '\0';
    if (reply[length - 1] != '\n') {
      continue;
    }

    for (last = reply + length - 1; last > reply && last[-1] != '\n'; last--) {
    }
    if (last[3] == ' ') {
      return (int) strtol(last, NULL, 10);
    }
  }
}

static int ask(int control, const char *line) {
  if (write(control, line, strlen(line)) < 0) {
    perror("natpasv-rtt");
    exit(1);
  }
  return read_reply(control);
}

/* The port of a 227 or 229 reply; 0 for any other. */
static unsigned int announced_port(void) {
  unsigned long number[6];
  char *at = strchr(reply, '(');

  if (strncmp(reply, "229", 3) == 0) {
    return (unsigned int) strtoul(at + 4, NULL, 10);
  }
  if (strncmp(reply, "227", 3) != 0) {
    return 0;
  }
  for (int i = 0; i < 6; i++) {
    number[i] = strtoul(at + 1, &at, 10);
  }
  return (unsigned int) (number[4] * 256 + number[5]);
}

static void take(struct series *one, unsigned int i) {
  double begin = now_us();
  int code = ask(one->control, one->line);
  unsigned int port;

  one->us[i] = now_us() - begin;
  one->good += code / 100 == 2;
  port = announced_port();
  if (port != 0) {
    one->lowest =
      one->lowest == 0 || port < one->lowest ? port : one->lowest;
    one->highest = port > one->highest ? port : one->highest;
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static int log_in(const char *address, unsigned int port) {
  struct sockaddr_in server = { .sin_family = AF_INET };
  int control = socket(AF_INET, SOCK_STREAM, 0), on = 1;

  inet_pton(AF_INET, address, &server.sin_addr);
  server.sin_port = htons((uint16_t) port);
  setsockopt(control, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(control, (struct sockaddr *) &server, sizeof(server)) < 0) {
    perror("natpasv-rtt");
    exit(1);
  }

  (void) read_reply(control);
  (void) ask(control, "USER ftp\r\n");
  if (ask(control, "PASS ftp\r\n") != 230) {
    fprintf(stderr, "natpasv-rtt: %s", reply);
    exit(1);
  }
  return control;
}

static void show(struct series *one, unsigned int count) {
  double *us = one->us;

  qsort(us, count, sizeof(double), compare);
  printf("%u %s %u %u %u %.1f %.1f %.1f %.1f\n", one->port, one->command,
    one->good, one->lowest, one->highest, us[count / 10], us[count / 2],
    us[count * 9 / 10], us[count * 99 / 100]);
  free(us);
}

int main(int argc, char **argv) {
  static struct series series[MAX_SERIES];
  unsigned int count, all = 0;
  char *port;

  if (argc < 5) {
    fprintf(stderr, "usage: natpasv-rtt <address> <port>[,<port>]... <count> "
      "<command>...\n");
    return 2;
  }
  count = (unsigned int) strtoul(argv[3], NULL, 10);

  for (port = argv[2]; *port != '\0'; port += *port == ',') {
    unsigned int number = (unsigned int) strtoul(port, &port, 10);
    int control = log_in(argv[1], number), arg;

    for (arg = 4; arg < argc && all < MAX_SERIES; arg++) {
      struct series *one = &series[all++];

      one->control = control;
      one->port = number;
      one->command = argv[arg];
      snprintf(one->line, sizeof(one->line), "%s\r\n", argv[arg]);
      one->us = calloc(count, sizeof(double));
    }
  }

  for (unsigned int i = 0; i < count; i += BLOCK) {
    for (unsigned int k = 0; k < all; k++) {
      for (unsigned int j = i; j < i + BLOCK && j < count; j++) {
        take(&series[k], j);
        (void) ask(series[k].control, "NOOP\r\n");
      }
    }
  }

  for (unsigned int k = 0; k < all; k++) {
    show(&series[k], count);
  }
  return 0;
}
