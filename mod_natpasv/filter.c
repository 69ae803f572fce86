/*
 * mod_natpasv - which packets reach a listener
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define MAPPED_BITS 96 /* of an IPv6 address, before the IPv4 address in it */

static bool is_mapped(int family, const void *address) {
  return family == AF_INET6 &&
         IN6_IS_ADDR_V4MAPPED((const struct in6_addr *) address);
}

int natpasv_filter_add(struct natpasv_filter *filter, int family,
  const void *address, unsigned int bits) {
  const unsigned char *bytes = address;
  struct natpasv_net *net = &filter->net[filter->count];
  bool ipv6 = family == AF_INET6;

  if (filter->count == NATPASV_NETS_MAX) {
    return -1;
  }

  if (bits >= MAPPED_BITS && is_mapped(family, address)) {
    ipv6 = false;
    bytes += MAPPED_BITS / 8;
    bits -= MAPPED_BITS;
  }

  memset(net, 0, sizeof(*net));
  memcpy(net->address, bytes, ipv6 ? 16 : 4);
  net->ipv6 = ipv6;
  net->bits = bits;
  filter->count++;
  return 0;
}

static uint32_t word_of(const unsigned char *bytes) {
  return (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 |
         (uint32_t) bytes[2] << 8 | bytes[3];
}

/* The bits of a network in its i-th word. */
static uint32_t mask_of(const struct natpasv_net *net, unsigned int i) {
  unsigned int rest = net->bits > 32 * i ? net->bits - 32 * i : 0;

  return rest >= 32 ? 0xffffffff : ~(0xffffffff >> rest);
}

static bool is_in(const struct natpasv_net *net, const unsigned char *bytes) {
  for (unsigned int i = 0; i < (net->ipv6 ? 4 : 1); i++) {
    if ((word_of(bytes + 4 * i) ^ word_of(net->address + 4 * i)) &
        mask_of(net, i)) {
      return false;
    }
  }
  return true;
}

bool natpasv_filter_passes(
  const struct natpasv_filter *filter, int family, const void *address) {
  const unsigned char *bytes = address;
  bool ipv6 = family == AF_INET6;

  if (is_mapped(family, address)) {
    ipv6 = false;
    bytes += MAPPED_BITS / 8;
  }

  for (unsigned int i = 0; i < filter->count; i++) {
    if (filter->net[i].ipv6 == ipv6 && is_in(&filter->net[i], bytes)) {
      return true;
    }
  }
  return false;
}

#if defined(SO_ATTACH_FILTER)

#include <linux/filter.h>
#include <linux/sock_diag.h>

/* A network of four words needs three instructions for each word, and a
 * return. */
#define NET_CODE 13
#define CODE_MAX (NATPASV_NETS_MAX * NET_CODE + 6)

#define IP_VERSION  (SKF_NET_OFF + 0) /* in its upper half */
#define IPV4_SOURCE (SKF_NET_OFF + 12)
#define IPV6_SOURCE (SKF_NET_OFF + 8)
#define PASS        0xffffffff /* bytes of the packet */
#define DROP        0

struct program {
  struct sock_filter code[CODE_MAX];
  unsigned short length;
};

static void emit(struct program *program, unsigned int code, uint32_t operand,
  unsigned int otherwise) {
  program->code[program->length++] = (struct sock_filter){
    .code = (unsigned short) code,
    .jf = (unsigned char) otherwise,
    .k = operand,
  };
}

/* The packet passes if its source is in the network; otherwise the next
 * instructions look at it. */
static void emit_net(struct program *program, const struct natpasv_net *net) {
  unsigned int words = (net->bits + 31) / 32;

  for (unsigned int i = 0; i < words; i++) {
    uint32_t mask = mask_of(net, i);
    uint32_t source = (uint32_t) (net->ipv6 ? IPV6_SOURCE : IPV4_SOURCE);

    emit(program, BPF_LD | BPF_W | BPF_ABS, source + 4 * i, 0);
    emit(program, BPF_ALU | BPF_AND | BPF_K, mask, 0);
    emit(program, BPF_JMP | BPF_JEQ | BPF_K,
      word_of(net->address + 4 * i) & mask, 3 * (words - i - 1) + 1);
  }
  emit(program, BPF_RET | BPF_K, PASS, 0);
}

static void emit_family(
  struct program *program, const struct natpasv_filter *filter, bool ipv6) {
  for (unsigned int i = 0; i < filter->count; i++) {
    if (filter->net[i].ipv6 == ipv6) {
      emit_net(program, &filter->net[i]);
    }
  }
  emit(program, BPF_RET | BPF_K, DROP, 0);
}

/* An IPv6 socket sees packets of IPv4 clients as IPv4, so the version in each
 * packet decides. */
static void compile(
  struct program *program, const struct natpasv_filter *filter) {
  unsigned int jump;

  program->length = 0;
  emit(program, BPF_LD | BPF_B | BPF_ABS, (uint32_t) IP_VERSION, 0);
  emit(program, BPF_ALU | BPF_RSH | BPF_K, 4, 0);
  emit(program, BPF_JMP | BPF_JEQ | BPF_K, 6, 1);
  jump = program->length;
  emit(program, BPF_JMP | BPF_JA, 0, 0);
  emit_family(program, filter, false);
  program->code[jump].k = program->length - jump - 1;
  emit_family(program, filter, true);
}

int natpasv_filter_attach(int fd, const struct natpasv_filter *filter) {
  struct program program;
  struct sock_fprog prog = { .filter = program.code };

  compile(&program, filter);
  prog.len = program.length;
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

unsigned int natpasv_filter_dropped(int fd) {
  uint32_t info[SK_MEMINFO_VARS];
  socklen_t size = sizeof(info);

  return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) == 0 &&
             size == sizeof(info)
           ? info[SK_MEMINFO_DROPS]
           : 0;
}

#else

int natpasv_filter_attach(int fd, const struct natpasv_filter *filter) {
  (void) fd;
  (void) filter;
  errno = ENOPROTOOPT;
  return -1;
}

unsigned int natpasv_filter_dropped(int fd) {
  (void) fd;
  return 0;
}

#endif
