/*
 * mod_natpasv - why a data connection could not be opened
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "failure.h"

/* ProFTPD has no header for it. */
extern pr_response_t *resp_err_list;

const char *natpasv_failure(void) {
  const pr_response_t *reply = resp_err_list;

  return reply != NULL && reply->num != NULL && strcmp(reply->num, R_425) == 0
           ? reply->msg
           : NULL;
}

void natpasv_failure_replace(const char *text) {
  pr_response_clear(&resp_err_list);
  pr_response_add_err(R_425, "%s", text);
}

int natpasv_failure_errno(const char *text, const int *errors, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (strstr(text, strerror(errors[i])) != NULL) {
      return errors[i];
    }
  }
  return 0;
}
