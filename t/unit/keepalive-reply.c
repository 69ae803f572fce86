/*
 * The reply that is opened early: however many keepalives it had, and whatever
 * other commands said meanwhile, a client reads exactly one 226 and after it
 * the other replies; and it is broken when the final reply is not 226.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "tap.h"

#include <stdlib.h>

static int no_memory = 0;

#define realloc(at, size) (no_memory ? NULL : realloc(at, size))
#include "../../mod_keepalive/reply.c"
#undef realloc

#define STREAM_SIZE 65536

static char stream[STREAM_SIZE];
static size_t stream_len;
static unsigned int misfits; /* replies that needed more room, or far less */

static void out(const char *text, size_t len) {
  memcpy(stream + stream_len, text, len);
  stream_len += len;
  stream[stream_len] = '\0';
}

/* What a write of ProFTPD's becomes. */
static enum keepalive_reply_fate write_line(struct keepalive_reply *reply,
    const char *text, int foreign) {
  size_t len = strlen(text), room, expected;
  enum keepalive_reply_fate fate;
  char joined[4096];

  fate = keepalive_reply_judge(reply, text, len, foreign);
  switch (fate) {
    case KEEPALIVE_REPLY_PASS:
      out(text, len);
      break;

    case KEEPALIVE_REPLY_HOLD:
      keepalive_reply_hold(reply, text, len);
      break;

    case KEEPALIVE_REPLY_JOIN:
      room = keepalive_reply_join_size(reply, len);
      expected = len + reply->held_len;
      len = keepalive_reply_join(reply, text, len, joined);
      misfits += len > room || room > expected + 2;
      out(joined, len);
      break;

    default:
      break;
  }

  return fate;
}

static void grow(struct keepalive_reply *reply, int times) {
  while (times-- > 0) {
    char more[KEEPALIVE_REPLY_TEXT];

    out(more, keepalive_reply_grow(reply, more));
  }
}

static void start(struct keepalive_reply *reply) {
  memset(reply, 0, sizeof(*reply));
  stream_len = 0;
  stream[0] = '\0';
}

/* Reads one reply the way RFC 959 4.2 tells; returns what follows it, or NULL
 * if there is none.
 */
static const char *read_reply(const char *text, char *code, size_t *longest) {
  int many;

  if (strlen(text) < 4) {
    return NULL;
  }

  memcpy(code, text, 3);
  code[3] = '\0';
  many = text[3] == '-';
  *longest = 0;
  for (;;) {
    const char *end = strstr(text, "\r\n");

    if (end == NULL) {
      return NULL;
    }

    if ((size_t) (end - text) > *longest) {
      *longest = (size_t) (end - text);
    }

    if (!many || (strncmp(text, code, 3) == 0 && text[3] == ' ')) {
      return end + 2;
    }

    text = end + 2;
  }
}

static void test_any_length(void) {
  int times, wrong = 0, wrong_text = 0, wrong_rest = 0, long_lines = 0;

  for (times = 0; times <= 3000; times++) {
    struct keepalive_reply reply;
    const char *rest;
    char code[4];
    size_t longest = 0;

    start(&reply);
    grow(&reply, times);
    write_line(&reply, "226 Transfer complete\r\n", 0);
    rest = read_reply(stream, code, &longest);
    wrong += rest == NULL || strcmp(code, "226") != 0;
    wrong_rest += rest == NULL || *rest != '\0';
    wrong_text += strstr(stream, "226 Transfer complete\r\n") == NULL;
    long_lines += longest > 900;
  }

  is_int(wrong, 0, "after 0 to 3000 keepalives the client reads one 226");
  is_int(wrong_rest, 0, "and nothing after it");
  is_int(wrong_text, 0, "its last line is the stock one");
  is_int(long_lines, 0, "no line is over 900 bytes");
}

static void test_growth(void) {
  struct keepalive_reply reply;
  size_t before;
  int times, wrong = 0;

  start(&reply);
  write_line(&reply, "226 Transfer complete\r\n", 0);
  is_str(stream, "226 Transfer complete\r\n",
    "without a keepalive it is the stock reply");

  start(&reply);
  grow(&reply, 3);
  is_str(stream, "226-Transferring..", "two bytes after the opening");
  write_line(&reply, "226 Transfer complete\r\n", 0);
  is_str(stream, "226-Transferring..\r\n226 Transfer complete\r\n",
    "and the stock reply is the last line");
  is_int(reply.state, KEEPALIVE_REPLY_NONE, "after it all is as before");

  start(&reply);
  grow(&reply, 1);
  for (times = 0; times < 3000; times++) {
    const char *line = strrchr(stream, '\n');

    before = stream_len;
    grow(&reply, 1);
    wrong += stream_len - before != 1 && stream_len - before != 7;
    line = strrchr(stream, '\n');
    wrong += line != NULL && strncmp(line + 1, "226-", 4) != 0;
  }
  is_int(wrong, 0, "one byte each, and no line begins with half a code");
  for (const char *line = stream, *end; (end = strchr(line, '\r')) != NULL;
       line = end + 2) {
    is_int(end - line, line == stream ? 900 : 898,
      "a line is as long as it may be");
  }
  keepalive_reply_reset(&reply);
}

