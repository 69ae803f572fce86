/* The table of mod_extip in memory: who reads what beside a busy writer, and
 * whose record is whose when a configuration changes. */

#include "../../mod_extip/table.c"
#include "tap.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct extip_table *table;

static void clear(void) {
  memset(table, 0, sizeof(*table));
}

/* An owner such as "A12": what is asked, then the servers. */
static struct extip_table_answer owner_of(const char *text) {
  struct extip_table_answer owner = { .asked = (unsigned char) text[0] };

  snprintf(owner.label, sizeof(owner.label), "%s", text);
  for (size_t i = 1; text[i] != '\0'; i++) {
    owner.servers[i - 1] = (unsigned char) text[i];
  }

  return owner;
}

/* Claims for words such as "A1 B23"; the addresses that they then have, in
 * their order, as digits. */
static const char *claim(const char *words) {
  static char addresses[EXTIP_TABLE_ANSWERS + 1];
  struct extip_table_answer owners[EXTIP_TABLE_ANSWERS];
  size_t records[EXTIP_TABLE_ANSWERS], count = 0;
  char copy[256], *save = NULL;

  snprintf(copy, sizeof(copy), "%s", words);
  for (char *word = strtok_r(copy, " ", &save); word != NULL;
       word = strtok_r(NULL, " ", &save)) {
    owners[count++] = owner_of(word);
  }

  extip_table_claim(table, owners, count, records);
  for (size_t i = 0; i < count; i++) {
    struct extip_table_answer answer;

    extip_table_read(table, records[i], &answer);
    addresses[i] = (char) ('0' + answer.addr);
  }

  addresses[count] = '\0';
  return addresses;
}

static void learn(const char *owner, unsigned int addr) {
  struct extip_record whole;
  int found =
    extip_table_find(table, -1, (unsigned char) owner[0], (unsigned char) owner[1]);

  extip_table_read_all(table, (size_t) found, &whole);
  whole.answer.addr = addr;
  whole.answer.confirmed.wall = addr;
  extip_table_write(table, (size_t) found, &whole);
}

/* The address that a session of "A1" announces, which began when the record had
 * this number. */
static unsigned int seen_by(const char *session, int record) {
  struct extip_table_answer answer = { .addr = 0 };
  int found = extip_table_find(
    table, record, (unsigned char) session[0], (unsigned char) session[1]);

  if (found >= 0) {
    extip_table_read(table, (size_t) found, &answer);
  }
  return answer.addr;
}

static void test_claims(void) {
  static const struct {
    const char *before, *after, *addresses, *name;
  } cases[] = {
    { "A1 B2", "A1 B2", "12", "nothing has changed" },
    { "A1 B2", "B2 A1", "21", "another order" },
    { "A1 B2", "A2 B1", "12", "servers that have swapped their questions" },
    { "A1 B2", "A1 C2", "12", "other sources: the address of the server stays" },
    { "A12", "A1 A2", "11", "split: both take the address along" },
    { "A12", "A1 C2", "11", "split off with other sources" },
    { "A1 A2", "A12", "1", "merged" },
    { "A1 B2", "C3", "0", "a new server with new sources knows nothing" },
    { "A1", "A3", "1", "a new server that asks the same knows the answer" },
    { "A1 B2", "A1", "1", "one is gone" },
    { "A1 A3", "A1", "1", "what fits less well is left alone" },
  };

  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char copy[64], *save = NULL;
    unsigned int addr = 0;

    clear();
    claim(cases[i].before);
    snprintf(copy, sizeof(copy), "%s", cases[i].before);
    for (char *word = strtok_r(copy, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
      learn(word, ++addr);
    }

    is_str(claim(cases[i].after), cases[i].addresses, "%s -> %s: %s",
      cases[i].before, cases[i].after, cases[i].name);
  }
}

static void test_sessions(void) {
  clear();
  claim("A12");
  learn("A1", 5);
  is_int(seen_by("A1", 0), 5, "a session reads its record");
  is_int(seen_by("B9", 0), 0, "... and nobody else's");
  claim("A1 C2");
  learn("C2", 6);
  is_int(seen_by("A2", 0), 5, "split off: the session stays with what it asked");
  claim("C2");
  is_int(seen_by("A2", 0), 5, "... also when nobody asks that any more");
  clear();
  claim("A1 A2");
  claim("A12");
  learn("A1", 7);
  is_int(seen_by("A2", 1), 7, "merged: a session from before follows");
}

static void test_room(void) {
  struct extip_table_answer owners[EXTIP_TABLE_ANSWERS];
  size_t records[EXTIP_TABLE_ANSWERS];

  clear();
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    struct extip_record whole = { .answer = owner_of("A") };

    whole.answer.asked = 100 + i;
    whole.answer.confirmed.wall = i == 17 ? 3 : 10 + (int64_t) i;
    whole.answer.addr = 1;
    extip_table_write(table, i, &whole);
  }

  owners[0] = owner_of("Z");
  extip_table_claim(table, owners, 1, records);
  is_int(records[0], 17,
    "one more takes the place of what was confirmed longest ago");
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    owners[i] = owner_of("Z");
    owners[i].asked = 1000 + i;
  }

  extip_table_claim(table, owners, EXTIP_TABLE_ANSWERS, records);
  uint64_t places = 0;

  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    places |= UINT64_C(1) << records[i];
  }
  ok(places == UINT64_MAX, "all places can be taken, each once");
}

