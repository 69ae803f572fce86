/*
 * mod_extip - sees the first packets of TCP connections, before any firewall
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arrivals.h"
#include "bytes.h"

#define SYN 0x02
#define ACK 0x10

/* Offsets in the header of IPv4 (RFC 791), and after it in that of TCP. */
#define IPV4_FRAGMENT 6
#define IPV4_PROTOCOL 9
#define IPV4_SOURCE   12
#define IPV4_SIZE     20
#define TCP_PORT      2
#define TCP_FLAGS     13

#define BYTES 128 /* of a packet that are kept: the two headers */

/* The kernel hands over what passes this program, so a busy server costs
 * nothing. */
static int set_filter(int fd) {
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, IPV4_PROTOCOL),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 7),
    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, IPV4_FRAGMENT),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 5, 0),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_IND, TCP_FLAGS),
    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, BYTES),
    BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

  return setsockopt(
    fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int extip_arrivals_open(void) {
  /* Protocol 0 receives nothing until the filter is there. */
  int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_ll all = { .sll_family = AF_PACKET,
    .sll_protocol = htons(ETH_P_IP) };

  if (fd >= 0 && (set_filter(fd) < 0 ||
                   bind(fd, (struct sockaddr *) &all, sizeof(all)) < 0)) {
    int xerrno = errno;

    (void) close(fd);
    errno = xerrno;
    return -1;
  }
  return fd;
}

unsigned int extip_arrivals_next(int fd, struct in_addr *from) {
  unsigned char packet[BYTES];
  struct sockaddr_ll sender;
  socklen_t size = sizeof(sender);
  ssize_t len;

  while ((len = recvfrom(fd, packet, sizeof(packet), 0,
            (struct sockaddr *) &sender, &size)) >= 0) {
    size_t header = (size_t) (packet[0] & 0x0f) * 4;

    if (sender.sll_pkttype == PACKET_HOST && header >= IPV4_SIZE &&
        (size_t) len >= header + TCP_FLAGS + 1) {
      memcpy(&from->s_addr, packet + IPV4_SOURCE, sizeof(from->s_addr));
      return get16(packet + header + TCP_PORT);
    }
    size = sizeof(sender);
  }
  return 0;
}
