/*
 * extip-upnp-child.c - a process that answers, that says nothing, nonsense, or
 * that ends: the helper's side of extip-upnp. The program is a script beside a
 * copy of this test.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#include "../../mod_extip/ipv4.c"
#include "../../mod_extip/upnp.c"
#include "../../mod_extip/upnp_child.c"
#include "tap.h"

static const char script[] =
  "#!/usr/bin/perl\n"
  "my $open = grep { -e \"/proc/self/fd/$_\" } 0 .. 9;\n"
  "my %answer = (2 => \"nonsense\\n\", 3 => \"get 3\\n\",\n"
  "  5 => \"error $open\\n\", 6 => \"none 6\\n\");\n"
  "while (sysread STDIN, my $line, 64) {\n"
  "  my ($word, $port) = split ' ', $line;\n"
  "  next if $word eq 'get' && $port == 1;\n"
  "  exit if $word eq 'get' && $port == 4;\n"
  "  print STDERR 'oops' if $word eq 'get' && $port == 6;\n"
  "  syswrite STDOUT, $word eq 'where' ? \"address $ARGV[0]\\n\"\n"
  "    : $word eq 'get' ? $answer{$port} : $line =~ s/map/mapped/r;\n"
  "}\n";

/* Copies this program to DIR, where it is started once more. */
static int start_again(const char *dir) {
  char path[PATH_MAX], command[2 * PATH_MAX];
  FILE *file;

  snprintf(path, sizeof(path), "%s/" EXTIP_UPNP_NAME, dir);
  file = fopen(path, "w");
  if (file == NULL || fputs(script, file) == EOF || fclose(file) == EOF ||
      chmod(path, 0755) < 0) {
    return -1;
  }
  snprintf(path, sizeof(path), "%s/test", dir);
  snprintf(command, sizeof(command), "cp /proc/%d/exe %s", (int) getpid(), path);
  return system(command) == 0 ? execl(path, path, dir, (char *) NULL) : -1;
}

/* 1 or -1 when something has come within ten seconds, else 0. */
static int hear(struct extip_upnp_child *child, struct extip_upnp_line *answer) {
  struct pollfd fd = { .fd = extip_upnp_child_fd(child), .events = POLLIN };

  return poll(&fd, 1, 10000) > 0 ? extip_upnp_child_hear(child, answer) : 0;
}

static void get(struct extip_upnp_child *child, uint16_t port) {
  struct extip_upnp_line request = { .kind = EXTIP_UPNP_GET, .outer = port };

  extip_upnp_child_ask(child, &request);
}

static void test_answers(struct in_addr router) {
  struct extip_upnp_line where = { .kind = EXTIP_UPNP_WHERE }, answer;
  struct extip_upnp_child *child = extip_upnp_child_start(router);

  ok(child != NULL, "it starts");
  extip_upnp_child_ask(child, &where);
  ok(hear(child, &answer) == 1 && answer.kind == EXTIP_UPNP_ADDRESS &&
       answer.addr.s_addr == router.s_addr,
    "it is told the router, and answers");
  is_int(extip_upnp_child_hear(child, &answer), 0, "there is no other answer");

  for (uint16_t port = 61000; port < 61008; port++) {
    struct extip_upnp_line map = { .kind = EXTIP_UPNP_MAP, .outer = port,
      .inner = port, .lifetime = 3600 };

    is_int(extip_upnp_child_ask(child, &map), 0, "request %u", port);
  }
  for (uint16_t port = 61000; port < 61008; port++) {
    ok(hear(child, &answer) == 1 && answer.kind == EXTIP_UPNP_MAPPED &&
         answer.outer == port && answer.lifetime == 3600,
      "answer %u", port);
  }

  get(child, 5);
  ok(hear(child, &answer) == 1 && answer.kind == EXTIP_UPNP_ERROR,
    "it looks at its descriptors");
  is_int(answer.code, 3, "... of which there are three");
  get(child, 6);
  ok(hear(child, &answer) == 1 && answer.outer == 6,
    "it may write to standard error");
  get(child, 1);
  is_int(extip_upnp_child_hear(child, &answer), 0, "silence is no answer");
  extip_upnp_child_stop(child);
}

static void test_faults(struct in_addr router) {
  static const char *const names[] = { "nonsense", "a request", "an end" };

  for (uint16_t port = 2; port <= 4; port++) {
    struct extip_upnp_child *child = extip_upnp_child_start(router);
    struct extip_upnp_line answer;

    get(child, port);
    is_int(hear(child, &answer), -1, "%s is no answer", names[port - 2]);
    extip_upnp_child_stop(child);
  }
}

static void test_end(struct in_addr router) {
  struct extip_upnp_line request = { .kind = EXTIP_UPNP_GET, .outer = 1 };
  struct extip_upnp_child *child = extip_upnp_child_start(router);
  pid_t pid = child->pid;
  unsigned int sent = 0;

  kill(pid, SIGSTOP);
  while (sent < 100000 && extip_upnp_child_ask(child, &request) == 0) {
    sent++;
  }
  ok(sent < 100000 && errno == EAGAIN,
    "a process that does not read makes nobody wait");
  extip_upnp_child_stop(child);
  ok(kill(pid, 0) < 0 && errno == ESRCH, "... and is ended");
  extip_upnp_child_stop(NULL);
}

int main(int argc, char **argv) {
  char dir[] = "/tmp/extip-upnp-child-XXXXXX", path[PATH_MAX];
  struct in_addr router = { htonl(0xc0a80101) };

  if (argc < 2) {
    return mkdtemp(dir) == NULL || start_again(dir) < 0;
  }
  for (int fd = STDERR_FILENO + 1; fd <= EXTIP_LAST_FD; fd++) {
    (void) dup2(STDIN_FILENO, fd); /* as the helper has them */
  }
  test_answers(router);
  test_faults(router);
  test_end(router);

  snprintf(path, sizeof(path), "%s/" EXTIP_UPNP_NAME, argv[1]);
  unlink(path);
  errno = 0;
  ok(extip_upnp_child_start(router) == NULL && errno == ENOENT,
    "a build without the program says so");
  unlink(argv[0]);
  rmdir(argv[1]);
  return done_testing();
}
