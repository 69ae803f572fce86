/*
 * natpasv-portarg.c - the arguments of PORT and EPRT: what is read, what is
 * left to ProFTPD, and that a printed one reads the same.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "../../mod_natpasv/portarg.c"
#include "tap.h"

static const struct {
  const char *text, *address; /* NULL: not read */
  unsigned int port;
} arguments[] = {
  { "192,0,2,1,195,80", "192.0.2.1", 50000 },
  { "0,0,0,1,0,1", "0.0.0.1", 1 },
  { "0,0,0,0,0,1", NULL, 0 },
  { "255,255,255,255,255,255", "255.255.255.255", 65535 },
  { "192,0,2,1,0,0", NULL, 0 },
  { "192,0,2,256,195,80", NULL, 0 },
  { "192,0,2,1,256,80", NULL, 0 },
  { "192,0,2,1,195", NULL, 0 },
  { "192,0,2,1,195,80,1", NULL, 0 },
  { "192,0,2,1,195,80 ", NULL, 0 },
  { " 192,0,2,1,195,80", NULL, 0 },
  { "192,0,2,-1,195,80", NULL, 0 },
  { "192,0,2,+1,195,80", NULL, 0 },
  { "192,0,,1,195,80", NULL, 0 },
  { "192,0,2,1,195,4294967376", NULL, 0 },
  { "192.0.2.1,195,80", NULL, 0 },
  { "", NULL, 0 },
  { "|1|192.0.2.1|50000|", "192.0.2.1", 50000 },
  { "!1!192.0.2.1!1!", "192.0.2.1", 1 },
  { "|2|2001:db8::1|65535|", "2001:db8::1", 65535 },
  { "|2|::ffff:192.0.2.1|50000|", "192.0.2.1", 50000 },
  { "|1|2001:db8::1|50000|", NULL, 0 },
  { "|2|192.0.2.1|50000|", NULL, 0 },
  { "|0|192.0.2.1|50000|", NULL, 0 },
  { "|3|192.0.2.1|50000|", NULL, 0 },
  { "|1|192.0.2.1|0|", NULL, 0 },
  { "|1|192.0.2.1|65536|", NULL, 0 },
  { "|1|192.0.2.1|50000", NULL, 0 },
  { "|1|192.0.2.1|50000||", NULL, 0 },
  { "|1|192.0.2.1||", NULL, 0 },
  { "|1|192.0.2.1", NULL, 0 },
  { "|1|", NULL, 0 },
  { "|", NULL, 0 },
  { "|1|192.0.2.01|50000|", NULL, 0 },
  { "|2|1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb|50000|", NULL,
    0 },
  { " 1 192.0.2.1 50000 ", NULL, 0 },
};

static void test(const char *text, const char *address, unsigned int port) {
  struct natpasv_portarg arg, again;
  char printed[NATPASV_PORTARG_MAX], found[INET6_ADDRSTRLEN];
  bool eprt = *text < '0' || *text > '9';
  int res = natpasv_portarg_parse(&arg, text, eprt);

  if (address == NULL) {
    is_int(res, -1, "'%s' is not read", text);
    return;
  }

  is_int(res, 0, "'%s' is read", text);
  is_str(inet_ntop(arg.family, &arg.address, found, sizeof(found)), address,
    "... with the address");
  is_int(arg.port, port, "... and the port");

  natpasv_portarg_print(&arg, printed, eprt);
  ok(natpasv_portarg_parse(&again, printed, eprt) == 0 &&
       again.family == arg.family && again.port == arg.port &&
       memcmp(&again.address, &arg.address, arg.family == AF_INET ? 4 : 16) ==
         0,
    "... and is the same when it was printed: %s", printed);
}

int main(void) {
  for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
    test(arguments[i].text, arguments[i].address, arguments[i].port);
  }
  return done_testing();
}
