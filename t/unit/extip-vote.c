/* The decision rule of mod_extip, as a table of rounds and outcomes. */

#include "../../mod_extip/vote.c"
#include "tap.h"

static struct in_addr address(unsigned int number) {
  struct in_addr addr = {
    .s_addr = number ? htonl(0xc6336400 + number) : INADDR_ANY
  };

  return addr;
}

/* Peer "x", and so on. */
static struct in_addr peer_address(char name) {
  return address(200 + (unsigned int) name % 32);
}

/*
 * A round is words such as "a=1 b@x=2 c=- d=? e@x=? f@*=?": key "a" says address
 * 1, key "b" answered from peer "x" and says 2, "c" failed, "d" has not answered
 * yet, nor have "e", which asks "x", and "f", whose name is not resolved.
 */
static size_t read_round(char *words, struct extip_vote *votes) {
  static struct in_addr asked[8];
  size_t count = 0;
  char *save = NULL;

  for (char *word = strtok_r(words, " ", &save); word != NULL;
       word = strtok_r(NULL, " ", &save)) {
    struct extip_vote *vote = &votes[count++];
    char *says = strchr(word, '='), *peer = strchr(word, '@');

    memset(vote, 0, sizeof(*vote));
    *says++ = '\0';
    if (peer != NULL) {
      *peer++ = '\0';
      vote->port = 3478;
    }
    if (peer != NULL && *says != '?') {
      vote->peer.sin_family = AF_INET;
      vote->peer.sin_port = htons(3478);
      vote->peer.sin_addr = peer_address(*peer);
    } else if (peer != NULL && *peer != '*') {
      asked[count - 1] = peer_address(*peer);
      vote->addrs = &asked[count - 1];
      vote->addr_count = 1;
    }

    vote->key = word;
    vote->settled = *says != '?';
    vote->valid = *says >= '0' && *says <= '9';
    vote->addr = address(vote->valid ? (unsigned int) (*says - '0') : 0);
  }

  return count;
}

