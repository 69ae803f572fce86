/*
 * natpasv-waiting - how many sessions wait for a port, as the table says.
 *
 *   natpasv-waiting <table>
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/file.c"
#include "../../mod_natpasv/futex.c"
#include "../../mod_natpasv/random.c"
#include "../../mod_natpasv/table.c"

int main(int argc, char **argv) {
  struct natpasv_table table;
  unsigned int waiting = 0;
  char reason[256];

  if (argc != 2) {
    fprintf(stderr, "usage: natpasv-waiting <table>\n");
    return 2;
  }
  if (natpasv_file_open(
        &table, argv[1], NATPASV_FILE_RELOAD, reason, sizeof(reason)) < 0) {
    fprintf(stderr, "%s: %s\n", argv[1], reason);
    return 1;
  }

  for (unsigned int n = 1; n < NATPASV_OWNERS; n++) {
    waiting += atomic_load(&table.map->owner[n].turn) == NATPASV_WAITS &&
               natpasv_table_alive(&table, (uint16_t) n);
  }
  printf("%u\n", waiting);
  natpasv_file_close(&table);
  return 0;
}
