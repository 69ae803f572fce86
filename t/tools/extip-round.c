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

#include "../../mod_extip/driver.h"
#include "../../mod_extip/log.h"
#include "../../mod_extip/round.h"

#define QUERIES_MAX 200

/* The round that runs. */
static size_t unsettled;
static int ended;
static int first_answer_is_enough;

static void on_settled(struct extip_query *query) {
  unsettled--;
  ended |= first_answer_is_enough && query->answer.status == EXTIP_OK;
}

static void end_round(int fd, void *user) {
  (void) fd;
  (void) user;
  ended = 1;
}

/* Asks all of them; what is not settled at the end of the round is cancelled. */
static int run_round(
  struct extip_loop *loop, struct extip_query *queries, size_t count) {
  unsettled = count;
  ended = 0;
  for (size_t i = 0; i < count; i++) {
    queries[i].answer.status = EXTIP_CANCELLED;
    snprintf(queries[i].answer.reason, sizeof(queries[i].answer.reason),
      "the round ended early");
  }

  for (size_t i = 0; i < count && !ended; i++) {
    extip_loop_ask(loop, &queries[i]);
  }

  while (unsettled > 0 && !ended) {
    if (extip_loop_turn(loop, 60000) < 0) {
      return -1;
    }
  }

  for (size_t i = 0; i < count; i++) {
    if (queries[i].loop == loop && !queries[i].settled) {
      queries[i].answer.status = EXTIP_CANCELLED;
      snprintf(queries[i].answer.reason, sizeof(queries[i].answer.reason),
        "the round ended early");
    }
  }

  return 0;
}

/* The helper's is in its main file, which is not here. */
void extip_log(enum extip_loudness loudness, const char *fmt, ...) {
  (void) loudness;
  (void) fmt;
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
    char reason[512];

    while (words[used] != NULL && strcmp(words[used], ",") != 0) {
      used++;
    }
    queries[count] = *model;
    queries[count].source = used == 0 ? NULL : extip_source_parse(words[0],
      words + 1, used - 1, reason, sizeof(reason));
    if (queries[count].source == NULL) {
      fprintf(stderr, "extip-round: %s\n", used == 0 ? "no source" : reason);
      exit(2);
    }
    count++;
    words += used + (words[used] != NULL);
  }
  return count;
}

int main(int argc, char **argv) {
  static struct extip_query queries[QUERIES_MAX];
  struct extip_query model = {
    .timeout_ms = 1000, .ca_file = "", .on_settled = on_settled
  };
  struct extip_loop *loop;
  int wake_fd = -1;
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
        model.ca_file = optarg;
        break;
      case 't':
        model.timeout_ms = (unsigned int) strtoul(optarg, NULL, 10);
        break;
      case 'n':
        rounds = strtol(optarg, NULL, 10);
        break;
      case 'f':
        first_answer_is_enough = 1;
        break;
      case 'w':
        wake_fd = STDIN_FILENO;
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
  loop = extip_loop_make();
  if (loop == NULL) {
    perror("extip-round");
    return 1;
  }
  extip_loop_watch(loop, wake_fd, end_round, NULL);
  for (long i = 0; i < rounds; i++) {
    if (run_round(loop, queries, count) < 0) {
      perror("extip-round");
      return 1;
    }
    if (i == rounds / 10) {
      rss = proc_status("VmRSS:");
    }
  }
  extip_loop_free(loop);
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
  return 0;
}
