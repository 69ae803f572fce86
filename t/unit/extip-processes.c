/*
 * extip-processes.c - the helper leaves the daemon behind, and a process that
 * speaks UPnP is missing, ends, is silent or says an error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../mod_extip/confine.h"
#include "../../mod_extip/helper_fds.h"
#include "../../mod_extip/router_upnp.h"
#include "extip-asking.h"

/* The helper leaves the daemon behind */

/* What ACT returns in a child, -1 if that died. */
static int in_child(int (*act)(void)) {
  pid_t pid = fork();
  int status;

  if (pid == 0) {
    _exit(act());
  }
  return waitpid(pid, &status, 0) == pid && WIFEXITED(status)
           ? WEXITSTATUS(status)
           : -1;
}

/* With a terminal as standard error, and more descriptors than a helper has. */
static int detach(void) {
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  int kept = 0;

  if (terminal < 0 || dup2(terminal, STDERR_FILENO) < 0) {
    return 99;
  }
  for (int fd = EXTIP_LAST_FD; fd < 40; fd++) {
    (void) dup2(terminal, fd);
  }

  fail_first(" syscall ", ENOSYS);
  extip_detach();
  for (int fd = EXTIP_LAST_FD + 1; fd < 100; fd++) {
    kept += fcntl(fd, F_GETFD) >= 0;
  }
  return kept + (isatty(STDERR_FILENO) ? 50 : 0) +
         (fcntl(STDERR_FILENO, F_GETFD) < 0 ? 70 : 0) +
         (fcntl(EXTIP_LAST_FD, F_GETFD) < 0 ? 80 : 0);
}

/* A system that says it has changed the user, and has not. */
static int become_nobody(void) {
  fail_first(" setresuid ", 0);
  return extip_drop_privileges(65534, 65534) < 0 ? errno : 0;
}

static int orphan(void) {
  extip_die_with(1);
  return 9;
}

static void test_helper(void) {
  is_int(in_child(detach), 0,
    "an old kernel: the helper closes what it does not need, and has no terminal");
  is_int(in_child(orphan), 0, "whose daemon has ended already ends too");
  if (geteuid() == 0) {
    is_int(in_child(become_nobody), EPERM,
      "a user that was not given up is noticed");
  }
}

/* extip-upnp is a script of the test, beside a copy of it. */

static void write_program(const char *dir, const char *script) {
  char path[256];
  FILE *file;

  (void) snprintf(path, sizeof(path), "%s/extip-upnp", dir);
  file = fopen(path, "w");
  if (file == NULL || fprintf(file, "#!/usr/bin/perl\n%s\n", script) < 0 ||
      fclose(file) == EOF || chmod(path, 0755) < 0) {
    ok(0, "a script is written: %s", strerror(errno));
  }
}

static void remove_program(const char *dir) {
  char path[256];

  (void) snprintf(path, sizeof(path), "%s/extip-upnp", dir);
  (void) unlink(path);
}

static unsigned int refused, unsupported;
static uint16_t last;

static void take_reply(const struct extip_forward_reply *reply, void *user) {
  (void) user;
  refused += reply->result == EXTIP_FORWARD_DENIED;
  unsupported += reply->result == EXTIP_FORWARD_UNSUPPORTED;
  last = reply->inside;
  (void) snprintf(said, sizeof(said), "%s", reply->reason);
}

static void take_address(struct in_addr addr, void *user) {
  (void) addr;
  (void) user;
}

static void ask_forwards(struct extip_router_upnp *upnp, uint16_t count) {
  refused = unsupported = 0;
  for (uint16_t i = 0; i < count; i++) {
    const struct extip_forward_request request = { .protocol = EXTIP_UPNP,
      .inside = (uint16_t) (61000 + i),
      .outside = (uint16_t) (61000 + i),
      .lifetime = 3600 };

    extip_router_upnp_ask(upnp, &request);
  }
}

/* What was asked is answered, whatever becomes of the process. */
static void test_upnp_forwards(const char *dir) {
  struct extip_loop *loop = extip_loop_make();
  struct extip_router_upnp upnp = { .loop = loop,
    .router = { htonl(INADDR_LOOPBACK) },
    .take = take_reply,
    .address = take_address };
  int fds = count_fds();

  remove_program(dir);
  ask_forwards(&upnp, 1);
  is_int(unsupported, 1, "no program: UPnP is not supported");
  is_str(said, "UPnP cannot be spoken", "... which is the answer");

  write_program(dir, "sysread STDIN, my $line, 64;");
  ask_forwards(&upnp, 3);
  for (int i = 0; i < 10 && refused + unsupported < 3; i++) {
    (void) extip_loop_turn(loop, 1000);
  }
  is_int(refused, 3, "a program that ends: all that was asked is refused");
  is_int(last, 61002, "... in its order");
  is_str(said, "the router took too long to answer", "... with the reason");

  write_program(dir, "sleep 60;");
  ask_forwards(&upnp, EXTIP_ROUTER_UPNP_QUEUE + 1);
  is_int(unsupported, 1, "more than the queue has room for is not taken");
  is_int(last, 61000 + EXTIP_ROUTER_UPNP_QUEUE, "... which is the last");
  extip_router_upnp_stop(&upnp);
  is_int(count_fds(), fds, "no descriptor is kept");
  extip_loop_free(loop);
}

static void test_upnp(const char *dir) {
  static const struct asked error = { .uri = "upnp:127.0.0.1",
    .status = EXTIP_ROUTER };

  remove_program(dir);
  is_said("upnp:127.0.0.1", EXTIP_LOCAL,
    "this build does not speak UPnP: it has no program extip-upnp");
  write_program(dir, "sysread STDIN, my $line, 64;");
  is_said("upnp:127.0.0.1", EXTIP_ROUTER,
    "the router took too long to answer by UPnP");
  write_program(
    dir, "sysread STDIN, my $line, 64; syswrite STDOUT, qq{error 606\\n};");
  is_said("upnp:127.0.0.1", EXTIP_ROUTER,
    "UPnP error 606: the router refuses: allow this host to forward ports by UPnP in its settings");
  each_fails("upnp:", &memory, ask, &error);
  each_fails("upnp:", &processes, ask, &error);
  each_fails("upnp:", &buffers, ask, &error);
  each_fails("upnp:", &descriptors, ask, &error);
  test_upnp_forwards(dir);
}

/* A copy of this program in a directory of its own. */
static int start_again(void) {
  char dir[] = "/tmp/extip-processes-XXXXXX", path[64], command[128];

  if (mkdtemp(dir) == NULL) {
    return 1;
  }
  (void) snprintf(path, sizeof(path), "%s/test", dir);
  (void) snprintf(
    command, sizeof(command), "cp /proc/%d/exe %s", (int) getpid(), path);
  return system(command) == 0 ? execl(path, path, dir, (char *) NULL) : 1;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    return start_again();
  }

  signal(SIGPIPE, SIG_IGN);
  test_helper();
  if (leave_network()) {
    test_upnp(argv[1]);
  } else {
    printf("ok %d # SKIP a network namespace of its own is not allowed\n",
      ++tap_count);
  }
  remove_program(argv[1]);
  (void) unlink(argv[0]);
  (void) rmdir(argv[1]);
  return done_testing();
}
