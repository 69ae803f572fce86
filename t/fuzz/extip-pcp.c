/*
 * extip-pcp.c - fuzzes the reader of PCP answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/pcp.c"

/* A mapping that was given is asked for again: the request says the same. */
static void ask_again(
  const uint8_t *data, const struct extip_pcp_answer *answer) {
  unsigned char request[EXTIP_PCP_MAP_REQUEST_MAX];
  struct extip_pcp_map map = {
    .inner = answer->inner,
    .outer = answer->outer,
    .outer_addr = answer->outer_addr,
    .lifetime = answer->lifetime,
    .prefer_failure = true,
  };

  memcpy(map.nonce, answer->nonce, sizeof(map.nonce));
  if (!extip_pcp_answers(answer, &map) ||
      extip_pcp_put_map(request, &map) != (map.lifetime > 0 && map.outer > 0 ? 64 : 60) ||
      memcmp(request + 4, data + 4, 4) != 0 ||
      memcmp(request + 24, data + 24, 13) != 0 ||
      memcmp(request + 40, data + 40, 20) != 0) {
    abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct extip_pcp_answer answer;
  const char *reason;
  int res = extip_pcp_get(data, size, &answer, &reason);

  if ((res == 0) != (reason == NULL)) {
    abort();
  }
  if (res < 0) {
    return 0;
  }

  if (answer.version != EXTIP_PCP_VERSION &&
      answer.result != EXTIP_PCP_UNSUPP_VERSION) {
    abort();
  }
  if (answer.op == EXTIP_PCP_MAP && answer.result == EXTIP_PCP_SUCCESS) {
    ask_again(data, &answer);
  }
  if (extip_pcp_result_text(answer.result)[0] == '\0') {
    abort();
  }
  return 0;
}