/* Replies of others wait for the last line of an end of many, however short they
 * are. */
static void test_waiting(void) {
  struct keepalive_reply reply;

  start(&reply);
  grow(&reply, 1);
  write_line(&reply, "2", 1);
  write_line(&reply, "226-Welcome\r\n", 0);
  is_str(stream, "226-Transferring\r\n226-Welcome\r\n", "others wait");
  write_line(&reply, "226 Transfer complete\r\n", 0);
  is_str(stream,
    "226-Transferring\r\n226-Welcome\r\n226 Transfer complete\r\n2",
    "... until the end");
}

static void test_room(void) {
  static char text[131073];
  struct keepalive_reply reply;

  start(&reply);
  is_int(keepalive_reply_hold(&reply, text, 131073), -1,
    "more than 128 KiB cannot wait");
  is_int(keepalive_reply_hold(&reply, text, 131071), 0, "a byte less can");
  is_int(keepalive_reply_hold(&reply, text, 1), 0, "... and one more");
  is_int(keepalive_reply_hold(&reply, text, 1), -1, "... and none after that");
  keepalive_reply_reset(&reply);

  no_memory = 1;
  is_int(keepalive_reply_hold(&reply, text, 1), -1, "nor can any without memory");
  no_memory = 0;
  is_int((long long) reply.held_len, 0, "... which is not counted");

  grow(&reply, 1);
  is_int(keepalive_reply_judge(&reply, "226 x", 3, 0), KEEPALIVE_REPLY_DROP,
    "a code ends with what follows it");
}

static void test_many_lines(void) {
  struct keepalive_reply reply;

  start(&reply);
  grow(&reply, 2);
  write_line(&reply, "226-Welcome\r\n", 0);
  write_line(&reply, " to the file\r\n", 0);
  write_line(&reply, "226 Transfer complete\r\n", 0);
  is_str(stream, "226-Transferring.\r\n226-Welcome\r\n to the file\r\n"
    "226 Transfer complete\r\n", "a final reply of many lines goes on");
}

static void test_others(void) {
  struct keepalive_reply reply;
  char line[64];
  int i;

  start(&reply);
  is_int(write_line(&reply, "200 NOOP\r\n", 1), KEEPALIVE_REPLY_PASS,
    "before the first keepalive other replies go out");
  grow(&reply, 1);
  is_int(write_line(&reply, "200 NOOP\r\n", 1), KEEPALIVE_REPLY_HOLD,
    "after it they wait");
  is_int(write_line(&reply, "450 LIST: busy\r\n", 1), KEEPALIVE_REPLY_HOLD,
    "whatever they say");
  grow(&reply, 1);
  write_line(&reply, "226 Transfer complete\r\n", 0);
  is_str(stream, "200 NOOP\r\n226-Transferring.\r\n226 Transfer complete\r\n200 NOOP\r\n"
    "450 LIST: busy\r\n", "and come after the final reply, in their order");

  start(&reply);
  grow(&reply, 1);
  snprintf(line, sizeof(line), "%060d\r\n", 1);
  for (i = 0; keepalive_reply_hold(&reply, line, strlen(line)) == 0; i++) {
  }
  ok(i > 2000 && errno == E2BIG, "%d replies can wait, not any number", i);
  keepalive_reply_reset(&reply);
}

static void test_broken(void) {
  static const char *const finals[] = { "426 Transfer aborted\r\n",
    "552 Quota\r\n", "250 Fine\r\n", "22 6\r\n", "226", "", "2266 x\r\n" };
  struct keepalive_reply reply;

  for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
    start(&reply);
    grow(&reply, 1);
    is_int(write_line(&reply, finals[i], 0), KEEPALIVE_REPLY_DROP,
      "'%.8s' cannot be the end of an open 226", finals[i]);
    is_int(write_line(&reply, "226 Transfer complete\r\n", 0),
      KEEPALIVE_REPLY_DROP, "and nothing is said after it");
    is_str(stream, "226-Transferring", "the client has an open line");
  }
}

int main(void) {
  test_any_length();
  test_growth();
  test_waiting();
  test_room();
  test_many_lines();
  test_others();
  test_broken();
  is_int(misfits, 0, "the room for a reply is what it takes, but two bytes");
  return done_testing();
}
