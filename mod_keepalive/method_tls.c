/*
 * mod_keepalive - method tls: a NewSessionTicket message
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* On a TLS 1.3 connection the server may send tickets whenever it likes
 * (RFC 8446 4.6.1): payload for everything between the peers, nothing for FTP.
 * KeyUpdate would be smaller, but GnuTLS refuses the ninth that is not
 * answered, and an answer that is asked for blocks the data transfer.  Needs
 * no ProFTPD.
 */

#include "method.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

const char *keepalive_tls_version(SSL *ssl) {
  return ssl != NULL ? SSL_get_version(ssl) : "no TLS";
}

/* SSL_new_session_ticket() came with OpenSSL 3.0. */
#if OPENSSL_VERSION_NUMBER >= 0x30000000L

int keepalive_tls_possible(SSL *ssl) {
  return ssl != NULL && SSL_version(ssl) == TLS1_3_VERSION;
}

enum keepalive_result keepalive_tls_send(SSL *ssl, unsigned long *written) {
  unsigned long before = BIO_number_written(SSL_get_wbio(ssl));
  int res;

  if (SSL_in_init(ssl)) {
    return KEEPALIVE_HANDSHAKE;
  }

  res = SSL_new_session_ticket(ssl);
  if (res == 1) {
    res = SSL_do_handshake(ssl);
  }

  /* Whoever uses this SSL next reads the error queue as his own. */
  ERR_clear_error();

  *written += BIO_number_written(SSL_get_wbio(ssl)) - before;
  return res == 1 ? KEEPALIVE_SENT : KEEPALIVE_FAILED;
}

#else

int keepalive_tls_possible(SSL *ssl) {
  (void) ssl;
  return 0;
}

enum keepalive_result keepalive_tls_send(SSL *ssl, unsigned long *written) {
  (void) ssl;
  (void) written;
  return KEEPALIVE_FAILED;
}

#endif
