/*
 * mod_extip - asks a checker over HTTP whether ports are reachable
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* The reply is JSON as of ifconfig.co and echoip: {"ip": "192.0.2.7", "port":
 * 61000, "reachable": true}. A checker tries the address that asks it. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "transfer.h"
#include "trial.h"

#define TRY_MS    10000L
#define REPLY_MAX 4096

struct reply {
  char body[REPLY_MAX + 1];
  size_t len;
};

static size_t take(char *bytes, size_t one, size_t count, void *user) {
  struct reply *reply = user;
  size_t len = one * count;

  if (len > REPLY_MAX - reply->len) {
    return 0;
  }
  memcpy(reply->body + reply->len, bytes, len);
  reply->len += len;
  reply->body[reply->len] = '\0';
  return len;
}

/* The URL for a port, in OUT. */
static bool print_url(
  const char *form, unsigned int port, char *out, size_t size) {
  const char *at = strstr(form, EXTIP_PROBE_PORT);

  return snprintf(out, size, "%.*s%u%s", (int) (at - form), form, port,
           at + strlen(EXTIP_PROBE_PORT)) < (int) size;
}

/* What follows "reachable":, or NULL. */
static const char *find_word(const char *body) {
  static const char name[] = "\"reachable\"";
  const char *at = strstr(body, name);

  if (at == NULL) {
    return NULL;
  }
  at += strlen(name);
  while (isspace((unsigned char) *at)) {
    at++;
  }
  if (*at++ != ':') {
    return NULL;
  }
  while (isspace((unsigned char) *at)) {
    at++;
  }
  return at;
}

static void tell(unsigned int port, long status, const char *body) {
  const char *word = find_word(body);

  if (status != 200) {
    printf("%u untold the checker answers with status %ld\n", port, status);
  } else if (word != NULL && strncmp(word, "true", 4) == 0) {
    printf("%u reached\n", port);
  } else if (word != NULL && strncmp(word, "false", 5) == 0) {
    printf("%u closed the checker could not connect\n", port);
  } else {
    printf(
      "%u untold there is no \"reachable\" in the checker's reply\n", port);
  }
}

static void ask(CURL *easy, const struct extip_trial *trial, uint16_t port) {
  static struct reply reply;
  char url[1024], error[CURL_ERROR_SIZE] = "";
  long status = 0;
  int failed = extip_transfer_restrict(easy, "");
  CURLcode code;

  reply.len = 0;
  *reply.body = '\0';
  if (!print_url(trial->probe.text, port, url, sizeof(url))) {
    printf("%u untold the URL is too long\n", port);
    return;
  }

  failed |= curl_easy_setopt(easy, CURLOPT_URL, url);
  failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
  failed |= curl_easy_setopt(easy, CURLOPT_IPRESOLVE, (long) CURL_IPRESOLVE_V4);
  failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TRY_MS);
  failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
  failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply);
  code = failed != 0 ? CURLE_FAILED_INIT : curl_easy_perform(easy);
  if (code == CURLE_WRITE_ERROR) {
    printf("%u untold the checker's reply has more than %d bytes\n", port,
      REPLY_MAX);
    return;
  }
  if (code != CURLE_OK) {
    printf("%u untold %s\n", port,
      *error != '\0' ? error : curl_easy_strerror(code));
    return;
  }

  (void) curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  tell(port, status, reply.body);
}

int extip_trial_http(struct extip_trial *trial, char *reason, size_t size) {
  CURL *easy = curl_easy_init();

  if (easy == NULL) {
    snprintf(reason, size, "libcurl cannot be used");
    return -1;
  }

  for (size_t i = 0; i < trial->count; i++) {
    ask(easy, trial, trial->ports[i]);
  }
  curl_easy_cleanup(easy);
  return 0;
}