static const struct {
  const char *round;
  unsigned int quorum, known, pending;
  enum extip_verdict verdict;
  unsigned int addr; /* expected winner; 0: not looked at */
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
  { "a=2 a=? b=?", 1, 0, 0, EXTIP_VOTE_OPEN, 0,
    "one to contradict itself and one to come do not cancel out" },
  { "a=1 b=2 c=2 d=?", 2, 0, 0, EXTIP_VOTE_OPEN, 0,
    "who was overtaken is a rival still" },
  { "b=2 a=2 a=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "an endpoint named twice takes no other one's vote" },
  { "a@x=2 b@x=? c@y=2", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "who asks the same server under another name can yet contradict" },
  { "a@x=2 b@x=3 c@y=2", 2, 1, 0, EXTIP_VOTE_SPLIT, 0, "... and does" },
  { "a@x=? b@x=3 c@y=2", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "... whichever of the two is slow" },
  { "a@x=2 b@x=3 c@y=?", 2, 1, 0, EXTIP_VOTE_OPEN, 0, "... or the third is" },
  { "a@x=2 b@*=? c@y=2", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "a name that is not resolved may be anybody" },
  { "a@x=2 b@z=? c@y=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "who asks somebody else is not waited for" },
  { "a@x=2 b=? c@y=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "nor who asks nobody, such as an interface" },
  { "a@x=2 a@y=? c@y=2 d@z=2", 2, 1, 0, EXTIP_VOTE_OPEN, 0,
    "one that links two servers can silence both" },
  { "a@x=2 b@x=? c@y=2 d@z=2", 2, 1, 0, EXTIP_VOTE_ADOPT, 2,
    "two are enough when the third is in doubt" },
};

static uint32_t next_random(uint32_t *state) {
  *state = *state * 1664525 + 1013904223;
  return *state >> 16;
}

/* Whatever is decided before all have answered is what all of them amount to. */
static void test_early_is_final(void) {
  uint32_t random = 1;
  unsigned int early = 0;
  unsigned int wrong = 0;

  for (int i = 0; i < 200000; i++) {
    struct extip_vote votes[6], all[6];
    struct in_addr asked[6];
    size_t count = 1 + next_random(&random) % 6;
    struct extip_vote_rule rule = {
      .quorum = 1 + next_random(&random) % 3,
      .known = address(next_random(&random) % 3),
      .pending = address(next_random(&random) % 3),
    };
    static const char *const keys[] = { "a", "b", "c", "d", "e", "f" };

    memset(all, 0, sizeof(all));
    for (size_t j = 0; j < count; j++) {
      asked[j] = address(200 + next_random(&random) % 5);
      all[j].key = keys[next_random(&random) % 6];
      all[j].settled = true;
      all[j].valid = next_random(&random) % 5 != 0;
      all[j].addr = address(1 + next_random(&random) % 2);
      all[j].peer.sin_family = AF_INET;
      all[j].peer.sin_port = htons(3478);
      all[j].peer.sin_addr = asked[j];
      votes[j] = all[j];
      if (next_random(&random) % 3 == 0) {
        memset(&votes[j], 0, sizeof(votes[j]));
        votes[j].key = all[j].key;
        votes[j].port = 3478;
        votes[j].addrs = &asked[j];
        votes[j].addr_count = next_random(&random) % 2;
      }
    }

    struct extip_tally then = extip_vote_count(&rule, votes, count);
    struct extip_tally at_last = extip_vote_count(&rule, all, count);

    if (then.verdict == EXTIP_VOTE_SAME || then.verdict == EXTIP_VOTE_ADOPT) {
      early++;
      wrong += then.verdict != at_last.verdict ||
               then.addr.s_addr != at_last.addr.s_addr;
    }
  }
  is_int(wrong, 0, "what is decided early is what all amount to");
  ok(early > 10000, "... in %u of 200,000 rounds", early);
}

static void test_rounds(void) {
  for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
    struct extip_vote votes[8];
    struct extip_vote_rule rule = {
      .quorum = rounds[i].quorum,
      .known = address(rounds[i].known),
      .pending = address(rounds[i].pending),
    };
    char words[128];

    snprintf(words, sizeof(words), "%s", rounds[i].round);

    size_t count = read_round(words, votes);
    struct extip_tally tally = extip_vote_count(&rule, votes, count);

    is_int(tally.verdict, rounds[i].verdict, "%s (%s)", rounds[i].name,
      rounds[i].round);
    if (rounds[i].addr) {
      is_int(tally.addr.s_addr, address(rounds[i].addr).s_addr,
        "... with address %u", rounds[i].addr);
    }
  }
}

static void test_counts(void) {
  char words[] = "a=1 b=1 c=1 d=2 e=2 f=3 g=-";
  struct extip_vote votes[8];
  struct extip_vote_rule rule = { .quorum = 2 };
  struct extip_tally tally =
    extip_vote_count(&rule, votes, read_round(words, votes));

  is_int(tally.votes, 3, "the winner's votes are counted");
  is_int(tally.rival, 2, "so are those of the strongest rival");
}

/* As many sources as there can be, and more. */
static void test_many(void) {
  struct extip_vote votes[EXTIP_VOTES_MAX + 4];
  struct extip_vote_rule rule = { .quorum = EXTIP_VOTES_MAX };
  char keys[EXTIP_VOTES_MAX + 4][8];

  memset(votes, 0, sizeof(votes));
  for (size_t i = 0; i < EXTIP_VOTES_MAX + 4; i++) {
    snprintf(keys[i], sizeof(keys[i]), "%zu", i);
    votes[i].key = keys[i];
    votes[i].settled = votes[i].valid = true;
    votes[i].addr = address(i < EXTIP_VOTES_MAX ? 1 : 2);
  }

  struct extip_tally tally = extip_vote_count(&rule, votes, EXTIP_VOTES_MAX);

  is_int(tally.votes, EXTIP_VOTES_MAX, "all of the most there can be count");
  tally = extip_vote_count(&rule, votes, EXTIP_VOTES_MAX + 4);
  is_int(tally.votes, EXTIP_VOTES_MAX, "of more than that the first do");
  is_int(tally.rival, 0, "... and no other");
}

static void test_describe(void) {
  static const struct {
    const char *round, *says;
  } table[] = {
    { "a=1 a=2", "every source contradicts itself" },
    { "a=1 b=2", "sources disagree: 1 say 198.51.100.1 and as many say another" },
    { "a=1 b=2 c=2 d=1",
      "sources disagree: 2 say 198.51.100.1 and as many say another" },
    { "a=1 b=2 c=2", "2 say 198.51.100.2 and the quorum is 3" },
    { "a@x=1 b@x=1 c@y=1", "2 say 198.51.100.1 and the quorum is 3, but all "
                           "sources are 2 endpoints" },
    { "a@x=1 b@x=1", "1 say 198.51.100.1 and the quorum is 3, but all sources "
                     "are 1 endpoint" },
  };

  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
    struct extip_vote votes[8];
    struct extip_vote_rule rule = { .quorum = 3 };
    char words[64], said[128];

    snprintf(words, sizeof(words), "%s", table[i].round);

    struct extip_tally tally =
      extip_vote_count(&rule, votes, read_round(words, votes));

    extip_vote_describe_split(&tally, rule.quorum, said, sizeof(said));
    is_str(said, table[i].says, "%s: why there is no decision", table[i].round);
  }
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
  test_early_is_final();
  test_counts();
  test_many();
  test_describe();
  test_quorum();
  test_usable();
  return done_testing();
}
