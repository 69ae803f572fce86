/*
 * extip-task.c - fuzzes the reader of what the daemon tells the helper: what it
 * takes, the printer must make again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdlib.h>

#include "../../mod_extip/extract.c"
#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/json.c"
#include "../../mod_extip/percent.c"
#include "../../mod_extip/portforward.c"
#include "../../mod_extip/printable.c"
#include "../../mod_extip/task.c"
#include "../../mod_extip/uri.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char reason[128];
  struct extip_task *task =
    extip_task_parse((const char *) data, size, reason, sizeof(reason));

  if (task == NULL) {
    if (reason[0] == '\0') {
      abort();
    }
    return 0;
  }

  for (size_t i = 0; i < task->count; i++) {
    const struct extip_discovery *discovery = &task->discoveries[i];

    if (discovery->record >= EXTIP_TABLE_ANSWERS ||
        discovery->source_count == 0 ||
        discovery->source_count > EXTIP_TABLE_SOURCES) {
      abort();
    }
  }
  extip_task_free(task);
  return 0;
}
