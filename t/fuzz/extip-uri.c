/*
 * extip-uri.c - fuzzes the reader of ExtIPSource. The input's lines are the
 * words: the URI, then the options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/extract.c"
#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/json.c"
#include "../../mod_extip/percent.c"
#include "../../mod_extip/printable.c"
#include "../../mod_extip/uri.c"

#define WORDS_MAX 8

static void check_text(const char *text) {
  for (const char *c = text; *c != '\0'; c++) {
    if (*c < 0x20 || *c > 0x7e) {
      abort();
    }
  }
}

/* What is printed must be read as the same source, where nothing is hidden. */
static void check_source(const struct extip_source *source) {
  struct extip_source *again;
  char reason[512];

  check_text(source->text);
  check_text(source->key);
  if (strchr(source->text, '*') != NULL) {
    return;
  }
  again = extip_source_parse(source->text, NULL, 0, reason, sizeof(reason));
  if (again == NULL || again->kind != source->kind ||
      again->port != source->port || strcmp(again->host, source->host) != 0 ||
      strcmp(again->key, source->key) != 0 ||
      strcmp(again->text, source->text) != 0) {
    abort();
  }
  extip_source_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = strndup((const char *) data, size);
  char *words[WORDS_MAX] = { text };
  size_t count = 1;
  char reason[512] = "";
  char shown[64];
  struct extip_source *source;

  for (char *c = text; *c != '\0' && count < WORDS_MAX; c++) {
    if (*c == '\n') {
      *c = '\0';
      words[count++] = c + 1;
    }
  }
  extip_source_redact(words[0], shown, sizeof(shown));
  check_text(shown);
  source = extip_source_parse(words[0], words + 1, count - 1, reason, sizeof(reason));
  if (source != NULL) {
    check_source(source);
  } else {
    check_text(reason);
    if (*reason == '\0') {
      abort();
    }
  }
  extip_source_free(source);
  free(text);
  return 0;
}
