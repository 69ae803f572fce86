/*
 * mod_keepalive - what the kernel knows about a TCP connection
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

/* The fields of TCP_INFO that the module needs. Needs Linux, and no ProFTPD. */

#include "tcpinfo.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* that of the C library lacks the newer fields */
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

double keepalive_now(void) {
  struct timespec ts;

  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (double) ts.tv_sec + (double) ts.tv_nsec / 1e9;
}

#define STATE_CLOSE 7 /* TCP_CLOSE of <netinet/tcp.h> */

/* tcpi_snd_wnd came with Linux 5.4; headers may be older than the kernel. */
#define WINDOW_OFFSET 228

static unsigned int window_of(const unsigned char *info, socklen_t len) {
  uint32_t window;

  if (len < WINDOW_OFFSET + sizeof(window)) {
    return UINT_MAX;
  }

  memcpy(&window, info + WINDOW_OFFSET, sizeof(window));
  return window;
}

int keepalive_tcpinfo_get(int fd, struct keepalive_tcpinfo *result) {
  union {
    struct tcp_info tcp;
    unsigned char bytes[512];
  } info;
  socklen_t len = sizeof(info);
  unsigned int silent_ms;
  int unread = 0, unsent = 0;

  memset(&info, 0, sizeof(info));
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
      ioctl(fd, SIOCOUTQ, &unread) < 0) {
    return -1;
  }

  /* An emulator may lack this one. */
  if (ioctl(fd, SIOCOUTQNSD, &unsent) < 0) {
    unsent = unread;
  }

  /* An emulator, or Linux before 4.2, has fewer words. */
  if (len < offsetof(struct tcp_info, tcpi_segs_in) + sizeof(uint32_t)) {
    errno = ENOSYS;
    return -1;
  }

  silent_ms = info.tcp.tcpi_last_ack_recv < info.tcp.tcpi_last_data_recv
                ? info.tcp.tcpi_last_ack_recv
                : info.tcp.tcpi_last_data_recv;
  result->closed = info.tcp.tcpi_state == STATE_CLOSE;
  result->heard = keepalive_now() - silent_ms / 1000.0;
  result->unanswered = info.tcp.tcpi_unacked + info.tcp.tcpi_probes;
  result->tries = info.tcp.tcpi_probes + info.tcp.tcpi_retransmits;
  result->segs_in = info.tcp.tcpi_segs_in;
  result->resent = info.tcp.tcpi_total_retrans;
  result->unread = (unsigned int) unread;
  result->unsent = (unsigned int) unsent;
  result->room = window_of(info.bytes, len);
  return 0;
}
