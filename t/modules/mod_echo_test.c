/*
 * A module that answers 'ftpdctl echo FILE' with the lines of a file: what it
 * costs ProFTPD itself to send them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "conf.h"

#include "mod_ctrls.h"

static int echo(pr_ctrls_t *ctrl, int argc, char **argv) {
  char line[PR_TUNABLE_BUFFER_SIZE];
  FILE *file = argc > 0 ? fopen(argv[argc - 1], "re") : NULL;

  if (file == NULL) {
    (void) pr_ctrls_add_response(ctrl, "echo: %s", strerror(errno));
    return -1;
  }

  while (fgets(line, sizeof(line), file) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    (void) pr_ctrls_add_response(ctrl, "%s", line);
  }
  (void) fclose(file);
  return 0;
}

static int echo_test_init(void);

__attribute__((visibility("default"))) module echo_test_module = {
  NULL, NULL, 0x20, "echo_test", NULL, NULL, NULL, echo_test_init,
  NULL, "mod_echo_test/0", NULL, 0,
};

static int echo_test_init(void) {
  return pr_ctrls_register(
           &echo_test_module, "echo", "the lines of a file", echo) < 0
           ? -1
           : 0;
}
