/*
 * mod_extip - one libcurl transfer of a query
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "printable.h"
#include "transfer.h"

/* libcurl's deadline is this much after the query's, which says what was waited
 * for. */
#define LATER_MS 100

/*
 * Decides where a connection goes, however libcurl read the URL: only to an
 * address that was resolved and checked for this transfer.
 */
static curl_socket_t open_socket(
  void *user, curlsocktype purpose, struct curl_sockaddr *address) {
  struct extip_transfer *transfer = user;
  struct sockaddr_in sin;

  (void) purpose;
  if (address->family != AF_INET) {
    return CURL_SOCKET_BAD;
  }
  memcpy(&sin, &address->addr, sizeof(sin));
  for (size_t i = 0; i < transfer->addr_count; i++) {
    if (transfer->addrs[i].s_addr == sin.sin_addr.s_addr) {
      transfer->fd =
        socket(AF_INET, address->socktype | SOCK_CLOEXEC, address->protocol);
      return transfer->fd;
    }
  }
  return CURL_SOCKET_BAD;
}

/* "host:port:address,address", which goes before any resolver. */
static struct curl_slist *make_resolve(
  const struct extip_transfer_target *target) {
  char addrs[EXTIP_LOOKUP_MAX * INET_ADDRSTRLEN] = "";
  struct curl_slist *list = NULL;
  char *entry;
  size_t used = 0;

  for (size_t i = 0; i < target->addr_count; i++) {
    char text[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &target->addrs[i], text, sizeof(text));
    used += (size_t) snprintf(
      addrs + used, sizeof(addrs) - used, "%s%s", i > 0 ? "," : "", text);
  }
  if (asprintf(&entry, "%s:%u:%s", target->host, target->port, addrs) >= 0) {
    list = curl_slist_append(NULL, entry);
    free(entry);
  }
  return list;
}

/* These return 0 or a CURLcode. Results are or-ed together, and only compared
 * with 0. */

static int set_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  return (int) curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  return (int) curl_easy_setopt(
    easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static int set_local_address(CURL *easy, struct in_addr addr) {
  char text[INET_ADDRSTRLEN];
  char option[sizeof("host!") + INET_ADDRSTRLEN];

  if (addr.s_addr == INADDR_ANY) {
    return 0;
  }
  inet_ntop(AF_INET, &addr, text, sizeof(text));
  snprintf(option, sizeof(option), "host!%s", text);
  return (int) curl_easy_setopt(easy, CURLOPT_INTERFACE, option);
}

static int set_tls(CURL *easy, const char *ca_file) {
  int failed = 0;

  failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  failed |=
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
  if (*ca_file != '\0') {
    failed |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  }
  return failed;
}

int extip_transfer_restrict(CURL *easy, const char *ca_file) {
  return set_protocols(easy) | set_tls(easy, ca_file) |
         /* nor the environment's */
         (int) curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

static int set_all(struct extip_transfer *transfer, struct extip_query *query,
  const struct extip_transfer_target *target) {
  CURL *easy = transfer->easy;
  int64_t left = query->deadline - extip_now();
  int failed = 0;

  failed |= curl_easy_setopt(easy, CURLOPT_URL, target->url);
  failed |= curl_easy_setopt(easy, CURLOPT_RESOLVE, transfer->resolve);
  failed |= curl_easy_setopt(easy, CURLOPT_PRIVATE, query);
  failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
  failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
  failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_IPRESOLVE, (long) CURL_IPRESOLVE_V4);
  failed |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);

  /* So that one dead address of several does not take all the time. */
  failed |= curl_easy_setopt(
    easy, CURLOPT_CONNECTTIMEOUT_MS, (long) (left > 0 ? left : 0) + LATER_MS);
  failed |= extip_transfer_restrict(easy, query->ca_file);
  failed |= set_local_address(easy, query->bind);
  return failed;
}

int extip_transfer_init(struct extip_transfer *transfer,
  struct extip_query *query, const struct extip_transfer_target *target) {
  memcpy(transfer->addrs, target->addrs,
    target->addr_count * sizeof(*target->addrs));
  transfer->addr_count = target->addr_count;
  transfer->fd = CURL_SOCKET_BAD;
  transfer->resolve = make_resolve(target);
  transfer->easy = curl_easy_init();
  if (transfer->resolve == NULL || transfer->easy == NULL ||
      set_all(transfer, query, target) != 0) {
    extip_query_fail(query, EXTIP_LOCAL, "cannot set up a transfer");
    return -1;
  }
  return 0;
}

