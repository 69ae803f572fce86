/*
 * natpasv-crowd - waits for ports as so many sessions would, and takes none,
 * until its standard input ends.
 *
 *   natpasv-crowd <table> <ports> <count>
 *
 * Prints the number of places in the queue, one line, when it has them.
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

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  static struct natpasv_table table;
  static struct natpasv_ports ports;
  unsigned int count, waiting = 0;
  char reason[256], end;

  if (argc != 4 || natpasv_ports_parse(&ports, argv[2], 1) < 0) {
    fprintf(stderr, "usage: natpasv-crowd <table> <ports> <count>\n");
    return 2;
  }
  if (natpasv_file_open(
        &table, argv[1], NATPASV_FILE_RELOAD, reason, sizeof(reason)) < 0) {
    fprintf(stderr, "%s: %s\n", argv[1], reason);
    return 1;
  }

  count = (unsigned int) strtoul(argv[3], NULL, 10);
  for (unsigned int i = 0; i < count; i++) {
    /* A place of its own in the same table. */
    struct natpasv_table place = table;
    struct natpasv_lessee lessee = { .table = &place,
      .ports = &ports,
      .key = natpasv_ports_key(&ports),
      .client = i + 1,
      .any = true };

    waiting += natpasv_queue_enrol(&lessee) == 0 &&
               natpasv_queue_join(&lessee) == 0 && errno == EBUSY;
  }
  printf("%u\n", waiting);
  fflush(stdout);
  while (read(STDIN_FILENO, &end, 1) > 0) {
  }
  return 0;
}
