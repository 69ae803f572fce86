/*
 * common-list.c - lists in one line of the log, and what does not fit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_extip/common_list.h"
#include "tap.h"

static const struct {
  size_t size;
  const char *items[5]; /* up to NULL */
  const char *text;
} cases[] = {
  { 100, { NULL }, "" },
  { 100, { "one" }, "one" },
  { 100, { "one", "two", "three" }, "one, two, three" },
  { LIST_MORE + 4, { "four" }, "four" },
  { LIST_MORE + 4, { "seven" }, "1 more" },
  { LIST_MORE + 8, { "one", "two" }, "one, two" },
  { LIST_MORE + 8, { "one", "two", "six" }, "one, two and 1 more" },
  { LIST_MORE + 8, { "one", "three", "x", "y" }, "one and 3 more" },
};

int main(void) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[128];
    struct list list = list_begin(text, cases[i].size);

    memset(text + 1, 'x', sizeof(text) - 1);
    for (size_t j = 0; cases[i].items[j] != NULL; j++) {
      list_add(&list, cases[i].items[j]);
    }
    list_end(&list);
    is_str(text, cases[i].text, "'%s'", cases[i].text);
    ok(text[cases[i].size] == 'x', "... within its %zu bytes", cases[i].size);
  }
  return done_testing();
}
