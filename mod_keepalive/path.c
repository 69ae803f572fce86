/*
 * mod_keepalive - what the kernel knows of a TCP connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* TCP_INFO, in the few words that the module needs.  Needs no ProFTPD. */

#include "path.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <netinet/in.h>
#include <sys/socket.h>

double keepalive_now(void) {
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

int keepalive_path_writable(int fd) {
  struct pollfd pfd = { .fd = fd, .events = POLLOUT };

  return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT);
}

#ifdef __linux__

/* The kernel's own header: the C library's lacks the byte counters. */
#include <linux/tcp.h>

#define STATE_CLOSE 7 /* TCP_CLOSE of <netinet/tcp.h> */

int keepalive_path_look(int fd, struct keepalive_path *path) {
  struct tcp_info info;
  socklen_t len = sizeof(info);

  memset(&info, 0, sizeof(info));
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) {
    return -1;
  }

  path->closed = info.tcpi_state == STATE_CLOSE;
  path->silent_ms = info.tcpi_last_ack_recv < info.tcpi_last_data_recv
                      ? info.tcpi_last_ack_recv
                      : info.tcpi_last_data_recv;
  path->unanswered = info.tcpi_unacked + info.tcpi_probes;
  path->sent_ms = info.tcpi_last_data_sent;
  path->acked = info.tcpi_bytes_acked;
  return 0;
}

#else

int keepalive_path_look(int fd, struct keepalive_path *path) {
  (void) fd;
  (void) path;
  errno = ENOSYS;
  return -1;
}

#endif