int extip_transfer_go(
  struct extip_transfer *transfer, struct extip_query *query) {
  CURLMcode code =
    curl_multi_add_handle(extip_query_multi(query), transfer->easy);

  if (code != CURLM_OK) {
    extip_query_fail(query, EXTIP_LOCAL, "%s", curl_multi_strerror(code));
    return -1;
  }
  return 0;
}

void extip_transfer_note_peer(
  const struct extip_transfer *transfer, struct extip_query *query) {
  struct sockaddr_in *peer = &query->answer.peer;
  char *text = NULL;
  long port = 0;

  curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_IP, &text);
  curl_easy_getinfo(transfer->easy, CURLINFO_PRIMARY_PORT, &port);
  if (text != NULL && inet_pton(AF_INET, text, &peer->sin_addr) == 1) {
    peer->sin_family = AF_INET;
    peer->sin_port = htons((uint16_t) port);
  }
}

/* What CURLcode means which status; any other is EXTIP_UNREACHABLE. */
static const struct {
  CURLcode code;
  enum extip_status status;
} meanings[] = {
  { CURLE_OPERATION_TIMEDOUT, EXTIP_TIMEOUT },
  { CURLE_SSL_CONNECT_ERROR, EXTIP_TLS },
  { CURLE_SSL_CIPHER, EXTIP_TLS },
  { CURLE_SSL_ISSUER_ERROR, EXTIP_TLS },
  { CURLE_PEER_FAILED_VERIFICATION, EXTIP_TLS },
  { CURLE_SSL_CACERT_BADFILE, EXTIP_LOCAL },
  { CURLE_INTERFACE_FAILED, EXTIP_LOCAL },
  { CURLE_OUT_OF_MEMORY, EXTIP_LOCAL },
  { CURLE_WEIRD_SERVER_REPLY, EXTIP_MALFORMED },
  { CURLE_UNSUPPORTED_PROTOCOL, EXTIP_MALFORMED },
  { CURLE_BAD_CONTENT_ENCODING, EXTIP_MALFORMED },
  { CURLE_HTTP2, EXTIP_MALFORMED },
};

void extip_transfer_fail(const struct extip_transfer *transfer,
  struct extip_query *query, CURLcode code) {
  enum extip_status status = EXTIP_UNREACHABLE;
  const char *text =
    *transfer->error != '\0' ? transfer->error : curl_easy_strerror(code);
  char shown[EXTIP_REASON_MAX];
  long error = 0;

  for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
    if (meanings[i].code == code) {
      status = meanings[i].status;
    }
  }
  curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
  if (code == CURLE_COULDNT_CONNECT && error != 0) {
    extip_query_fail_errno(query, (int) error, "connect");
    return;
  }
  extip_printable(shown, sizeof(shown), text, strlen(text));
  extip_query_fail(query, status, "%s", shown);
}

void extip_transfer_waiting(
  const struct extip_transfer *transfer, char *buf, size_t bufsz) {
  struct sockaddr_in peer;
  socklen_t len = sizeof(peer);
  double handshake = 0;
  double first_byte = 0;
  const char *url = "";
  const char *phase = "connected, but no reply";
  bool connected;

  if (transfer->easy == NULL) {
    return;
  }
  /* CURLINFO_CONNECT_TIME would not do: some releases set it after TLS. */
  connected = getpeername(transfer->fd, (struct sockaddr *) &peer, &len) == 0;
  curl_easy_getinfo(transfer->easy, CURLINFO_EFFECTIVE_URL, &url);
  curl_easy_getinfo(transfer->easy, CURLINFO_APPCONNECT_TIME, &handshake);
  curl_easy_getinfo(transfer->easy, CURLINFO_STARTTRANSFER_TIME, &first_byte);
  if (!connected) {
    phase = "still connecting";
  } else if (first_byte > 0) {
    phase = "the reply is not complete";
  } else if (handshake <= 0 && strncmp(url, "https:", 6) == 0) {
    phase = "in the TLS handshake";
  }
  snprintf(buf, bufsz, "%s", phase);
}

void extip_transfer_free(
  struct extip_transfer *transfer, struct extip_query *query) {
  if (transfer->easy != NULL) {
    curl_multi_remove_handle(extip_query_multi(query), transfer->easy);
    curl_easy_cleanup(transfer->easy);
  }
  curl_slist_free_all(transfer->resolve);
  memset(transfer, 0, sizeof(*transfer));
}
