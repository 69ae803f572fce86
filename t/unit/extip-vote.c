/* The decision rule of mod_extip, as a table of rounds and outcomes. */

#include "../../mod_extip/vote.c"
#include "tap.h"

static struct in_addr address(unsigned number) {
  struct in_addr addr = {
    .s_addr = number ? htonl(0xc6336400 + number) : INADDR_ANY
  };

  return addr;
}

/*
 * A round is words such as "a=1 b@x=2 c=- d=?": key "a" says address 1, key "b"
 * answered from peer "x" and says 2, "c" failed, "d" has not answered yet.
 */
static size_t read_round(char *words, struct extip_ballot *ballots) {
  size_t count = 0;
  char *save = NULL;

  for (char *word = strtok_r(words, " ", &save); word != NULL;
       word = strtok_r(NULL, " ", &save)) {
    struct extip_ballot *ballot = &ballots[count++];
    char *says = strchr(word, '='), *peer = strchr(word, '@');

    memset(ballot, 0, sizeof(*ballot));
    *says++ = '\0';
    if (peer != NULL) {
      *peer++ = '\0';
      ballot->peer.sin_family = AF_INET;
      ballot->peer.sin_port = htons(3478);
      ballot->peer.sin_addr = address(200 + (unsigned) *peer % 32);
    }

    ballot->key = word;
    ballot->settled = *says != '?';
    ballot->valid = *says >= '0' && *says <= '9';
    ballot->addr = address(ballot->valid ? (unsigned) (*says - '0') : 0);
  }

  return count;
}

