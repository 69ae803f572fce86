/*
 * extip-extract.c - fuzzes the extraction of an address. The input's first line
 * is the word after "extract", the rest both the headers and the body.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdint.h>

#include "../../mod_extip/extract.c"
#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/json.c"
#include "../../mod_extip/printable.c"

static void check_text(const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    if (*c < 0x20 || *c > 0x7e) {
      abort();
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const uint8_t *newline = memchr(data, '\n', size);
  size_t how_len = newline != NULL ? (size_t) (newline - data) : size;
  size_t rest = newline != NULL ? size - how_len - 1 : 0;
  char *how = strndup((const char *) data, how_len);
  char *text = malloc(rest);
  struct extip_extract extract = { 0 };
  struct extip_extract_input input = { text, rest, text, rest };
  struct in_addr addr;
  char reason[160] = "";

  if (rest > 0) {
    memcpy(text, newline + 1, rest);
  }
  if (extip_extract_parse(how, &extract, reason, sizeof(reason)) < 0 ||
      extip_extract_run(&extract, &input, &addr, reason, sizeof(reason)) < 0) {
    if (*reason == '\0') {
      abort();
    }
    check_text(reason);
  }
  extip_extract_free(&extract);
  free(text);
  free(how);
  return 0;
}
