/*
 * natpasv-rtt - how long the server takes to answer a command: many round
 * trips on one control connection, each timed.
 *
 *   natpasv-rtt <address> <port> <count> <command>...
 *
 * Logs in as ftp/ftp. The commands take turns in blocks, so that whatever else
 * happens on the machine happens to all of them. After each comes a NOOP that
 * is not timed: the server has done with the command when it answers that, and
 * no processor goes to sleep. One line a command: the command, how many answers
 * began with 2, lowest and highest port announced, and the 10th, 50th, 90th and
 * 99th percentile in microseconds.
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

#define MAX_COMMANDS 8
#define BLOCK        20

struct series {
  char line[64];
  double *us;
  unsigned good, lowest, highest;
};

static int control = -1;
static char reply[4096];

static double now_us(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

/* One reply, which may have several lines; its code. */
static int read_reply(void) {
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

static int ask(const char *line) {
  if (write(control, line, strlen(line)) < 0) {
    perror("natpasv-rtt");
    exit(1);
  }
  return read_reply();
}

/* The port of a 227 or 229 reply; 0 for any other. */
static unsigned announced_port(void) {
  unsigned long number[6];
  char *at = strchr(reply, '(');
  int i;

  if (strncmp(reply, "229", 3) == 0) {
    return (unsigned) strtoul(at + 4, NULL, 10);
  }
  if (strncmp(reply, "227", 3) != 0) {
    return 0;
  }
  for (i = 0; i < 6; i++) {
    number[i] = strtoul(at + 1, &at, 10);
  }
  return (unsigned) (number[4] * 256 + number[5]);
}

static void take(struct series *one, unsigned i) {
  double begin = now_us();
  int code = ask(one->line);
  unsigned port;

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

int main(int argc, char **argv) {
  struct sockaddr_in server = { .sin_family = AF_INET };
  struct series series[MAX_COMMANDS];
  unsigned count, i, kinds = (unsigned) argc - 4, k;
  int on = 1;

  if (argc < 5 || kinds > MAX_COMMANDS) {
    fprintf(stderr, "usage: natpasv-rtt <address> <port> <count> "
      "<command>...\n");
    return 2;
  }
  inet_pton(AF_INET, argv[1], &server.sin_addr);
  server.sin_port = htons((uint16_t) strtoul(argv[2], NULL, 10));
  count = (unsigned) strtoul(argv[3], NULL, 10);

  control = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(control, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(control, (struct sockaddr *) &server, sizeof(server)) < 0) {
    perror("natpasv-rtt");
    return 1;
  }
  (void) read_reply();
  (void) ask("USER ftp\r\n");
  if (ask("PASS ftp\r\n") != 230) {
    fprintf(stderr, "natpasv-rtt: %s", reply);
    return 1;
  }

  for (k = 0; k < kinds; k++) {
    memset(&series[k], 0, sizeof(series[k]));
    snprintf(series[k].line, sizeof(series[k].line), "%s\r\n", argv[4 + k]);
    series[k].us = calloc(count, sizeof(double));
  }

  for (i = 0; i < count; i += BLOCK) {
    for (k = 0; k < kinds; k++) {
      unsigned j;

      for (j = i; j < i + BLOCK && j < count; j++) {
        take(&series[k], j);
        (void) ask("NOOP\r\n");
      }
    }
  }

  for (k = 0; k < kinds; k++) {
    double *us = series[k].us;

    qsort(us, count, sizeof(double), compare);
    printf("%s %u %u %u %.1f %.1f %.1f %.1f\n", argv[4 + k], series[k].good,
      series[k].lowest, series[k].highest, us[count / 10], us[count / 2],
      us[count * 9 / 10], us[count * 99 / 100]);
    free(us);
  }
  return 0;
}
