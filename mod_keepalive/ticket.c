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

/* On a TLS 1.3 connection, the server may send tickets at any time (RFC 8446
 * 4.6.1). They are payload to everything on the path, and nothing to FTP.
 * KeyUpdate would be smaller, but GnuTLS refuses the ninth that is not
 * answered, and a requested answer blocks the data transfer. Needs no
 * ProFTPD. */

#include "ticket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

const char *keepalive_ticket_protocol(SSL *ssl) {
  return ssl != NULL ? SSL_get_version(ssl) : "no TLS";
}

/* OpenSSL passes new sessions to the cache of the context with which a
 * connection began. SNI replaces the context, and the first one cannot be asked
 * for, so all contexts are known here, from their creation to their end. */
struct context {
  SSL_CTX *ctx;
  long mode; /* of its cache, while a ticket is sent */
  struct context *next;
};

static struct context *contexts = NULL;
static int context_index = -1;

static void add_context(void *ctx, void *unused, CRYPTO_EX_DATA *data,
  int index, long argl, void *argp) {
  struct context *context = malloc(sizeof(*context));

  (void) unused;
  (void) argl;
  (void) argp;
  if (context != NULL) {
    context->ctx = ctx;
    context->next = contexts;
    contexts = context;
    (void) CRYPTO_set_ex_data(data, index, context);
  }
}

static void remove_context(void *ctx, void *context, CRYPTO_EX_DATA *data,
  int index, long argl, void *argp) {
  (void) ctx;
  (void) data;
  (void) index;
  (void) argl;
  (void) argp;
  for (struct context **at = &contexts; *at != NULL; at = &(*at)->next) {
    if (*at == context) {
      *at = (*at)->next;
      free(context);
      return;
    }
  }
}

void keepalive_ticket_start(void) {
  if (context_index < 0) {
    context_index =
      SSL_CTX_get_ex_new_index(0, NULL, add_context, NULL, remove_context);
  }
}

void keepalive_ticket_stop(void) {
  if (context_index >= 0) {
    (void) CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL_CTX, context_index);
    context_index = -1;
  }

  while (contexts != NULL) {
    struct context *next = contexts->next;

    free(contexts);
    contexts = next;
  }
}

static bool is_known(const SSL_CTX *ctx) {
  return context_index >= 0 && SSL_CTX_get_ex_data(ctx, context_index) != NULL;
}

/* SSL_new_session_ticket() came with OpenSSL 3.0. */
#if OPENSSL_VERSION_NUMBER < 0x30000000L
#define SSL_new_session_ticket(ssl) 0
#define TICKETS                     false
#else
#define TICKETS true
#endif

bool keepalive_ticket_possible(SSL *ssl) {
  return TICKETS && ssl != NULL && SSL_version(ssl) == TLS1_3_VERSION &&
         is_known(SSL_get_SSL_CTX(ssl));
}

/* A ticket contains its session. In mod_tls's cache it would only take the
 * place of others, and a full shared memory cache crashes sessions. */
static int send_uncached(SSL *ssl) {
  int res;

  for (struct context *c = contexts; c != NULL; c = c->next) {
    c->mode = SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
  }

  res = SSL_new_session_ticket(ssl);
  if (res == 1) {
    res = SSL_do_handshake(ssl);
  }

  for (struct context *c = contexts; c != NULL; c = c->next) {
    (void) SSL_CTX_set_session_cache_mode(c->ctx, c->mode);
  }
  return res;
}

/* A KeyUpdate message in a record, with the usual ciphers of TLS 1.3. */
#define KEY_UPDATE_SIZE 27

/* The client owes an answer to a KeyUpdate that was sent during a transfer. */
static bool answer_owed = false;

/* TLSRenegotiate asks for new keys: that goes out with the next reply, and
 * until then OpenSSL takes no ticket. So it is sent now, and is a keepalive
 * itself. */
static int send_key_update(SSL *ssl) {
  answer_owed = true;
  return SSL_do_handshake(ssl);
}

bool keepalive_ticket_is_answer_owed(void) {
  return answer_owed;
}

void keepalive_ticket_forget_answer(void) {
  answer_owed = false;
}

/* Is there nothing to be read but whole records of that size? */
static bool has_only_key_updates(int fd) {
  unsigned char bytes[8 * KEY_UPDATE_SIZE + 1];
  ssize_t len = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

  for (ssize_t i = 0; i < len; i += KEY_UPDATE_SIZE) {
    if (len % KEY_UPDATE_SIZE != 0 || bytes[i + 3] != 0 ||
        bytes[i + 4] != KEY_UPDATE_SIZE - SSL3_RT_HEADER_LENGTH) {
      return false;
    }
  }

  return len > 0;
}

void keepalive_ticket_take_answer(SSL *ssl) {
  int fd = ssl != NULL ? SSL_get_fd(ssl) : -1, flags;
  unsigned char nothing;

  if (fd < 0 || !has_only_key_updates(fd)) {
    return;
  }

  flags = fcntl(fd, F_GETFL);
  (void) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  (void) SSL_peek(ssl, &nothing, 1);
  (void) fcntl(fd, F_SETFL, flags);
  ERR_clear_error();
}

enum keepalive_result keepalive_ticket_send(SSL *ssl, size_t *written) {
  uint64_t before = BIO_number_written(SSL_get_wbio(ssl));
  int res;

  if (!SSL_in_init(ssl)) {
    res = send_uncached(ssl);

  } else if (SSL_get_key_update_type(ssl) != SSL_KEY_UPDATE_NONE) {
    res = send_key_update(ssl);

  } else {
    return KEEPALIVE_HANDSHAKE;
  }

  /* The next user of this SSL would take the error queue for its own. */
  ERR_clear_error();

  *written += (size_t) (BIO_number_written(SSL_get_wbio(ssl)) - before);
  return res == 1 ? KEEPALIVE_SENT : KEEPALIVE_FAILED;
}
