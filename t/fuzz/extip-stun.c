/*
 * extip-stun.c - fuzzes the reader of STUN replies. The input is a reply; its
 * transaction id is taken for ours, so that more than the header is read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/printable.c"
#include "../../mod_extip/stun.c"
#include "../../mod_extip/stun_message.c"

/* Half of all inputs have a FINGERPRINT that no mutation finds by itself. */
static void repair(unsigned char *buf, size_t len) {
  uint32_t crc;

  if (len < EXTIP_STUN_HEADER_SIZE + 8 || len % 4 != 0 ||
      get16(buf + len - 8) != EXTIP_STUN_FINGERPRINT) {
    return;
  }
  crc = crc32(buf, len - 8) ^ FINGERPRINT_XOR;
  put16(buf + len - 4, crc >> 16);
  put16(buf + len - 2, crc & 0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char id[EXTIP_STUN_ID_SIZE] = { 0 };
  unsigned char *buf = malloc(size);
  struct extip_stun_reply reply;
  enum extip_stun_result result;

  memcpy(buf, data, size);
  if (size >= EXTIP_STUN_HEADER_SIZE) {
    memcpy(id, buf + 8, sizeof(id));
    extip_stun_length(buf);
    if ((id[0] & 1) == 0) {
      repair(buf, size);
    }
  }
  result = extip_stun_parse(buf, size, id, &reply);
  free(buf);

  if ((result == EXTIP_STUN_ADDRESS) != (*reply.reason == '\0') ||
      (result == EXTIP_STUN_ERROR || result == EXTIP_STUN_ALTERNATE) !=
        (reply.code != 0)) {
    abort();
  }
  for (const char *c = reply.reason; *c != '\0'; c++) {
    if (*c < 0x20 || *c > 0x7e) {
      abort();
    }
  }
  return 0;
}
