/*
 * mod_natpasv - strangers turned away after they connected
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "strangers.h"
#include "client.h"
#include "futex.h"
#include "listener.h"
#include "say.h"

#include <poll.h>

/* How often the client is looked at while only strangers come. */
#define LOOK_MS 100

/* How long the client is given, from its command on, before the first of the
 * others is taken for it. */
#define PATIENCE_MS 5000

#define NOBODY -1

/* ProFTPD accepts by itself. The first that it asks others for with the new
 * connection is a stream for it, for reading and then for writing: there the
 * connection is exchanged for the client's. */
static struct {
  pr_netio_t *netio; /* whose function was replaced, NULL for none */
  pr_netio_stream_t *(*open)(pr_netio_stream_t *, int, int);
  bool registered; /* by us, as there was no other */
  int *foreign;    /* AllowForeignAddress, which would end the transfer */
  int was_foreign;
  config_rec *lent; /* the same where it is not configured */
  const struct natpasv_guard *guard;
  struct natpasv_row *row;
  uint64_t patience_end_ms;
  int chosen;     /* NOBODY, or the connection to use */
  bool exchanged; /* for the one that was accepted */
} watch;

static bool is_welcome(int fd) {
  union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
  } peer;
  socklen_t size = sizeof(peer);

  if (getpeername(fd, &peer.any, &size) < 0) {
    return false;
  }
  return peer.any.sa_family == AF_INET6
           ? natpasv_filter_passes(
               &watch.guard->filter, AF_INET6, &peer.in6.sin6_addr)
           : natpasv_filter_passes(
               &watch.guard->filter, AF_INET, &peer.in.sin_addr);
}

/* The first of the strangers is kept if he may turn out to be the client. */
static void turn_away(int fd, int *kept) {
  natpasv_listener_turned_away();
  if (watch.guard->opens && *kept == NOBODY) {
    *kept = fd;

  } else {
    (void) close(fd);
  }
}

/* Whether the client has left, or is about to and had its time. */
static bool has_left(uint64_t *leaves_ms) {
  enum natpasv_client client = natpasv_client_look();

  if (client != NATPASV_CLIENT_LEAVES) {
    return client == NATPASV_CLIENT_LEFT;
  }

  if (*leaves_ms == 0) {
    *leaves_ms = natpasv_now_ms();
  }
  return natpasv_now_ms() - *leaves_ms >= NATPASV_GRACE_MS;
}

/* The client's connection after a stranger's; or the stranger's, or NOBODY. */
static int wait_for_client(int kept) {
  struct pollfd pfd = { .fd = natpasv_listener_fd(), .events = POLLIN };
  uint64_t leaves_ms = 0;

  for (;;) {
    int fd = poll(&pfd, 1, LOOK_MS) > 0 ? accept(pfd.fd, NULL, NULL) : NOBODY;

    if (fd >= 0 && is_welcome(fd)) {
      (void) close(kept);
      return fd;
    }
    if (fd >= 0) {
      turn_away(fd, &kept);
    }

    if (kept != NOBODY && natpasv_now_ms() >= watch.patience_end_ms) {
      natpasv_say_opened(watch.row, natpasv_listener_dropped());
      return kept;
    }

    if (has_left(&leaves_ms)) {
      natpasv_listener_refuse();
      (void) close(kept);
      return NOBODY;
    }
    errno = 0; /* or it pauses */
    pr_signals_handle();
  }
}

static pr_netio_stream_t *open_stream(
  pr_netio_stream_t *stream, int fd, int mode) {
  if (mode == PR_NETIO_IO_RD) {
    int kept = NOBODY;

    watch.chosen = fd;
    watch.exchanged = !is_welcome(fd);
    if (watch.exchanged) {
      turn_away(dup(fd), &kept);
      watch.chosen = wait_for_client(kept);
    }
  }

  if (watch.chosen == NOBODY) {
    (void) shutdown(fd, SHUT_RDWR);
    errno = ECONNABORTED;
    return NULL;
  }

  if (watch.chosen != fd && watch.exchanged) {
    (void) dup2(watch.chosen, fd);
    if (mode == PR_NETIO_IO_WR) {
      (void) close(watch.chosen);
    }
  }
  return watch.open(stream, fd, mode);
}

/* All are allowed. Until 1.3.9c a class that does not exist allows all as well,
 * and besides a connection that its peer has reset is not the end of the
 * transfer. */
#if PROFTPD_VERSION_NUMBER < 0x0001030908
#define ALLOWED -1
#else
#define ALLOWED TRUE
#endif
#define NO_CLASS "mod_natpasv: no class has this name"

/* ProFTPD keeps some bytes of each directive that is added: so there is one in
 * each session. */
static config_rec *lend_foreign(xaset_t **conf) {
  static config_rec *kept = NULL;
  static int allowed = ALLOWED;

  if (kept != NULL && kept->set == *conf) {
    (void) xaset_insert_end(kept->set, (xasetmember_t *) kept);

  } else {
    kept = add_config_param_set(conf, "AllowForeignAddress", 2, NULL, NULL);
    kept->argv[0] = &allowed;
    kept->argv[1] = NO_CLASS;
  }
  return kept;
}

/* ProFTPD compares addresses itself: what this listener does better if it
 * compares, and before 1.3.7d and since 1.3.9d also where AllowForeignAddress
 * is not configured. */
static void allow_foreign(void) {
  xaset_t **conf = session.anon_config != NULL ? &session.anon_config->subset
                                               : &main_server->conf;
  config_rec *c = find_config(*conf, CONF_PARAM, "AllowForeignAddress", FALSE);

  if (c == NULL) {
    watch.lent = lend_foreign(conf);

  } else if (watch.guard != NULL) {
    watch.foreign = c->argv[0];
    watch.was_foreign = *watch.foreign;
    *watch.foreign = TRUE;
  }
}

static void forbid_foreign(void) {
  if (watch.foreign != NULL) {
    *watch.foreign = watch.was_foreign;
    watch.foreign = NULL;
  }

  if (watch.lent != NULL) {
    (void) xaset_remove(watch.lent->set, (xasetmember_t *) watch.lent);
    watch.lent = NULL;
  }
}

void natpasv_strangers_start(struct natpasv_row *row) {
  pr_netio_t *netio;

  if (watch.netio != NULL || watch.lent != NULL || watch.foreign != NULL) {
    return;
  }

  watch.guard = natpasv_listener_to_compare();
  allow_foreign();
  if (watch.guard == NULL) {
    return;
  }

  netio = pr_get_netio(PR_NETIO_STRM_DATA);
  watch.registered = netio == NULL;
  if (watch.registered) {
    netio = pr_alloc_netio2(session.pool, &natpasv_module, NULL);
    if (pr_register_netio(netio, PR_NETIO_STRM_DATA) < 0) {
      return;
    }
  }

  watch.netio = netio;
  watch.open = netio->open;
  watch.row = row;
  watch.patience_end_ms = natpasv_now_ms() + PATIENCE_MS;
  netio->open = open_stream;
}

void natpasv_strangers_stop(void) {
  forbid_foreign();
  if (watch.netio == NULL) {
    return;
  }

  watch.netio->open = watch.open;
  if (watch.registered) {
    (void) pr_unregister_netio(PR_NETIO_STRM_DATA);
  }
  watch.netio = NULL;
}
