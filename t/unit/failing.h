/*
 * failing.h - calls that fail when a test wants them to, with -Wl,--wrap: the
 * objects under test call __wrap_malloc() and so on, and only those that are
 * linked into the test, no library.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef FAILING_H
#define FAILING_H

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"

/* The call of this number, of those whose names are in CALLS, fails. */
static struct {
  const char *calls; /* " malloc calloc "; NULL: none fails */
  long number, seen;
  int error;
  bool hit;
} fault;

static bool fails(const char *call) {
  char word[32];
  bool armed = fault.calls != NULL && !fault.hit;

  if (armed) {
    size_t len = strlen(call);

    word[0] = ' ';
    memcpy(word + 1, call, len);
    memcpy(word + 1 + len, " ", 2);
    fault.hit =
      strstr(fault.calls, word) != NULL && ++fault.seen == fault.number;
    armed = fault.hit;
  }
  if (armed) {
    errno = fault.error;
  }
  return armed;
}

#define FAILING(type, bad, call, params, args)        \
  type __real_##call params;                          \
  type __wrap_##call params;                          \
  type __wrap_##call params {                         \
    return fails(#call) ? (bad) : __real_##call args; \
  }

FAILING(void *, NULL, malloc, (size_t size), (size))
FAILING(void *, NULL, calloc, (size_t n, size_t size), (n, size))
FAILING(void *, NULL, realloc, (void *at, size_t size), (at, size))
FAILING(char *, NULL, strdup, (const char *text), (text))
FAILING(char *, NULL, strndup, (const char *text, size_t size), (text, size))
FAILING(FILE *, NULL, open_memstream, (char **at, size_t *len), (at, len))
FAILING(int, -1, pipe2, (int fds[2], int flags), (fds, flags))
FAILING(int, -1, socket, (int family, int type, int protocol),
  (family, type, protocol))
FAILING(int, -1, socketpair, (int family, int type, int protocol, int fds[2]),
  (family, type, protocol, fds))
FAILING(int, -1, bind, (int fd, const struct sockaddr *addr, socklen_t len),
  (fd, addr, len))
FAILING(int, -1, connect, (int fd, const struct sockaddr *addr, socklen_t len),
  (fd, addr, len))
FAILING(int, -1, setsockopt,
  (int fd, int level, int name, const void *value, socklen_t len),
  (fd, level, name, value, len))
FAILING(int, -1, getsockname, (int fd, struct sockaddr *addr, socklen_t *len),
  (fd, addr, len))
FAILING(ssize_t, -1, send, (int fd, const void *at, size_t len, int flags),
  (fd, at, len, flags))
FAILING(ssize_t, -1, write, (int fd, const void *at, size_t len), (fd, at, len))
FAILING(ssize_t, -1, getrandom, (void *at, size_t len, unsigned int flags),
  (at, len, flags))
FAILING(int, 0, setresuid, (uid_t user, uid_t effective, uid_t saved),
  (user, effective, saved)) /* does nothing, and says that it did */
FAILING(pid_t, -1, fork, (void), ())
FAILING(CURL *, NULL, curl_easy_init, (void), ())
FAILING(CURLM *, NULL, curl_multi_init, (void), ())
FAILING(CURLMcode, CURLM_OUT_OF_MEMORY, curl_multi_add_handle,
  (CURLM * multi, CURL *easy), (multi, easy))
FAILING(struct curl_slist *, NULL, curl_slist_append,
  (struct curl_slist * list, const char *text), (list, text))
FAILING(CURLcode, CURLE_AGAIN, curl_easy_send,
  (CURL * easy, const void *at, size_t len, size_t *sent),
  (easy, at, len, sent))

/* What the modules call has two arguments or three. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
  va_list args;
  long a, b, c;

  va_start(args, number);
  a = va_arg(args, long);
  b = va_arg(args, long);
  c = va_arg(args, long);
  va_end(args);
  return fails("syscall") ? -1 : __real_syscall(number, a, b, c);
}

/* All its options are as wide as a pointer. */
CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...) {
  va_list args;
  void *value;

  va_start(args, option);
  value = va_arg(args, void *);
  va_end(args);
  return fails("curl_easy_setopt")
           ? CURLE_OUT_OF_MEMORY
           : __real_curl_easy_setopt(easy, option, value);
}

static char said[1024];

/* What runs out, and the calls that notice. */
struct shortage {
  const char *of, *calls;
  int error;
};

#define ALLOCATE " malloc calloc realloc strdup strndup open_memstream "

__attribute__((unused)) static const struct shortage
  memory = { "memory", ALLOCATE, ENOMEM },
  memory_and_libcurl = { "memory, here and in libcurl",
    ALLOCATE "curl_easy_init curl_easy_setopt curl_easy_send curl_multi_init "
             "curl_multi_add_handle curl_slist_append ",
    ENOMEM },
  descriptors = { "descriptors", " pipe2 socket socketpair ", EMFILE },
  buffers = { "buffers", " socket bind connect send setsockopt ", ENOBUFS },
  processes = { "processes", " fork ", EAGAIN },
  randomness = { "random numbers", " getrandom ", EAGAIN };

static int count_fds(void) {
  DIR *dir = opendir("/proc/self/fd");
  int count = 0;

  while (readdir(dir) != NULL) {
    count++;
  }
  (void) closedir(dir);
  return count;
}

static void fail_first(const char *calls, int error) {
  fault.calls = calls;
  fault.number = 1;
  fault.error = error;
  fault.seen = 0;
  fault.hit = false;
}

/* RUN does something and returns whether it could; if not, why is in SAID. The
 * first call that can fail does, then the second, up to the last, and then
 * none. */
static void each_fails(const char *what, const struct shortage *shortage,
  bool (*run)(const void *arg), const void *arg) {
  int fds = count_fds();
  long failed = 0, silent = 0, kept = 0;
  bool could;

  for (long number = 1;; number++) {
    fail_first(shortage->calls, shortage->error);
    fault.number = number;
    said[0] = '\0';
    could = run(arg);
    fault.calls = NULL;
    if (!fault.hit) {
      break;
    }
    failed += !could;
    silent += !could && said[0] == '\0';
    kept += count_fds() != fds;
  }
  ok(could, "%s: nothing fails", what);
  ok(failed > 0, "... without %s it ends in another way", shortage->of);
  is_int(silent, 0, "... says why, each time");
  is_int(kept, 0, "... and keeps no descriptor");
}

#endif
