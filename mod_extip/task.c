/*
 * mod_extip - the messages between the daemon and the helper
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "task.h"

#define WORDS_MAX 64 /* of one source */

/* A module of another version has a helper of its own. */
#define TASK_VERSION "extip-helper 2"

/* A task is a sequence of strings, each with its NUL; numbers are decimal. The
 * writer and the reader below use the same order. */

static void put_number(FILE *out, unsigned long number) {
  fprintf(out, "%lu%c", number, 0);
}

static void put_text(FILE *out, const char *text) {
  fwrite(text, strlen(text) + 1, 1, out);
}

static void put_source(FILE *out, char *const *words) {
  size_t count = 0;

  while (words[count] != NULL) {
    count++;
  }

  put_number(out, count);
  for (size_t i = 0; i < count; i++) {
    put_text(out, words[i]);
  }
}

static void put_discovery(FILE *out, const struct extip_discovery *discovery) {
  put_text(out, discovery->label);
  put_number(out, discovery->record);
  put_number(out, discovery->quorum);
  put_number(out, discovery->refresh);
  put_number(out, discovery->retry);
  put_number(out, discovery->timeout);
  put_number(out, discovery->max_age);
  put_number(out, discovery->bind.s_addr);
  put_number(out, discovery->allow_reserved);
  put_text(out, discovery->ca_file);
  put_number(out, discovery->source_count);
  for (size_t i = 0; i < discovery->source_count; i++) {
    put_source(out, discovery->words[i]);
  }
}

static void put_router(FILE *out, const struct extip_router_task *router) {
  put_number(out, router->gateway.router.s_addr);
  put_number(out, router->gateway.protocol_count);
  for (size_t i = 0; i < router->gateway.protocol_count; i++) {
    put_number(out, router->gateway.protocols[i]);
  }
  put_number(out, router->bind.s_addr);
  put_number(out, router->forwards.any_port);
  put_number(out, router->forwards.lifetime);
  put_number(out, router->port_count);
  for (size_t i = 0; i < router->port_count; i++) {
    put_number(out, router->ports[i].inside);
    put_number(out, router->ports[i].outside);
  }
}

char *extip_task_print(const struct extip_task *task, size_t *len) {
  char *bytes = NULL;
  FILE *out = open_memstream(&bytes, len);

  if (out == NULL) {
    return NULL;
  }

  put_text(out, TASK_VERSION);
  put_number(out, task->user);
  put_number(out, task->group);
  put_number(out, (unsigned long) task->daemon);
  put_number(out, task->start);
  put_number(out, task->delay);
  put_text(out, task->table);
  put_number(out, task->count);
  for (size_t i = 0; i < task->count; i++) {
    put_discovery(out, &task->discoveries[i]);
  }
  put_router(out, &task->router);

  if (fclose(out) != 0) {
    free(bytes);
    return NULL;
  }

  return bytes;
}

/* The rest to be read. After a fault, everything is read as "" and 0. */
struct rest {
  const char *at, *end;
  bool fault;
};

static const char *get_text(struct rest *rest) {
  const char *text = rest->at;
  const char *nul =
    rest->fault ? NULL : memchr(text, '\0', (size_t) (rest->end - text));

  if (nul == NULL) {
    rest->fault = true;
    return "";
  }

  rest->at = nul + 1;
  return text;
}

static unsigned long get_number(struct rest *rest, unsigned long max) {
  const char *text = get_text(rest);
  size_t digits = strspn(text, "0123456789");
  unsigned long number;

  errno = 0;
  number = strtoul(text, NULL, 10);
  if (digits == 0 || text[digits] != '\0' || errno != 0 || number > max) {
    rest->fault = true;
    return 0;
  }

  return number;
}

static struct extip_source *get_source(struct rest *rest) {
  char *words[WORDS_MAX], reason[512];
  size_t count = get_number(rest, WORDS_MAX);

  for (size_t i = 0; i < count; i++) {
    words[i] = (char *) get_text(rest);
  }

  struct extip_source *source = NULL;

  if (count > 0 && !rest->fault) {
    source = extip_source_parse(
      words[0], words + 1, count - 1, reason, sizeof(reason));
  }

  rest->fault |= source == NULL;
  return source;
}

static void get_discovery(
  struct rest *rest, struct extip_discovery *discovery) {
  discovery->label = get_text(rest);
  discovery->record = get_number(rest, EXTIP_TABLE_ANSWERS - 1);
  discovery->quorum = (unsigned int) get_number(rest, EXTIP_TABLE_SOURCES);
  discovery->refresh = (unsigned int) get_number(rest, INT32_MAX);
  discovery->retry = (unsigned int) get_number(rest, INT32_MAX);
  discovery->timeout = (unsigned int) get_number(rest, 1000000);
  discovery->max_age = (unsigned int) get_number(rest, INT32_MAX);
  discovery->bind.s_addr = (in_addr_t) get_number(rest, UINT32_MAX);
  discovery->allow_reserved = get_number(rest, 1) == 1;
  discovery->ca_file = get_text(rest);

  size_t count = get_number(rest, EXTIP_TABLE_SOURCES);

  discovery->sources = calloc(count + 1, sizeof(*discovery->sources));
  rest->fault |= discovery->sources == NULL || count == 0;
  for (size_t i = 0; i < count && !rest->fault; i++) {
    discovery->sources[i] = get_source(rest);
    discovery->source_count += discovery->sources[i] != NULL;
  }
}

