/*
 * mod_natpasv - reads bytes that came in TLS
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "tlsread.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

size_t natpasv_tlsread(SSL *ssl, int fd, char *text, size_t size, off_t *raw) {
  uint64_t before = BIO_number_read(SSL_get_rbio(ssl));
  int flags = fcntl(fd, F_GETFL), got;

  /* Does not wait for the rest of an incomplete message. */
  if (SSL_in_init(ssl) || flags < 0 ||
      fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return 0;
  }

  got = SSL_read(ssl, text, (int) size);
  (void) fcntl(fd, F_SETFL, flags);
  *raw += (off_t) (BIO_number_read(SSL_get_rbio(ssl)) - before);

  /* The next user of this SSL would take the error queue for its own. */
  if (got <= 0) {
    ERR_clear_error();
  }
  return got > 0 ? (size_t) got : 0;
}
