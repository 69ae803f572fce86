/*
 * The ports and the queue of mod_natpasv: claim, wait, hand over, release,
 * sweep, and the death of any session between any two steps, with the lock or
 * without. Two client addresses, the second with one session, the first with all
 * others; one that was handed a port may be stopped before it takes it.
 *
 *   owner[p]   0, or the session that has the port
 *   turn[s]    0, WAITS, or HANDED + the port
 *   ring[]     clients that wait, next one first
 *   fifo[]     the sessions of a client that wait, three places each
 *   held[c]    ports that sessions of the client have
 *   lock       0, or the session that has it
 *   alive[s]   the mutex of a session's life; the kernel marks it
 *
 * All but turn and alive change under the lock. What follows is checked: no port
 * has two listeners; no client gets more than its share; whenever the lock is
 * given back nobody waits who may have a port; a client that waits is passed by
 * one turn of the other at most; nobody waits for ever (invalid end states); and
 * when all have ended, one sweep leaves every port free and the queue empty.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define PORTS    2 /* or 1 */
#define SESSIONS 3 /* or 4 */
#define ROUNDS   1
#define DEATHS   2
#define WAITS    9
#define HANDED   10

#define CLIENT(s) ((s) / SESSIONS) /* all but the last one are of client 0 */

byte owner[PORTS];
byte turn[SESSIONS + 1];
byte ring[2], nring;
byte fifo[6], nfifo[2];
byte held[2];
byte passed[2]; /* turns of the other since it waits and may have one */
byte lock;
bool alive[SESSIONS + 1];
byte listeners[PORTS];
byte uses[SESSIONS + 1] = PORTS; /* the port a session listens on */
byte ended;

#define LAST      (PORTS - 1)
#define FREE      ((owner[0] == 0) + (PORTS > 1 && owner[LAST] == 0))
#define MAY(c)    (held[c] < FREE)
#define UNSWEPT   ((owner[0] != 0 && !alive[owner[0]]) ||                   \
                   (owner[LAST] != 0 && !alive[owner[LAST]]) ||                   \
                   (lock != 0 && !alive[lock]))
#define LATE      (turn[1] >= HANDED || turn[2] >= HANDED ||                 \
                   turn[3] >= HANDED || turn[SESSIONS] >= HANDED)

#define DIE                                                                 \
  atomic {                                                                  \
    alive[me] = false;                                                      \
    if                                                                      \
    :: uses[me] < PORTS -> listeners[uses[me]]--                            \
    :: else                                                                 \
    fi;                                                                     \
    uses[me] = PORTS;                                                       \
    ended++;                                                                \
    goto dead                                                               \
  }

/* Not all: with nobody left there is nobody to be wronged. */
#define OR_DIE                                                              \
  if                                                                        \
  :: skip                                                                   \
  :: deaths < DEATHS -> deaths++; DIE                                            \
  fi

byte deaths, stops;

inline ring_push(c) {
  ring[nring] = c;
  nring++;
  passed[c] = 0
}

inline ring_out(c) {
  if
  :: ring[0] == c -> ring[0] = ring[1]
  :: else
  fi;
  nring--
}

inline join(s) {
  if
  :: nfifo[CLIENT(s)] == 0 -> ring_push(CLIENT(s))
  :: else
  fi;
  fifo[CLIENT(s) * 3 + nfifo[CLIENT(s)]] = s;
  nfifo[CLIENT(s)]++;
  turn[s] = WAITS
}

inline quit(s) {
  if
  :: fifo[CLIENT(s) * 3] == s ->
    fifo[CLIENT(s) * 3] = fifo[CLIENT(s) * 3 + 1];
    fifo[CLIENT(s) * 3 + 1] = fifo[CLIENT(s) * 3 + 2]
  :: fifo[CLIENT(s) * 3] != s && fifo[CLIENT(s) * 3 + 1] == s ->
    fifo[CLIENT(s) * 3 + 1] = fifo[CLIENT(s) * 3 + 2]
  :: else
  fi;
  nfifo[CLIENT(s)]--;
  ring_out(CLIENT(s));
  if
  :: nfifo[CLIENT(s)] > 0 -> ring_push(CLIENT(s))
  :: else
  fi
}

inline take_back(p) {
  held[CLIENT(owner[p])]--;
  owner[p] = 0
}

/* A free port for a session. */
inline give(s) {
  if
  :: owner[0] == 0 -> p = 0
  :: PORTS > 1 && owner[LAST] == 0 -> p = LAST
  fi;
  assert(MAY(CLIENT(s)));
  owner[p] = s;
  held[CLIENT(s)]++
}

