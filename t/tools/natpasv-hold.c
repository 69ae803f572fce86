/*
 * natpasv-hold - takes leases as a session does, listens on the ports, and
 * holds them until its standard input ends.
 *
 *   natpasv-hold <table> <ports> <count> [<address>]
 *
 * Prints the number of ports held, one line, when all are. With "-" for the
 * table it only listens, as a stranger or stock ProFTPD would.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/file.c"
#include "../../mod_natpasv/futex.c"
#include "../../mod_natpasv/lease.c"
#include "../../mod_natpasv/ports.c"
#include "../../mod_natpasv/queue.c"
#include "../../mod_natpasv/random.c"
#include "../../mod_natpasv/table.c"
#include "../../mod_natpasv/turns.c"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

static int listen_on(const char *address, int port) {
  struct sockaddr_in sin = { .sin_family = AF_INET,
    .sin_port = htons((uint16_t) port) };
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

  inet_pton(AF_INET, address, &sin.sin_addr);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return bind(fd, (struct sockaddr *) &sin, sizeof(sin)) < 0 ||
      listen(fd, 1) < 0
    ? -1
    : fd;
}

int main(int argc, char **argv) {
  struct rlimit limit = { 70000, 70000 };
  static struct natpasv_table table;
  static struct natpasv_lessee lessee;
  static struct natpasv_ports ports;
  unsigned int held, count;
  char end;

  if (argc < 4 || natpasv_ports_parse(&ports, argv[2], 1) < 0) {
    fprintf(stderr, "usage: natpasv-hold <table>|- <ports> <count> [addr]\n");
    return 2;
  }
  count = (unsigned int) strtoul(argv[3], NULL, 10);
  (void) setrlimit(RLIMIT_NOFILE, &limit);

  if (strcmp(argv[1], "-") != 0) {
    char reason[256];

    if (natpasv_file_open(
          &table, argv[1], NATPASV_FILE_RELOAD, reason, sizeof(reason)) < 0) {
      fprintf(stderr, "%s: %s\n", argv[1], reason);
      return 1;
    }
    lessee = (struct natpasv_lessee){ .table = &table, .ports = &ports,
      .key = natpasv_ports_key(&ports), .client = 1, .any = true };
    if (natpasv_queue_enrol(&lessee) < 0) {
      perror(argv[1]);
      return 1;
    }
  }

  for (held = 0; held < count; held++) {
    int port = lessee.table != NULL
                 ? (int) natpasv_queue_claim(&lessee, false)
                 : (int) (ports.range[0].first + held);

    int fd = port <= 0 ? -1 : listen_on(argc > 4 ? argv[4] : "127.0.0.1", port);

    /* A lease counts without a listener too: some port of 60,000 is always in
     * use, and descriptors may be fewer. */
    if (port <= 0 || (fd < 0 && lessee.table == NULL)) {
      perror("natpasv-hold");
      return 1;
    }
  }

  printf("%u\n", held);
  fflush(stdout);
  while (read(STDIN_FILENO, &end, 1) > 0) {
  }
  return 0;
}
