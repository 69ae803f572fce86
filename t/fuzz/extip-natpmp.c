/*
 * extip-natpmp.c - fuzzes the reader of NAT-PMP answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/natpmp.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct extip_natpmp_answer answer;
  const char *reason;
  int res = extip_natpmp_get(data, size, &answer, &reason);

  if ((res == 0) != (reason == NULL)) {
    abort();
  }
  if (res < 0) {
    return 0;
  }

  /* A failure brings at most the port that it concerns, a mapping has both its
   * ports. */
  if (answer.result != EXTIP_NATPMP_SUCCESS &&
      (answer.addr.s_addr | answer.outer | answer.lifetime) != 0) {
    abort();
  }
  if (answer.lifetime > 0 && (answer.inner == 0 || answer.outer == 0)) {
    abort();
  }
  if (extip_natpmp_result_text(answer.result)[0] == '\0') {
    abort();
  }
  return 0;
}