/* Whose turn it is: c, or 2 nobody's. */
inline next_client() {
  if
  :: nring > 0 && MAY(ring[0]) -> c = ring[0]
  :: nring > 1 && !MAY(ring[0]) && MAY(ring[1]) -> c = ring[1]
  :: else -> c = 2
  fi
}

inline serve() {
  do
  :: atomic { next_client() };
    if
    :: c == 2 -> break
    :: else
    fi;
    n = fifo[c * 3];
    if
    :: !alive[n] -> atomic { quit(n); turn[n] = 0 }
    :: else ->
      atomic { give(n) };
      OR_DIE;
      atomic {
        if
        :: nring > 1 && MAY(1 - c) -> passed[1 - c]++; assert(passed[1 - c] <= 1)
        :: else
        fi;
        quit(n)
      };
      OR_DIE;
      turn[n] = HANDED + p
    fi
  od
}

inline sweep() {
  atomic {
    for (p : 0 .. PORTS - 1) {
      if
      :: owner[p] != 0 && !alive[owner[p]] -> take_back(p)
      :: else
      fi
    }
    for (n : 1 .. SESSIONS) {
      if
      :: !alive[n] && turn[n] == WAITS -> quit(n); turn[n] = 0
      :: alive[n] && n != me && turn[n] >= HANDED ->
        p = turn[n] - HANDED;
        turn[n] = 0;
        if
        :: owner[p] == n -> take_back(p)
        :: else
        fi
      :: else
      fi
    }
  };
  OR_DIE;
  serve()
}

inline rebuild() {
  atomic {
    nring = 0; nfifo[0] = 0; nfifo[1] = 0; held[0] = 0; held[1] = 0;
    for (p : 0 .. PORTS - 1) {
      if
      :: owner[p] != 0 && turn[owner[p]] == WAITS -> owner[p] = 0
      :: owner[p] != 0 && turn[owner[p]] != WAITS -> held[CLIENT(owner[p])]++
      :: else
      fi
    }
    for (n : 1 .. SESSIONS) {
      if
      :: turn[n] == WAITS -> join(n)
      :: else
      fi
    }
  };
  OR_DIE;
  sweep()
}

inline enter() {
  if
  :: atomic { lock == 0 -> lock = me }
  :: atomic { lock != 0 && !alive[lock] -> lock = me; stolen = true }
  fi;
  if
  :: stolen -> stolen = false; rebuild()
  :: else
  fi
}

inline leave() {
  atomic {
    next_client();
    assert(c == 2);
    assert(lock == me);
    lock = 0; n = 0; c = 0; p = 0
  }
}

proctype session(byte me) {
  byte p, n, c, port = PORTS, rounds;
  bool stolen;

  do
  :: rounds == ROUNDS -> break
  :: else ->
    rounds++;

    enter();
    if
    :: MAY(CLIENT(me)) -> atomic { give(me); port = p }
    :: else ->
      sweep();
      if
      :: MAY(CLIENT(me)) -> atomic { give(me); port = p }
      :: else -> atomic { join(me) }
      fi
    fi;
    OR_DIE;
    leave();

    do
    :: port < PORTS -> break
    :: atomic { port == PORTS && turn[me] >= HANDED ->
        port = turn[me] - HANDED; turn[me] = 0 }; break
    :: port == PORTS && turn[me] == 0 -> /* lost its turn */
      enter();
      if
      :: MAY(CLIENT(me)) -> atomic { give(me); port = p }
      :: else -> atomic { join(me) }
      fi;
      leave()
    :: port == PORTS && turn[me] == WAITS && (UNSWEPT || LATE) ->
      enter(); sweep(); leave()
    od;

    OR_DIE;
    atomic {
      assert(listeners[port] == 0);
      assert(owner[port] == me);
      listeners[port]++;
      uses[me] = port
    };
    OR_DIE;
    atomic {
      listeners[port]--;
      uses[me] = PORTS
    };
    enter();
    atomic {
      assert(owner[port] == me);
      take_back(port);
      port = PORTS
    };
    OR_DIE;
    serve();
    leave()
  od;
  atomic {
    alive[me] = false;
    ended++
  };
dead:
  skip
}

init {
  byte p, n, c, me;
  bool stolen;

  atomic {
    for (n : 1 .. SESSIONS) {
      alive[n] = true;
      run session(n)
    };
    n = 0
  };
  atomic { ended == SESSIONS -> deaths = DEATHS };
  enter();
  sweep();
  assert(owner[0] == 0 && owner[LAST] == 0 && nring == 0);
  assert(held[0] == 0 && held[1] == 0 && nfifo[0] == 0 && nfifo[1] == 0);
dead:
  skip
}
