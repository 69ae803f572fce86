/*
 * mod_extip - gives up what the helper process does not need
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
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "helper_fds.h"

/* Without close_range(2), descriptors are closed one by one up to this number,
 * which is more than ProFTPD's daemon ever opens. */
#define CLOSE_MAX 65536

static void reset_signals(void) {
  sigset_t none;

  for (int signo = 1; signo < NSIG; signo++) {
    (void) signal(signo, SIG_DFL);
  }

  /* SIGPIPE is ignored, so a write reports EPIPE. The other signals belong to
   * the daemon. */
  (void) signal(SIGPIPE, SIG_IGN);
  (void) signal(SIGHUP, SIG_IGN);
  (void) signal(SIGUSR1, SIG_IGN);
  (void) signal(SIGUSR2, SIG_IGN);
  (void) signal(
    SIGXFSZ, SIG_IGN); /* ignored: the write fails with EFBIG instead */

  sigemptyset(&none);
  (void) sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_from(int first) {
#if defined(SYS_close_range)
  if (syscall(SYS_close_range, (unsigned int) first, ~0U, 0) == 0) {
    return;
  }
#endif

  for (int fd = first; fd < CLOSE_MAX; fd++) {
    (void) close(fd);
  }
}

void extip_detach(void) {
  int null;

  reset_signals();
  (void) setsid();
  close_from(EXTIP_LAST_FD + 1);
  null = open("/dev/null", O_RDWR);
  if (null >= 0) {
    (void) dup2(null, STDIN_FILENO);
    (void) dup2(null, STDOUT_FILENO);
    if (isatty(STDERR_FILENO)) {
      (void) dup2(null, STDERR_FILENO);
    }

    if (null > STDERR_FILENO) {
      (void) close(null);
    }
  }

  if (chdir("/") < 0) {
    /* The working directory is that of the daemon, usually "/". */
    errno = 0;
  }
}

static int drop_capabilities(void) {
  struct __user_cap_header_struct header = { .version =
                                               _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

  memset(none, 0, sizeof(none));
#if defined(PR_CAP_AMBIENT)
  (void) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
#endif
  return (int) syscall(SYS_capset, &header, none);
}

static int check_ids(uid_t user, gid_t group) {
  uid_t ruid, euid, suid;
  gid_t rgid, egid, sgid;

  if (getresuid(&ruid, &euid, &suid) < 0 ||
      getresgid(&rgid, &egid, &sgid) < 0) {
    return -1;
  }

  if (ruid != user || euid != user || suid != user || rgid != group ||
      egid != group || sgid != group || getgroups(0, NULL) != 0) {
    errno = EPERM;
    return -1;
  }

  return 0;
}

int extip_drop_privileges(uid_t user, gid_t group) {
  if (geteuid() == 0) {
    /* Ends with EINVAL after the last capability that the kernel knows. */
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
      continue;
    }

    if (setgroups(0, NULL) < 0 || setresgid(group, group, group) < 0 ||
        setresuid(user, user, user) < 0 || check_ids(user, group) < 0) {
      return -1;
    }
  }

  return drop_capabilities() < 0 ? -1 : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void extip_die_with(pid_t parent) {
  (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(0);
  }
}
