/*
 * extip-upnp.c - fuzzes the reader of extip-upnp's lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/upnp.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct extip_upnp_line line;
  char printed[EXTIP_UPNP_LINE_SIZE];
  const char *reason;
  int res = extip_upnp_parse((const char *) data, size, &line, &reason);

  if ((res == 0) != (reason == NULL)) {
    abort();
  }
  /* There is one way to write a line. */
  if (res == 0 && (extip_upnp_print(printed, &line) != size + 1 ||
                    memcmp(printed, data, size) != 0 || printed[size] != '\n')) {
    abort();
  }
  return 0;
}
