/*
 * extip-round.c - runs rounds of mod_extip without a server: asks the sources of
 * the command line and prints, one line a source:
 *
 *   <uri>: <status> <address or -> peer <address:port or -> <ms> ms: <reason>
 *
 * usage: extip-round [-b bind address] [-c CA file or ''] [-t timeout in ms]
 *                    [-n rounds] [-f] [-w] uri [word]... [, uri [word]...]...
 *
 * -n: prints the last round, then "rounds <n> ms <all> rss <kB after a tenth>
 * <kB at the end> fds <before> <after> threads <n>". -f: the round ends with the
 * first good answer. -w: it ends when standard input can be read. Exit status 2
 * for a source that is malformed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../mod_extip/job.h"
#include "../../mod_extip/round.h"

#define QUERIES_MAX 200

static int first_answer_is_enough(struct extip_query *query, void *user) {
  (void) user;
  return query->answer.status == EXTIP_OK;
}

static void print_answer(const struct extip_query *query) {
  const struct extip_answer *answer = &query->answer;
  char addr[INET_ADDRSTRLEN] = "-";
  char peer[INET_ADDRSTRLEN + 8] = "-";

  if (answer->addr.s_addr != 0) {
    inet_ntop(AF_INET, &answer->addr, addr, sizeof(addr));
  }
  if (answer->peer.sin_family != 0) {
    char host[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &answer->peer.sin_addr, host, sizeof(host));
    snprintf(
      peer, sizeof(peer), "%s:%u", host, ntohs(answer->peer.sin_port));
  }
  printf("%s: [%s] %s peer %s %u ms: %s\n", query->source->text,
    extip_status_name(answer->status), addr, peer, answer->latency_ms,
    answer->reason);
}

/* A number out of /proc/self/status, -1 without one. */
static long proc_status(const char *name) {
  FILE *status = fopen("/proc/self/status", "r");
  char line[128];
  long value = -1;

  while (status != NULL && fgets(line, sizeof(line), status) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0) {
      value = strtol(line + strlen(name), NULL, 10);
    }
  }
  if (status != NULL) {
    fclose(status);
  }
  return value;
}

static int count_fds(void) {
  DIR *dir = opendir("/proc/self/fd");
  int count = -1; /* its own */

  while (dir != NULL && readdir(dir) != NULL) {
    count++;
  }
  if (dir != NULL) {
    closedir(dir);
  }
  return count;
}

/* The queries of "uri [word]... [, uri [word]...]..."; their number. */
static size_t read_queries(
  char **words, const struct extip_query *model, struct extip_query *queries) {
  size_t count = 0;

  while (*words != NULL && count < QUERIES_MAX) {
    size_t used = 0;
    char err[512];

    while (words[used] != NULL && strcmp(words[used], ",") != 0) {
      used++;
    }
    queries[count] = *model;
    queries[count].source = used == 0 ? NULL : extip_source_parse(words[0],
      words + 1, used - 1, err, sizeof(err));
    if (queries[count].source == NULL) {
      fprintf(stderr, "extip-round: %s\n", used == 0 ? "no source" : err);
      exit(2);
    }
    count++;
    words += used + (words[used] != NULL);
  }
  return count;
}

int main(int argc, char **argv) {
  static struct extip_query queries[QUERIES_MAX];
  struct extip_query model = { .timeout_ms = 1000 };
  struct extip_round_opts opts = { .wake_fd = -1 };
  long rounds = 1;
  long rss = 0;
  int64_t start;
  int fds;
  size_t count;
  int opt;

  while ((opt = getopt(argc, argv, "+b:c:t:n:fw")) != -1) {
    switch (opt) {
      case 'b':
        inet_pton(AF_INET, optarg, &model.bind);
        break;
      case 'c':
        model.ca_file = *optarg != '\0' ? optarg : NULL;
        break;
      case 't':
        model.timeout_ms = (unsigned) strtoul(optarg, NULL, 10);
        break;
      case 'n':
        rounds = strtol(optarg, NULL, 10);
        break;
      case 'f':
        opts.settled = first_answer_is_enough;
        break;
      case 'w':
        opts.wake_fd = STDIN_FILENO;
        break;
      default:
        return 2;
    }
  }
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  count = read_queries(argv + optind, &model, queries);

  fds = count_fds();
  start = extip_now();
  for (long i = 0; i < rounds; i++) {
    if (extip_round_run(queries, count, &opts) < 0) {
      perror("extip-round");
      return 1;
    }
    if (i == rounds / 10) {
      rss = proc_status("VmRSS:");
    }
  }
  for (size_t i = 0; i < count; i++) {
    print_answer(&queries[i]);
  }
  if (rounds > 1) {
    printf("rounds %ld ms %lld rss %ld %ld fds %d %d threads %ld\n", rounds,
      (long long) (extip_now() - start), rss, proc_status("VmRSS:"), fds,
      count_fds(), proc_status("Threads:"));
  }
  for (size_t i = 0; i < count; i++) {
    extip_source_free((struct extip_source *) queries[i].source);
  }
  extip_round_free();
  return 0;
}
