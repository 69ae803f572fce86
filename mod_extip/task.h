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

#ifndef EXTIP_TASK_H
#define EXTIP_TASK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "router_conf.h"
#include "table.h"
#include "uri.h"

/* A discovery: what the configuration says about one server, or about several
 * that ask in the same way. */
struct extip_discovery {
  const char *label; /* for people; printable ASCII */
  size_t record;     /* its place in the table */
  struct extip_source **sources;
  char **const *words; /* of each source, as configured; ends in NULL */
  size_t source_count; /* 1 to EXTIP_TABLE_SOURCES */
  unsigned int quorum; /* 0: extip_vote_quorum() */
  unsigned int refresh, retry, timeout; /* seconds */
  unsigned int max_age; /* the shortest of the servers', seconds; 0: none */
  struct in_addr bind;  /* INADDR_ANY: none */
  const char *ca_file;  /* "": the system's */
  bool allow_reserved;
};

/* When the first rounds are due. */
enum extip_start {
  EXTIP_START_NOW,   /* at once */
  EXTIP_START_EARLY, /* as an early round, for what is known: after SIGHUP */
  EXTIP_START_ONCE /* when they would have been, for what is known, and then the
                    * helper ends: with inetd */
};

/* How the router is spoken to, and which ports it is to forward. */
struct extip_router_task {
  struct extip_gateway_conf gateway;
  struct extip_forwards_conf forwards;
  struct in_addr bind;        /* requests leave from this address */
  struct forward_port *ports; /* in order of importance */
  size_t port_count;          /* at most EXTIP_FORWARDS_MAX */
};

struct extip_task {
  uid_t user; /* the user that the helper becomes if it is root */
  gid_t group;
  pid_t daemon; /* the process with which it ends */
  enum extip_start start;
  unsigned int delay; /* seconds before it begins */
  const char *table;  /* path of the file; "": none */
  struct extip_discovery *discoveries;
  size_t count;
  struct extip_router_task router;
};

/* The task as LEN bytes, for free(3); NULL with errno. */
char *extip_task_print(const struct extip_task *task, size_t *len);

/* Reads a task, strictly. NULL with a sentence in REASON. */
struct extip_task *extip_task_parse(
  const char *bytes, size_t len, char *reason, size_t reason_size);

void extip_task_free(struct extip_task *task);

/*
 * Both sides send messages over a socket that preserves their boundaries. The
 * helper receives its task in pieces, the records of its discoveries, and the
 * order to begin. From then on it ends when the connection ends; when it is
 * told to close, it removes the forwards on the router and then ends. It sends
 * back that it has begun, changed records, changed forwards and lines for the
 * log.
 */
enum extip_message_type {
  EXTIP_MESSAGE_TASK,
  EXTIP_MESSAGE_RECORD,
  EXTIP_MESSAGE_BEGIN,
  EXTIP_MESSAGE_LOG,
  EXTIP_MESSAGE_FORWARD,
  EXTIP_MESSAGE_CLOSE
};

#define EXTIP_LINE_SIZE 1024 /* of the log, with its NUL */

struct extip_message {
  uint32_t type;
  uint32_t number; /* the record's or the forward's; of a line: enum
                    * extip_loudness */
  union {
    struct extip_record record;
    struct extip_forward forward;
    char bytes[sizeof(struct extip_record)];
  } body;
};

#define EXTIP_MESSAGE_HEAD offsetof(struct extip_message, body)

/* Sends a message with LEN bytes of its body, without waiting. Returns 0, or -1
 * with errno. */
int extip_message_send(int fd, const struct extip_message *message, size_t len);

/* Reads the next message. Returns the bytes of its body; or -1 with errno,
 * EPIPE at the end of the connection, EBADMSG if it is not a message. */
ssize_t extip_message_receive(int fd, struct extip_message *message);

/* What a session sends to the helper: evidence that ADDR, which it has
 * announced, cannot be reached. INADDR_ANY asks for a round of all discoveries,
 * and INADDR_NONE doubts the forwards on the router, as each message does. */
struct extip_wake {
  uint32_t addr;
  uint32_t record; /* of which answer */
};

#endif
