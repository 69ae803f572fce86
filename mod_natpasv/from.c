/*
 * mod_natpasv - from which addresses a data connection may come
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include "from.h"
#include "options.h"

#define IPV4_BITS 32
#define IPV6_BITS 128

/* The prefix that a provider assigns to a subscriber, whose hosts change the
 * rest of their addresses (RFC 8981). */
#define IPV6_SUBSCRIBER 64

/* Decimal digits alone, up to most; 0 if it is anything else. */
static unsigned int parse_bits(const char *text, unsigned int most) {
  size_t length = strlen(text);

  if (length == 0 || length > 3 || strspn(text, "0123456789") != length ||
      text[0] == '0' || strtoul(text, NULL, 10) > most) {
    return 0;
  }
  return (unsigned int) strtoul(text, NULL, 10);
}

int natpasv_from_parse(pool *p, const char *value, struct natpasv_from *from,
  char *reason, size_t reason_size) {
  static const char prefix[] = "client/";

  if (strcasecmp(value, "auto") == 0) {
    from->whence = NATPASV_FROM_AUTO;

  } else if (strcasecmp(value, "any") == 0) {
    from->whence = NATPASV_FROM_ANY;

  } else if (strcasecmp(value, "client") == 0) {
    from->whence = NATPASV_FROM_CLIENT;

  } else if (strncasecmp(value, prefix, sizeof(prefix) - 1) == 0) {
    from->whence = NATPASV_FROM_CLIENT;
    from->bits = parse_bits(value + sizeof(prefix) - 1, IPV6_BITS);
    if (from->bits == 0) {
      return natpasv_options_refuse(reason, reason_size,
        "from '%s' does not end with a number of bits from 1 to 128", value);
    }

  } else if (natpasv_options_is_name(value, 255)) {
    from->whence = NATPASV_FROM_CLASS;
    from->class = pstrdup(p, value);

  } else {
    return natpasv_options_refuse(
      reason, reason_size, "from '%s' is not " NATPASV_FROM_SYNTAX, value);
  }
  return 0;
}

static int add_address(
  struct natpasv_filter *filter, const pr_netaddr_t *addr, unsigned int bits) {
  return natpasv_filter_add(
    filter, pr_netaddr_get_family(addr), pr_netaddr_get_inaddr(addr), bits);
}

static unsigned int all_bits(const pr_netaddr_t *addr) {
  return pr_netaddr_get_family(addr) == AF_INET ? IPV4_BITS : IPV6_BITS;
}

/* "192.0.2.0/24", "2001:db8::1": what ProFTPD keeps of a From line. */
static int add_acl(
  pool *p, struct natpasv_filter *filter, const pr_netacl_t *acl) {
  char *text = pstrdup(p, pr_netacl_get_str2(p, acl, PR_NETACL_FL_STR_NO_DESC));
  char *slash = strchr(text, '/');
  const pr_netaddr_t *addr;
  unsigned int bits;

  if (slash != NULL) {
    *slash = '\0';
  }

  addr = pr_netaddr_get_addr(p, text, NULL);
  if (addr == NULL) {
    return -1;
  }

  bits = all_bits(addr);
  if (slash != NULL && strcmp(slash + 1, "0") == 0) {
    bits = 0;

  } else if (slash != NULL) {
    bits = parse_bits(slash + 1, bits);
    if (bits == 0) {
      return -1;
    }
  }
  return add_address(filter, addr, bits);
}

static int add_all(struct natpasv_filter *filter) {
  static const unsigned char zero[16];

  /* If there is no room for the first, there is none for the second. */
  (void) natpasv_filter_add(filter, AF_INET, zero, 0);
  return natpasv_filter_add(filter, AF_INET6, zero, 0);
}

static int add_line(
  pool *p, struct natpasv_filter *filter, const pr_netacl_t *acl) {
  if (pr_netacl_get_negated(acl) == TRUE) {
    return -1;
  }

  switch (pr_netacl_get_type(acl)) {
    case PR_NETACL_TYPE_ALL:
      return add_all(filter);

    case PR_NETACL_TYPE_NONE:
      return 0;

    case PR_NETACL_TYPE_IPMASK:
    case PR_NETACL_TYPE_IPMATCH:
      return add_acl(p, filter, acl);

    default:
      return -1;
  }
}

