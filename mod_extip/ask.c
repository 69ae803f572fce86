/*
 * mod_extip - asks one source for a person, who runs the helper by hand
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>

#include "ask.h"
#include "round.h"

#define ASK_TIMEOUT_MS 5000

int extip_ask(int argc, char **argv) {
  struct extip_query query = { .timeout_ms = ASK_TIMEOUT_MS, .ca_file = "" };
  struct extip_answer *answer = &query.answer;
  char reason[512], addr[INET_ADDRSTRLEN] = "none";
  struct extip_source *source = extip_source_parse(
    argv[0], argv + 1, (size_t) argc - 1, reason, sizeof(reason));
  struct extip_loop *loop;

  if (source == NULL) {
    fprintf(stderr, "extip-helper: %s\n", reason);
    return 2;
  }

  (void) signal(SIGPIPE, SIG_IGN);
  query.source = source;
  loop = extip_loop_make();
  if (loop == NULL) {
    perror("extip-helper");
    return 2;
  }

  extip_loop_ask(loop, &query);
  while (!query.settled && extip_loop_turn(loop, ASK_TIMEOUT_MS) == 0) {
    continue;
  }

  if (answer->addr.s_addr != INADDR_ANY) {
    inet_ntop(AF_INET, &answer->addr, addr, sizeof(addr));
  }
  printf("%-11s %-15s %5u ms  %s\n", extip_status_name(answer->status), addr,
    answer->latency_ms, source->text);
  if (answer->status != EXTIP_OK) {
    printf("            %s\n", answer->reason);
  }

  extip_loop_free(loop);
  extip_source_free(source);
  return answer->status == EXTIP_OK ? 0 : 1;
}