static const struct {
  const char *round;
  unsigned quorum, known, pending;
  enum extip_verdict verdict;
  unsigned addr; /* expected winner; 0: not looked at */
  const char *name;
} rounds[] = {
  { "a=-", 1, 1, 0, EXTIP_VOTE_NONE, 0, "a dead source decides nothing" },
  { "", 1, 1, 0, EXTIP_VOTE_NONE, 0, "no source decides nothing" },
  { "a=1", 1, 0, 0, EXTIP_VOTE_ADOPT, 1, "one source gives the first address" },
  { "a=1", 1, 1, 0, EXTIP_VOTE_SAME, 1, "one source confirms" },
  { "a=2", 1, 1, 0, EXTIP_VOTE_CONFIRM, 2, "one of one glitches: ask again" },
  { "a=2", 1, 1, 2, EXTIP_VOTE_ADOPT, 2, "one of one says it twice: adopted" },
  { "a=3", 1, 1, 2, EXTIP_VOTE_CONFIRM, 3, "another glitch is not a repeat" },
  { "a=1", 1, 1, 2, EXTIP_VOTE_SAME, 1, "a glitch that is gone confirms" },
  { "a=1 b=2", 1, 1, 0, EXTIP_VOTE_SPLIT, 0, "one against one is no winner" },
  { "a=2 b=3", 1, 1, 2, EXTIP_VOTE_SPLIT, 0, "a repeat does not break a tie" },
  { "a=2 b=-", 1, 1, 0, EXTIP_VOTE_CONFIRM, 2,
    "the only one of two that answers must repeat a change" },
  { "a=2 b=2", 1, 1, 0, EXTIP_VOTE_ADOPT, 2, "two that agree need no repeat" },
  { "a=2 b=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2, "two reach a quorum of two" },
  { "a=2 b=-", 2, 1, 2, EXTIP_VOTE_SPLIT, 0,
    "a repeat does not stand in for the quorum" },
  { "a=1 b=1 c=2", 2, 1, 0, EXTIP_VOTE_SAME, 1,
    "one of three lies: confirmed" },
  { "a=2 b=2 c=1", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "two of three say the new address: adopted" },
  { "a=1 b=2 c=3", 2, 1, 0, EXTIP_VOTE_SPLIT, 0,
    "two of three lie differently: unchanged" },
  { "a=1 b=1 c=2 d=2", 2, 1, 0, EXTIP_VOTE_SPLIT, 0,
    "two against two is no winner" },
  { "a=2 a=2 b=1", 2, 1, 0, EXTIP_VOTE_SPLIT, 0,
    "an endpoint named twice has one vote" },
  { "a=2 a=3 b=1", 1, 1, 0, EXTIP_VOTE_SAME, 1,
    "an endpoint that contradicts itself has none" },
  { "a=2 a=- b=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "one failure of an endpoint does not silence its other source" },
  { "a@x=2 b@x=2 c@y=1", 2, 1, 0, EXTIP_VOTE_SPLIT, 0,
    "two names of one server have one vote" },
  { "a@x=2 b@y=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2, "two servers have two" },
  { "a@x=2 b@x=3 b@y=3 c@z=1", 1, 1, 0, EXTIP_VOTE_SAME, 1,
    "sameness is followed through a third source" },
  { "a@x=2 b@y=2 a@y=2 c=1", 2, 1, 0, EXTIP_VOTE_SPLIT, 0,
    "also when the source that links two comes last" },
  { "a=2 b=?", 1, 1, 0, EXTIP_VOTE_OPEN, 0, "a second opinion is waited for" },
  { "a=1 b=?", 1, 1, 0, EXTIP_VOTE_OPEN, 0, "a rival can still tie" },
  { "a=2 b=2 c=?", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "nobody waits for the third when two agree" },
  { "a=1 b=1 c=?", 2, 1, 0, EXTIP_VOTE_SAME, 1,
    "nor for a confirmation by two" },
  { "a=2 b=2 c=1 d=?", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "a fourth could make it two against two" },
  { "a=2 b=2 a=?", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "an endpoint can still contradict itself" },
  { "a=? b=?", 2, 0, 0, EXTIP_VOTE_OPEN, 0, "nothing yet decides nothing" },
  { "a=2 b=2 c=2 d=? e=?", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "three cannot be overtaken by two" },
  { "a=2 b=2 c=? d=?", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "two can be equalled by two" },
};

static void test_rounds(void) {
  for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
    struct extip_ballot ballots[8];
    struct extip_motion motion = {
      .quorum = rounds[i].quorum,
      .known = address(rounds[i].known),
      .pending = address(rounds[i].pending),
    };
    char words[128];

    snprintf(words, sizeof(words), "%s", rounds[i].round);

    size_t count = read_round(words, ballots);
    struct extip_outcome outcome = extip_vote(&motion, ballots, count);

    is_int(outcome.verdict, rounds[i].verdict, "%s (%s)", rounds[i].name,
      rounds[i].round);
    if (rounds[i].addr) {
      is_int(outcome.addr.s_addr, address(rounds[i].addr).s_addr,
        "... with address %u", rounds[i].addr);
    }
  }
}

static void test_counts(void) {
  char words[] = "a=1 b=1 c=1 d=2 e=2 f=3 g=-";
  struct extip_ballot ballots[8];
  struct extip_motion motion = { .quorum = 2 };
  struct extip_outcome outcome =
    extip_vote(&motion, ballots, read_round(words, ballots));

  is_int(outcome.votes, 3, "the winner's votes are counted");
  is_int(outcome.rival, 2, "so are those of the strongest rival");
}

static void test_quorum(void) {
  const char *keys[] = { "a", "b", "c", "c" };

  is_int(extip_vote_quorum(keys, 1), 1, "one source: quorum 1");
  is_int(extip_vote_quorum(keys, 2), 1, "two sources: quorum 1");
  is_int(extip_vote_quorum(keys, 3), 2, "three sources: quorum 2");
  is_int(extip_vote_quorum(keys + 1, 3), 1,
    "three sources at two endpoints count as two");
}

static void test_usable(void) {
  static const struct {
    const char *addr;
    bool usable;
  } table[] = {
    { "0.0.0.0", false },
    { "0.1.2.3", false },
    { "10.0.0.1", true },
    { "127.0.0.1", true },
    { "223.255.255.255", true },
    { "224.0.0.1", false },
    { "255.255.255.255", false },
  };

  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    struct in_addr addr;

    inet_pton(AF_INET, table[i].addr, &addr);
    is_int(extip_vote_usable(addr), table[i].usable,
      "%s %s be a server's address", table[i].addr,
      table[i].usable ? "can" : "cannot");
  }
}

int main(void) {
  test_rounds();
  test_counts();
  test_quorum();
  test_usable();
  return done_testing();
}
