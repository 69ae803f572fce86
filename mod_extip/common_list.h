/*
 * common_list.h - a list in one line of the log
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* Needs no ProFTPD. */

#ifndef COMMON_LIST_H
#define COMMON_LIST_H

#include <stdio.h>
#include <string.h>

/* A list of items with commas between them. What does not fit is counted. */
struct list {
  char *text;
  size_t size;
  unsigned int more;
};

/* Room that is left for the number of items that do not fit. */
#define LIST_MORE sizeof(" and 4294967295 more")

/* The list is in TEXT, which has SIZE bytes, more than LIST_MORE. */
static inline struct list list_begin(char *text, size_t size) {
  *text = '\0';
  return (struct list){ text, size, 0 };
}

static inline void list_add(struct list *list, const char *item) {
  const char *comma = *list->text != '\0' ? ", " : "";
  size_t used = strlen(list->text);

  if (list->more > 0 ||
      used + strlen(comma) + strlen(item) + LIST_MORE > list->size) {
    list->more++;
    return;
  }
  (void) snprintf(list->text + used, list->size - used, "%s%s", comma, item);
}

static inline void list_end(const struct list *list) {
  size_t used = strlen(list->text);

  if (list->more > 0) {
    (void) snprintf(list->text + used, list->size - used, "%s%u more",
      used > 0 ? " and " : "", list->more);
  }
}

#endif