static void get_router(struct rest *rest, struct extip_router_task *router) {
  router->gateway.router.s_addr = (in_addr_t) get_number(rest, UINT32_MAX);
  router->gateway.protocol_count = get_number(rest, EXTIP_PROTOCOLS);
  rest->fault |= router->gateway.protocol_count == 0;
  for (size_t i = 0; i < router->gateway.protocol_count; i++) {
    router->gateway.protocols[i] = get_number(rest, EXTIP_PROTOCOLS - 1);
  }
  router->bind.s_addr = (in_addr_t) get_number(rest, UINT32_MAX);
  router->forwards.any_port = get_number(rest, 1) == 1;
  router->forwards.lifetime = (unsigned int) get_number(rest, INT32_MAX);

  size_t count = get_number(rest, EXTIP_FORWARDS_MAX);

  router->ports = calloc(count + 1, sizeof(*router->ports));
  rest->fault |= router->ports == NULL;
  for (size_t i = 0; i < count && !rest->fault; i++) {
    router->ports[i].inside = (uint16_t) get_number(rest, UINT16_MAX);
    router->ports[i].outside = (uint16_t) get_number(rest, UINT16_MAX);
    router->port_count++;
  }
}

/* The task and a copy of its bytes, into which its strings point. */
struct parsed {
  struct extip_task task;
  char *bytes;
};

struct extip_task *extip_task_parse(
  const char *bytes, size_t len, char *reason, size_t reason_size) {
  struct parsed *parsed = calloc(1, sizeof(*parsed));
  struct extip_task *task;

  if (parsed == NULL || (parsed->bytes = malloc(len + 1)) == NULL) {
    snprintf(reason, reason_size, "out of memory");
    free(parsed);
    return NULL;
  }

  struct rest rest = { parsed->bytes, parsed->bytes + len, false };

  task = &parsed->task;
  memcpy(parsed->bytes, bytes, len);
  if (strcmp(get_text(&rest), TASK_VERSION) != 0) {
    snprintf(
      reason, reason_size, "the module and the helper have different versions");
    extip_task_free(task);
    return NULL;
  }

  task->user = (uid_t) get_number(&rest, UINT32_MAX);
  task->group = (gid_t) get_number(&rest, UINT32_MAX);
  task->daemon = (pid_t) get_number(&rest, INT32_MAX);
  task->start = get_number(&rest, EXTIP_START_ONCE);
  task->delay = (unsigned int) get_number(&rest, 100000);
  task->table = get_text(&rest);
  task->count = get_number(&rest, EXTIP_TABLE_ANSWERS);
  task->discoveries = calloc(task->count + 1, sizeof(*task->discoveries));
  rest.fault |= task->discoveries == NULL;
  for (size_t i = 0; i < task->count && !rest.fault; i++) {
    get_discovery(&rest, &task->discoveries[i]);
  }
  get_router(&rest, &task->router);

  if (rest.fault || rest.at != rest.end) {
    snprintf(reason, reason_size, "the task is malformed");
    extip_task_free(task);
    return NULL;
  }

  return task;
}

void extip_task_free(struct extip_task *task) {
  for (size_t i = 0; task->discoveries != NULL && i < task->count; i++) {
    struct extip_discovery *discovery = &task->discoveries[i];

    for (size_t j = 0; j < discovery->source_count; j++) {
      extip_source_free(discovery->sources[j]);
    }
    free(discovery->sources);
  }

  free(task->discoveries);
  free(task->router.ports);
  free(((struct parsed *) task)->bytes);
  free(task);
}

int extip_message_send(
  int fd, const struct extip_message *message, size_t len) {
  ssize_t sent;

  do {
    sent =
      send(fd, message, EXTIP_MESSAGE_HEAD + len, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);

  return sent < 0 ? -1 : 0;
}

ssize_t extip_message_receive(int fd, struct extip_message *message) {
  ssize_t got;

  do {
    got = recv(fd, message, sizeof(*message), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);

  if (got == 0) {
    errno = EPIPE;
    return -1;
  }

  if (got > 0 && (size_t) got < EXTIP_MESSAGE_HEAD) {
    errno = EBADMSG;
    return -1;
  }

  return got < 0 ? -1 : got - (ssize_t) EXTIP_MESSAGE_HEAD;
}
