/*
 * keepalive-ticket.c - tickets and key updates between two ends of OpenSSL:
 * what goes over the wire, what the client makes of it, and which caches see
 * it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_keepalive/ticket.c"
#include "tap.h"

#include <openssl/ec.h>
#include <openssl/x509.h>

static int ends[2]; /* the server's, and the client's */
static SSL *server, *client;
static unsigned int cached, tickets;

static int count_cached(SSL *ssl, SSL_SESSION *session) {
  (void) ssl;
  (void) session;
  cached++;
  return 0;
}

static int count_ticket(SSL *ssl, SSL_SESSION *session) {
  (void) ssl;
  (void) session;
  tickets++;
  return 0;
}

static SSL_CTX *server_context(void) {
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *cert = X509_new();

  (void) X509_gmtime_adj(X509_getm_notBefore(cert), 0);
  (void) X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  (void) X509_set_pubkey(cert, key);
  (void) X509_sign(cert, key, EVP_sha256());
  (void) SSL_CTX_use_certificate(ctx, cert);
  (void) SSL_CTX_use_PrivateKey(ctx, key);
  (void) SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER);
  SSL_CTX_sess_set_new_cb(ctx, count_cached);
  X509_free(cert);
  EVP_PKEY_free(key);
  return ctx;
}

static void disconnect(void) {
  SSL_free(server);
  SSL_free(client);
  (void) close(ends[0]);
  (void) close(ends[1]);
}

/* The server's end blocks, as ProFTPD's does. */
static void connect_with(SSL_CTX *ctx, SSL_CTX *client_ctx, int version) {
  int done;

  (void) socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  (void) fcntl(ends[0], F_SETFL, O_NONBLOCK);
  (void) fcntl(ends[1], F_SETFL, O_NONBLOCK);
  server = SSL_new(ctx);
  client = SSL_new(client_ctx);
  (void) SSL_set_max_proto_version(client, version);
  (void) SSL_set_fd(server, ends[0]);
  (void) SSL_set_fd(client, ends[1]);
  SSL_set_accept_state(server);
  SSL_set_connect_state(client);
  do {
    done = SSL_do_handshake(client);
  } while (SSL_do_handshake(server) != 1 || done != 1);
  (void) fcntl(ends[0], F_SETFL, 0);
}

/* Bytes that have come and were not read. */
static int waiting(int fd) {
  char bytes[4096];

  return (int) recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
}

/* The client reads what there is. */
static void read_all(void) {
  char bytes[64];

  while (SSL_read(client, bytes, sizeof(bytes)) > 0) {
  }
}

static void test_contexts(SSL_CTX *client_ctx) {
  SSL_CTX *before = server_context(), *after, *third;

  keepalive_ticket_start();
  keepalive_ticket_start();
  after = server_context();
  third = server_context();
  SSL_CTX_free(third);
  third = server_context();
  ok(!keepalive_ticket_possible(NULL), "no TLS, no ticket");
  is_str(keepalive_ticket_protocol(NULL), "no TLS", "... and it is called so");

  connect_with(before, client_ctx, TLS1_3_VERSION);
  ok(!keepalive_ticket_possible(server), "none for a context from before");
  disconnect();
  connect_with(after, client_ctx, TLS1_2_VERSION);
  ok(!keepalive_ticket_possible(server), "none with TLS 1.2");
  is_str(
    keepalive_ticket_protocol(server), "TLSv1.2", "... which is called so");
  disconnect();
  connect_with(after, client_ctx, TLS1_3_VERSION);
  ok(keepalive_ticket_possible(server), "tickets with TLS 1.3");
  is_str(
    keepalive_ticket_protocol(server), "TLSv1.3", "... which is called so");
  keepalive_ticket_stop();
  ok(!keepalive_ticket_possible(server), "none when it has stopped");
  keepalive_ticket_stop();
  disconnect();
  keepalive_ticket_start();
  connect_with(after, client_ctx, TLS1_3_VERSION);
  ok(!keepalive_ticket_possible(server),
    "... nor for that context when it starts again");
  disconnect();
  SSL_CTX_free(before);
  SSL_CTX_free(after);
  SSL_CTX_free(third);
}

