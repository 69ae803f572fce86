/*
 * mod_extip - the file of the forwards: what this server has on the router
 *
 * Copyright (c) 2026 The mod_extip, mod_natpasv and mod_keepalive authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * As a special exemption, the copyright holders give permission to link this
 * program with OpenSSL, and distribute the resulting executable, without
 * including the source code for OpenSSL in the source distribution.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "forward_file.h"

#define HEADER         "extip-forwards 1\n"
#define TRAILER        "end\n"
#define SIZE_MAX_BYTES (2 * EXTIP_FORWARDS_MAX * 64)

static const char digits[] = "0123456789abcdef";

int extip_forward_file_open(
  const char *path, char *reason, size_t reason_size) {
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  struct stat st;

  if (fd < 0 || fstat(fd, &st) < 0) {
    snprintf(reason, reason_size, "%s", strerror(errno));
  } else if (!S_ISREG(st.st_mode) || st.st_nlink != 1 ||
             st.st_uid != geteuid() || (st.st_mode & 0077) != 0) {
    snprintf(reason, reason_size,
      "it is not a regular file of mode 0600 owned by the daemon's user");
  } else {
    return fd;
  }

  if (fd >= 0) {
    (void) close(fd);
  }
  return -1;
}

char *extip_forward_file_print(
  const struct extip_forward_held *held, size_t count, size_t *len) {
  char *text = NULL;
  FILE *out = open_memstream(&text, len);

  if (out == NULL) {
    return NULL;
  }

  fputs(HEADER, out);
  for (size_t i = 0; i < count; i++) {
    fprintf(out, "%u %u %s ", held[i].port.inside, held[i].port.outside,
      extip_protocol_name(held[i].protocol));
    for (size_t j = 0; j < sizeof(held[i].nonce); j++) {
      fputc(digits[held[i].nonce[j] >> 4], out);
      fputc(digits[held[i].nonce[j] & 15], out);
    }
    fputc('\n', out);
  }
  fputs(TRAILER, out);

  if (fclose(out) != 0) {
    free(text);
    return NULL;
  }
  return text;
}

/* What is still to be read. */
struct rest {
  const char *at, *end;
};

static bool skip(struct rest *rest, const char *text) {
  size_t len = strlen(text);

  if ((size_t) (rest->end - rest->at) < len ||
      memcmp(rest->at, text, len) != 0) {
    return false;
  }
  rest->at += len;
  return true;
}

/* A port and the blank after it. */
static bool read_port(struct rest *rest, uint16_t *port) {
  unsigned int number = 0;

  while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9' &&
         number <= UINT16_MAX) {
    number = number * 10 + (unsigned int) (*rest->at++ - '0');
  }
  *port = (uint16_t) number;
  return number > 0 && number <= UINT16_MAX && skip(rest, " ");
}

static bool read_protocol(struct rest *rest, enum extip_protocol *protocol) {
  for (unsigned int i = 0; i < EXTIP_PROTOCOLS; i++) {
    if (skip(rest, extip_protocol_name(i))) {
      *protocol = i;
      return skip(rest, " ");
    }
  }
  return false;
}

static bool read_nonce(struct rest *rest, unsigned char *nonce) {
  for (size_t i = 0; i < 2 * EXTIP_FORWARD_NONCE_SIZE; i++) {
    const char *digit = rest->at < rest->end && *rest->at != '\0'
                          ? strchr(digits, *rest->at)
                          : NULL;

    if (digit == NULL) {
      return false;
    }
    nonce[i / 2] = (unsigned char) (nonce[i / 2] << 4 | (digit - digits));
    rest->at++;
  }
  return skip(rest, "\n");
}

size_t extip_forward_file_parse(
  const char *text, size_t len, struct extip_forward_held *held, size_t size) {
  struct rest rest = { text, text + len };
  size_t count = 0;

  if (!skip(&rest, HEADER)) {
    return 0;
  }

  while (!skip(&rest, TRAILER)) {
    struct extip_forward_held one = { .protocol = EXTIP_PCP };

    if (count == size || !read_port(&rest, &one.port.inside) ||
        !read_port(&rest, &one.port.outside) ||
        !read_protocol(&rest, &one.protocol) || !read_nonce(&rest, one.nonce)) {
      return 0;
    }
    held[count++] = one;
  }
  return rest.at == rest.end ? count : 0;
}

size_t extip_forward_file_read(
  int fd, struct extip_forward_held *held, size_t size) {
  char *text = malloc(SIZE_MAX_BYTES);
  ssize_t len = text != NULL ? pread(fd, text, SIZE_MAX_BYTES, 0) : -1;
  size_t count =
    len > 0 ? extip_forward_file_parse(text, (size_t) len, held, size) : 0;

  free(text);
  return count;
}

int extip_forward_file_write(
  int fd, const struct extip_forward_held *held, size_t count) {
  size_t len = 0;
  char *text = extip_forward_file_print(held, count, &len);
  int res = -1, xerrno = ENOMEM;

  if (text != NULL) {
    ssize_t put = pwrite(fd, text, len, 0);

    res = put == (ssize_t) len && ftruncate(fd, (off_t) len) == 0 &&
              fdatasync(fd) == 0
            ? 0
            : -1;
    xerrno = put >= 0 && put != (ssize_t) len ? ENOSPC : errno;
  }

  free(text);
  errno = xerrno;
  return res;
}