int natpasv_from_class(pool *p, const char *name, struct natpasv_filter *filter,
  char *reason, size_t reason_size) {
  const pr_class_t *class = pr_class_find(name);
  pr_netacl_t **lines;

  if (class == NULL) {
    return natpasv_options_refuse(
      reason, reason_size, "there is no <Class %s>", name);
  }

  if (class->cls_satisfy == PR_CLASS_SATISFY_ALL) {
    return natpasv_options_refuse(
      reason, reason_size, "<Class %s> has 'Satisfy all'", name);
  }

  lines = class->cls_acls->elts;
  for (unsigned int i = 0; i < class->cls_acls->nelts; i++) {
    if (lines[i] != NULL && add_line(p, filter, lines[i]) < 0) {
      return natpasv_options_refuse(reason, reason_size,
        "'From %s' of <Class %s> is not an address or a network, or there are more than %d",
        pr_netacl_get_str2(p, lines[i], PR_NETACL_FL_STR_NO_DESC), name,
        NATPASV_NETS_MAX);
    }
  }
  return 0;
}

/* Up to 32 bits mean an IPv4 network, more an IPv6 network. For a client of the
 * other family the usual length is used. */
static void add_client(struct natpasv_filter *filter, unsigned int bits) {
  const pr_netaddr_t *client = session.c->remote_addr;
  bool ipv4 = pr_netaddr_get_family(client) == AF_INET ||
              pr_netaddr_is_v4mappedv6(client) == TRUE;
  unsigned int all = all_bits(client);

  if (bits == 0 || (ipv4 && bits > IPV4_BITS)) {
    bits = all;

  } else if (ipv4) {
    bits += all - IPV4_BITS;

  } else if (bits <= IPV4_BITS) {
    bits = IPV6_SUBSCRIBER;
  }
  (void) add_address(filter, client, bits);
}

/* Interpreted as ProFTPD does, which compares off and a class once more
 * itself. */
static struct natpasv_from foreign_addresses(xaset_t *conf) {
  const config_rec *c =
    find_config(conf, CONF_PARAM, "AllowForeignAddress", FALSE);
  struct natpasv_from from = { .whence = NATPASV_FROM_AUTO };

  if (c == NULL) {
    return from;
  }

  switch (*((const int *) c->argv[0])) {
    case TRUE:
      from.whence = NATPASV_FROM_ANY;
      break;

    case FALSE:
      from.whence = NATPASV_FROM_CLIENT;
      break;

    default:
      from.whence = NATPASV_FROM_CLASS;
      from.class = c->argv[1];
  }
  return from;
}

bool natpasv_from_admits_others(
  const struct natpasv_from *from, xaset_t *conf) {
  enum natpasv_whence whence = from->whence == NATPASV_FROM_UNSET
                                 ? foreign_addresses(conf).whence
                                 : from->whence;

  return whence == NATPASV_FROM_ANY || whence == NATPASV_FROM_CLASS;
}

const struct natpasv_guard *natpasv_from_guard(
  pool *p, const struct natpasv_from *from) {
  struct natpasv_guard *guard = pcalloc(p, sizeof(*guard));
  struct natpasv_from stock;
  char reason[NATPASV_REASON_SIZE];

  if (from->whence == NATPASV_FROM_UNSET) {
    stock = foreign_addresses(TOPLEVEL_CONF);
    from = &stock;
  }

  guard->closed = from->whence != NATPASV_FROM_ANY;
  guard->opens = from->whence == NATPASV_FROM_AUTO;
  add_client(&guard->filter, from->bits);

  if (from->whence == NATPASV_FROM_CLASS &&
      natpasv_from_class(
        p, from->class, &guard->filter, reason, sizeof(reason)) < 0) {
    pr_trace_msg(NATPASV_TRACE, 3,
      "%s: ProFTPD compares the address after accepting the connection",
      reason);
    guard->closed = false;
  }
  return guard;
}