static void test_ticket(SSL_CTX *client_ctx) {
  SSL_CTX *first = server_context(), *other = server_context();
  int sent, full = open("/dev/full", O_WRONLY);
  size_t written = 1000;

  connect_with(first, client_ctx, TLS1_3_VERSION);
  (void) SSL_set_SSL_CTX(server, other); /* as SNI does */
  read_all();
  cached = tickets = 0;
  is_int(keepalive_ticket_send(server, &written), KEEPALIVE_SENT,
    "a ticket is sent");
  sent = waiting(ends[1]);
  ok(sent > 100 && written == 1000 + (size_t) sent,
    "... and its size is added: %d bytes", sent);
  read_all();
  is_int(tickets, 1, "the client has it");
  is_int(cached, 0, "no cache has");
  ok(SSL_CTX_get_session_cache_mode(first) == SSL_SESS_CACHE_SERVER &&
       SSL_CTX_get_session_cache_mode(other) == SSL_SESS_CACHE_SERVER,
    "... and both are on again");
  (void) SSL_write(server, "x", 1);
  is_int(SSL_read(client, &written, 1), 1, "the connection goes on");

  written = 0;
  (void) dup2(full, ends[0]);
  is_int(keepalive_ticket_send(server, &written), KEEPALIVE_FAILED,
    "what takes nothing is a failure");
  is_int((long long) written, 0, "... nothing is written");
  disconnect();
  (void) close(full);

  server = SSL_new(first);
  (void) socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  (void) SSL_set_fd(server, ends[0]);
  SSL_set_accept_state(server);
  client = NULL;
  is_int(keepalive_ticket_send(server, &written), KEEPALIVE_HANDSHAKE,
    "nothing is sent within a handshake");
  is_int(waiting(ends[1]), -1, "... not a byte");
  disconnect();
  SSL_CTX_free(first);
  SSL_CTX_free(other);
}

/* The client changes its keys, as often as that. */
static void update_client(unsigned int times) {
  for (unsigned int i = 0; i < times; i++) {
    (void) SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED);
    (void) SSL_do_handshake(client);
  }
}

/* One answer, and the beginning of another. */
static void test_half_update(void) {
  BIO *socket = SSL_get_wbio(client), *memory = BIO_new(BIO_s_mem());
  int half = KEY_UPDATE_SIZE + 10;
  char *bytes;

  (void) BIO_up_ref(socket);
  SSL_set0_wbio(client, memory);
  update_client(2);
  is_int(BIO_get_mem_data(memory, &bytes), 2 * KEY_UPDATE_SIZE, "two answers");
  (void) !write(ends[1], bytes, (size_t) half);
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), half, "... of which one is not whole: both stay");
  (void) !write(ends[1], bytes + half, (size_t) (2 * KEY_UPDATE_SIZE - half));
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), -1, "... until it is");
  SSL_set0_wbio(client, socket);
}

static void test_key_update(SSL_CTX *client_ctx) {
  SSL_CTX *ctx = server_context();
  size_t written = 0;
  char byte = 0, text[64] = "";

  connect_with(ctx, client_ctx, TLS1_3_VERSION);
  read_all();
  tickets = 0;
  ok(!keepalive_ticket_is_answer_owed(), "no answer is owed");
  (void) SSL_key_update(server, SSL_KEY_UPDATE_REQUESTED);
  is_int(keepalive_ticket_send(server, &written), KEEPALIVE_SENT,
    "new keys that mod_tls has asked for are sent");
  is_int((long long) written, KEY_UPDATE_SIZE, "... and no more");
  ok(keepalive_ticket_is_answer_owed(), "... and the client owes an answer");
  read_all();
  is_int(tickets, 0, "... to what was no ticket");

  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), -1, "before it comes there is nothing to be read");
  update_client(1);
  is_int(waiting(ends[0]), KEY_UPDATE_SIZE, "it comes");
  keepalive_ticket_take_answer(NULL);
  is_int(waiting(ends[0]), KEY_UPDATE_SIZE, "... and is there");
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), -1, "... until it is taken");
  is_int(
    fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0, "the socket blocks as before");

  update_client(8);
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), -1, "eight answers are taken at once");
  test_half_update();
  update_client(9);
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), 9 * KEY_UPDATE_SIZE, "nine are not looked through");
  is_int(SSL_write(client, "A", 1), 1, "a command comes after them");
  is_int(SSL_read(server, &byte, 1), 1, "... and is read as ever");

  (void) SSL_write(client, "ABOR\r\n", 6);
  is_int(waiting(ends[0]), 28, "a command");
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), 28, "... is no answer");
  is_int(SSL_read(server, text, sizeof(text)), 6, "... and is read as ever");
  (void) SSL_write(client, text, 32);
  is_int(waiting(ends[0]), 2 * KEY_UPDATE_SIZE, "one as long as two answers");
  keepalive_ticket_take_answer(server);
  is_int(waiting(ends[0]), 2 * KEY_UPDATE_SIZE, "... is none either");

  ok(keepalive_ticket_is_answer_owed(), "more answers may come");
  keepalive_ticket_forget_answer();
  ok(!keepalive_ticket_is_answer_owed(), "... until that is forgotten");
  disconnect();
  SSL_CTX_free(ctx);
}

int main(void) {
  SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());

  (void) signal(SIGPIPE, SIG_IGN);
  (void) SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(client_ctx, count_ticket);
  test_contexts(client_ctx);
  test_ticket(client_ctx);
  test_key_update(client_ctx);
  SSL_CTX_free(client_ctx);
  keepalive_ticket_stop();
  return done_testing();
}