static void set_rounds(size_t record, uint64_t rounds) {
  struct extip_record whole;

  (void) extip_table_read_all(table, record, &whole);
  whole.status.rounds = rounds;
  extip_table_write(table, record, &whole);
}

static int rounds_of(size_t record) {
  struct extip_record whole;

  memset(&whole, 'x', sizeof(whole));
  (void) extip_table_read_all(table, record, &whole);
  return (int) whole.status.rounds;
}

/* What is known of the rounds stays with the owner, in its record. */
static void test_owners(void) {
  struct extip_table_answer owners[EXTIP_TABLE_ANSWERS];
  size_t records[EXTIP_TABLE_ANSWERS], again[EXTIP_TABLE_ANSWERS];

  clear();
  is_int(rounds_of(5), 0, "a record that was never written is all zeros");
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    owners[i] = owner_of("A1");
    owners[i].asked = 100 + i;
    owners[i].servers[0] = 200 + i;
  }
  extip_table_claim(table, owners, 2, records);
  set_rounds(records[0], 7);
  set_rounds(records[1], 8);
  extip_table_claim(table, owners, 2, again);
  ok(again[0] == records[0] && again[1] == records[1],
    "an owner that comes again has its record");
  is_int(rounds_of(again[0]), 7, "... with its rounds");
  is_int(rounds_of(again[1]), 8, "... each with its own");

  extip_table_claim(table, owners, EXTIP_TABLE_ANSWERS, records);
  for (size_t i = 0; i < EXTIP_TABLE_ANSWERS; i++) {
    set_rounds(records[i], 9);
  }
  owners[0].asked = 1;
  owners[0].servers[0] = 2;
  extip_table_claim(table, owners, 1, records);
  is_int(rounds_of(records[0]), 0,
    "who takes the place of another has none of its rounds");
}

static void test_safe(void) {
  struct extip_table_answer before = owner_of("A1");
  struct extip_record whole;

  memset(&whole, 'x', sizeof(whole));
  extip_record_make_safe(&whole, &before);
  is_str(whole.answer.label, "A1", "the helper cannot say whose record it is");
  is_int(whole.answer.asked, 'A', "... nor what is asked");
  is_int(whole.status.source_count, EXTIP_TABLE_SOURCES,
    "... nor how many sources there are");
  ok(memchr(whole.status.sources[15].reason, '\0', 160) != NULL &&
       memchr(whole.status.verdict, '\0', 128) != NULL,
    "... and its strings end");
}

/* One writer and this reader, as fast as they can. */
static void test_race(void) {
  struct timespec begin, now;
  unsigned int mixed = 0, missing = 0, back = 0;
  uint32_t last = 0;
  unsigned long reads = 0;

  clear();

  pid_t pid = fork();

  if (pid == 0) {
    for (uint32_t i = 1;; i++) {
      struct extip_record whole = {
        .answer = { .addr = i, .previous = i, .since = i },
        .status = { .rounds = i },
      };

      extip_table_write(table, 0, &whole);
    }
  }

  clock_gettime(CLOCK_MONOTONIC, &begin);
  do {
    for (int i = 0; i < 1000; i++, reads++) {
      struct extip_record whole;

      if (!extip_table_read_all(table, 0, &whole)) {
        missing++;
        continue;
      }
      mixed += whole.answer.addr != whole.answer.previous ||
               whole.answer.addr != (uint32_t) whole.answer.since ||
               whole.answer.addr != (uint32_t) whole.status.rounds;
      back += whole.answer.addr < last;
      last = whole.answer.addr;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec - begin.tv_sec < 1 || reads < 50000);

  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  ok(last > 1000, "a reader beside a busy writer sees new answers");
  is_int(mixed, 0, "... never a mixture of two");
  is_int(back, 0, "... nor the one before");
  printf("# %lu reads of %u writes, %u overtaken\n", reads, last, missing);
}

/* What is sent of a record. */
static void test_size(void) {
  struct extip_record whole, none;
  size_t size;

  memset(&none, 0, sizeof(none));
  none.status.source_count = 3;
  size = extip_record_size(&none);
  memset(&whole, 'x', sizeof(whole));
  memcpy(&whole, &none, size);
  ok(extip_record_complete(&whole, size), "the bytes of a record with 3 sources");
  ok(memcmp(&whole, &none, sizeof(whole)) == 0, "... the rest of which is zero");
  ok(!extip_record_complete(&whole, size - 1), "... not one less");
  ok(!extip_record_complete(&whole, size + 1), "... nor one more");
  whole.status.source_count = EXTIP_TABLE_SOURCES;
  ok(extip_record_complete(&whole, sizeof(whole)), "those of a full one");
  whole.status.source_count = EXTIP_TABLE_SOURCES + 1;
  ok(!extip_record_complete(&whole, extip_record_size(&whole)),
    "not those of more sources than there can be");
  ok(!extip_record_complete(&whole, 0), "nor none at all");
}

int main(void) {
  table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (table == MAP_FAILED) {
    return 1;
  }

  test_claims();
  test_sessions();
  test_room();
  test_owners();
  test_safe();
  test_size();
  test_race();
  return done_testing();
}
