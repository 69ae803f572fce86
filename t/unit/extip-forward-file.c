/* What this server has on the router: the file that remembers it, and the
 * memory in which sessions see it. */

#include "../../mod_extip/forward_file.c"
#include "../../mod_extip/forward_table.c"
#include "../../mod_extip/portforward.c"
#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NONCE        "00112233445566778899aabb"
#define ONE          "61000 62000 pcp " NONCE "\n"

static const struct {
  const char *text;
  size_t count;
  const char *what;
} files[] = {
  { HEADER ONE TRAILER, 1, "one forward" },
  { HEADER ONE "21 21 natpmp " NONCE "\n" TRAILER, 2, "two" },
  { HEADER TRAILER, 0, "none" },
  { "", 0, "an empty file" },
  { HEADER ONE, 0, "a file that was cut off" },
  { HEADER ONE "610", 0, "... within a line" },
  { HEADER ONE TRAILER ONE TRAILER, 0, "the end of a longer file" },
  { "extip-forwards 2\n" ONE TRAILER, 0, "another version" },
  { HEADER "0 1 pcp " NONCE "\n" TRAILER, 0, "port 0" },
  { HEADER "65536 1 pcp " NONCE "\n" TRAILER, 0, "port 65536" },
  { HEADER "99999999999 1 pcp " NONCE "\n" TRAILER, 0, "a large port" },
  { HEADER "-1 1 pcp " NONCE "\n" TRAILER, 0, "a negative port" },
  { HEADER "1 1 igd " NONCE "\n" TRAILER, 0, "another protocol" },
  { HEADER "1 1 pcp 0011\n" TRAILER, 0, "a short nonce" },
  { HEADER "1 1 pcp " NONCE "0\n" TRAILER, 0, "a long nonce" },
  { HEADER "1 1 pcp 0011223344556677889900XX\n" TRAILER, 0, "no nonce" },
};

static void test_texts(void) {
  for (size_t i = 0; i < COUNT(files); i++) {
    struct extip_forward_held held[4];
    size_t len = strlen(files[i].text);
    char *copy = malloc(len + (len == 0));

    memcpy(copy, files[i].text, len);
    is_int((long long) extip_forward_file_parse(copy, len, held, COUNT(held)),
      (long long) files[i].count, "%s", files[i].what);
    free(copy);
  }

  struct extip_forward_held held;

  (void) extip_forward_file_parse(
    files[0].text, strlen(files[0].text), &held, 1);
  is_int(held.port.inside, 61000, "the inside port");
  is_int(held.port.outside, 62000, "the outside port");
  is_int(held.protocol, EXTIP_PCP, "the protocol");
  ok(memcmp(held.nonce, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb",
       sizeof(held.nonce)) == 0,
    "the nonce");
  is_int((long long) extip_forward_file_parse(files[1].text,
           strlen(files[1].text), &held, 1),
    0, "more than there is room for is no file of ours");
}

static void test_file(void) {
  char path[] = "/tmp/extip-forwards-XXXXXX", reason[256];
  struct extip_forward_held held[3] = { { { 1, 2 }, EXTIP_NATPMP, "a" },
                                        { { 3, 4 }, EXTIP_PCP, "b" } },
                            got[3];
  int fd = mkstemp(path);
  struct stat st;

  (void) close(fd);
  (void) unlink(path);
  fd = extip_forward_file_open(path, reason, sizeof(reason));
  ok(fd >= 0 && fstat(fd, &st) == 0, "the file is made");
  is_int(st.st_mode & 07777, 0600, "... for nobody else to read");
  is_int((long long) extip_forward_file_read(fd, got, 3), 0, "it is empty");
  is_int(extip_forward_file_write(fd, held, 2), 0, "two are written");
  is_int((long long) extip_forward_file_read(fd, got, 3), 2, "... and read");
  ok(memcmp(held, got, 2 * sizeof(held[0])) == 0, "... as they were");
  is_int(extip_forward_file_write(fd, held, 1), 0, "then there is one");
  is_int((long long) extip_forward_file_read(fd, got, 3), 1, "... and no rest");
  (void) close(fd);

  (void) chmod(path, 0640);
  ok(extip_forward_file_open(path, reason, sizeof(reason)) < 0,
    "a file that others read is refused");
  ok(strstr(reason, "mode 0600") != NULL, "... and why");
  (void) unlink(path);
  ok(symlink("/tmp/extip-forwards-elsewhere", path) == 0 &&
       extip_forward_file_open(path, reason, sizeof(reason)) < 0,
    "a symbolic link is not followed");
  (void) unlink(path);
}

static void test_table(void) {
  static struct extip_forward_table table;
  struct forward_port ports[] = { { 21, 21 }, { 61000, 62000 } };
  struct extip_forward open = { .port = { 1, 1 },
    .given = 62000,
    .state = EXTIP_FORWARD_OPEN,
    .until = 1000 };
  struct extip_forward got;
  uint64_t generation;

  extip_forward_table_claim(&table, ports, 2, true);
  is_int((long long) extip_forward_table_count(&table), 2, "two ports");
  generation = extip_forward_table_generation(&table);
  memset(open.reason, 'x', sizeof(open.reason));
  ok(extip_forward_table_take(&table, 1, &open), "the helper opens one");
  ok(extip_forward_table_generation(&table) != generation, "... which is seen");
  (void) extip_forward_table_read(&table, 1, 999, &got);
  is_int(got.port.inside, 61000, "the helper does not say which port it is");
  is_int(got.given, 62000, "... but the one outside");
  is_int((long long) strlen(got.reason), EXTIP_FORWARD_REASON - 1,
    "its texts end");
  (void) extip_forward_table_read(&table, 1, 1000, &got);
  is_int(got.state, EXTIP_FORWARD_SILENT, "when its time is over it is closed");
  is_int(got.given, 0, "... with no port outside");

  open.state = EXTIP_FORWARD_STATES;
  ok(!extip_forward_table_take(&table, 1, &open), "an unknown state");
  open.state = EXTIP_FORWARD_REFUSED;
  ok(!extip_forward_table_take(&table, 1, &open), "a refusal with a port");
  open.given = 0;
  ok(!extip_forward_table_take(&table, 2, &open), "a forward too many");

  struct forward_port later[] = { { 61000, 62000 }, { 61001, 61001 } };

  extip_forward_table_claim(&table, later, 2, true);
  (void) extip_forward_table_read(&table, 0, 999, &got);
  is_int(got.state, EXTIP_FORWARD_OPEN, "a reload keeps what is known");
  (void) extip_forward_table_read(&table, 1, 999, &got);
  is_int(got.state, EXTIP_FORWARD_ASKED, "... and nothing is known of the rest");
}

int main(void) {
  test_texts();
  test_file();
  test_table();
  return done_testing();
}
