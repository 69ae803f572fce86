/*
 * What the kernel says of this host's ports: its ephemeral ports without the
 * reserved ones, and the ports on which somebody listens.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static int kernel_file(const char *path);
static FILE *kernel_stream(const char *path);

#define open(path, flags)  kernel_file(path)
#define fopen(path, mode) kernel_stream(path)
#include "../../mod_natpasv/hostports.c"
#undef open
#undef fopen

#include "../../mod_natpasv/ports.c"

/* The kernel's files; NULL: not there. */
static const char *local_port_range, *reserved_ports, *tcp, *tcp6;

static int kernel_file(const char *path) {
  const char *text = strstr(path, "ip_local_port_range") ? local_port_range
    : strstr(path, "ip_local_reserved_ports")            ? reserved_ports
    : strstr(path, "tcp6")                               ? tcp6
                                                         : tcp;
  int fd = text != NULL ? memfd_create("kernel", MFD_CLOEXEC) : -1;

  if (fd >= 0 && (write(fd, text, strlen(text)) < 0 || lseek(fd, 0, 0) < 0)) {
    return -1;
  }
  return fd;
}

static FILE *kernel_stream(const char *path) {
  int fd = kernel_file(path);

  return fd >= 0 ? fdopen(fd, "r") : NULL;
}

/* Ports as text: "first-last first-last". */
static const char *runs_of(const uint64_t *mask) {
  static char text[200];
  size_t len = 0;
  int first = -1;

  *text = '\0';
  for (int port = 0; port <= NATPASV_MAX_PORT + 1; port++) {
    bool in = port <= NATPASV_MAX_PORT &&
              (mask[natpasv_word(port)] & natpasv_bit(port)) != 0;

    if (in && first < 0) {
      first = port;
    } else if (!in && first >= 0) {
      len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%d-%d",
        len > 0 ? " " : "", first, port - 1);
      first = -1;
    }
  }
  return text;
}

static const struct {
  const char *range, *reserved, *left;
} ranges[] = {
  { "32768\t60999\n", "", "32768-60999" },
  { "32768\t60999\n", "\n", "32768-60999" },
  { "32768\t60999\n", "40000\n", "32768-39999 40001-60999" },
  { "32768\t60999\n", "40000-40009,50000\n",
    "32768-39999 40010-49999 50001-60999" },
  { "32768\t60999\n", "100,40000-40009,61000-65535",
    "32768-39999 40010-60999" },
  { "32768\t60999\n", "32768-60998", "60999-60999" },
  { "32768\t60999\n",
    "40000,00000000000000000000000000000000000000040001,40002",
    "32768-39999 40001-40001 40003-60999" },
  { "1024\t65535\n", "65535", "1024-65534" },
};

static void test_ephemeral(void) {
  static uint64_t ports[NATPASV_WORDS];
  struct natpasv_range range;
  char *list = NULL;

  for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
    local_port_range = ranges[i].range;
    reserved_ports = ranges[i].reserved;
    is_int(natpasv_hostports_ephemeral(&range, ports, &list), 0,
      "reserved ports '%.*s'", (int) strcspn(ranges[i].reserved, "\n"),
      ranges[i].reserved);
    is_str(runs_of(ports), ranges[i].left, "... are left out");
    free(list);
  }

  reserved_ports = "1,2-3\n";
  is_int(natpasv_hostports_ephemeral(&range, ports, &list), 0, "the list of them");
  is_str(list, "1,2-3", "... is given as the kernel has it");
  free(list);

  reserved_ports = NULL;
  is_int(natpasv_hostports_ephemeral(&range, ports, &list), 0,
    "a kernel without such a list");
  is_str(list, NULL, "... has none");

  local_port_range = "nothing\n";
  is_int(natpasv_hostports_ephemeral(&range, ports, &list), -1,
    "a range that is none is told");
  local_port_range = NULL;
  is_int(natpasv_hostports_ephemeral(&range, ports, &list), -1,
    "... and one that is not there");
}

#define HEAD  "  sl  local_address rem_address   st tx_queue rx_queue\n"
#define LINE(local, remote, state) \
  "   0: " local " " remote " " state " 00000000:00000000 00:00000000\n"
#define ANY6 "00000000000000000000000000000000"

static void test_listeners(void) {
  static uint64_t listeners[NATPASV_WORDS];

  tcp = HEAD LINE("0100007F:1F40", "00000000:0000", "0A")
    LINE("00000000:0015", "00000000:0000", "0A")
    LINE("0100007F:0000", "00000000:0000", "0A")
    LINE("0100007F:FFFF", "00000000:0000", "0A")
    LINE("0100007F:0016", "0100007F:1F41", "01")
    LINE("0100007F:0017", "00000000:0000", "0A");
  tcp6 = NULL;
  memset(listeners, 0xff, sizeof(listeners));
  is_int(natpasv_hostports_listeners(listeners), 0,
    "a host without IPv6 has listeners");
  is_str(runs_of(listeners), "0-0 21-21 8000-8000 65535-65535",
    "... as far as the kernel shows listeners, which come first");

  tcp6 = HEAD LINE(ANY6 ":1F90", ANY6 ":0000", "0A")
    LINE(ANY6 ":0050", ANY6 ":1F41", "06");
  tcp = HEAD LINE("00000000:0015", "00000000:0000", "0A");
  is_int(natpasv_hostports_listeners(listeners), 0, "IPv4 and IPv6");
  is_str(runs_of(listeners), "21-21 8080-8080", "... are added up");

  tcp = HEAD;
  tcp6 = "";
  is_int(natpasv_hostports_listeners(listeners), 0, "nobody listens");
  is_str(runs_of(listeners), "", "... on any port");

  tcp = HEAD "   0: 0100007F:1F40\n";
  is_int(natpasv_hostports_listeners(listeners), 0, "a line that is cut off");
  is_str(runs_of(listeners), "", "... is no listener");

  tcp = NULL;
  is_int(natpasv_hostports_listeners(listeners), -1,
    "a host that does not tell");
}

int main(void) {
  test_ephemeral();
  test_listeners();
  return done_testing();
}
