/*
 * The leases of mod_natpasv: claim, release, crash and sweep, with three
 * sessions and two ports. Each atomic statement is one instruction on shared
 * memory of mod_natpasv/lease.c; a session may be killed between any two.
 *
 *   owner[p]  0, or the identity of a session
 *   taken[p]  the hint: not worth trying
 *   alive[s]  the lock of a session; the kernel drops it when the session ends
 *   busy[s]   for the assertions: the port whose hint s has, but not the lease
 *
 * Checked: no port has two listeners; no claim is refused while there is a port
 * that no session has, nor is about to have or to give back (assertions); and
 * when all is quiet and one sweep is done, every port that no living session
 * holds can be claimed (the end of the monitor). The hints are read in one
 * step, as those of one word are.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define PORTS    2
#define SESSIONS 3

byte owner[PORTS];
bool taken[PORTS];
bool alive[4]; /* identities 1 to SESSIONS */
byte listeners[PORTS];
byte holds[4] = PORTS; /* the port a session listens on; PORTS none */
byte busy[4] = PORTS;
byte ended;

#define DIE                                                              \
  atomic {                                                               \
    alive[me] = false;                                                   \
    if                                                                   \
    :: holds[me] < PORTS -> listeners[holds[me]]--                       \
    :: else                                                              \
    fi;                                                                  \
    holds[me] = PORTS;                                                   \
    ended++;                                                             \
    goto dead                                                            \
  }

#define OR_DIE(statement)                                                \
  if                                                                     \
  :: statement                                                           \
  :: DIE                                                                 \
  fi

#define USED(p)                                                          \
  (owner[p] != 0 || busy[0] == p || busy[1] == p || busy[2] == p ||      \
    busy[3] == p)

/* hint_free(): what somebody who died had is over, too. */
#define HINT_FREE(p)                                                     \
  atomic {                                                               \
    taken[p] = false;                                                    \
    busy[me] = PORTS;                                                    \
    if :: !alive[1] && busy[1] == p -> busy[1] = PORTS :: else fi;       \
    if :: !alive[2] && busy[2] == p -> busy[2] = PORTS :: else fi;       \
    if :: !alive[3] && busy[3] == p -> busy[3] = PORTS :: else fi        \
  }

inline sweep() {
  p = 0;
  do
  :: p == PORTS -> break
  :: else ->
    if
    :: seen = owner[p]
    fi;
    if
    :: seen == 0 && taken[p] -> HINT_FREE(p)
    :: seen != 0 && !alive[seen] ->
      atomic {
        if
        :: owner[p] == seen -> owner[p] = 0; busy[me] = p; won = true
        :: else -> won = false
        fi
      };
      if
      :: won -> HINT_FREE(p)
      :: else
      fi
    :: else
    fi;
    p++
  od;
  seen = 0; won = false
}

proctype session(byte me) {
  byte p, seen, port = PORTS, rounds;
  bool won;

  do
  :: rounds == 2 -> break
  :: else ->
    rounds++;

    /* claim */
    if
    :: !taken[0] -> port = 0
    :: !taken[1] -> port = 1
    :: atomic { taken[0] && taken[1] -> assert(USED(0) && USED(1)) }
    fi;
    if
    :: port == PORTS ->
      sweep()
    :: else ->
      atomic {
        if
        :: !taken[port] -> taken[port] = true; busy[me] = port; won = true
        :: else -> won = false
        fi
      };
      if
      :: won ->
        OR_DIE(skip);
        atomic {
          busy[me] = PORTS;
          if
          :: owner[port] == 0 -> owner[port] = me
          :: else -> won = false
          fi
        }
      :: else -> skip
      fi;
      if
      :: won ->
        OR_DIE(skip);
        /* bind and listen; the kernel refuses a second listener, the module
         * must not need that */
        atomic {
          assert(listeners[port] == 0);
          listeners[port]++;
          holds[me] = port
        };
        if
        :: skip
        :: DIE
        fi;
        /* close, then release */
        atomic {
          listeners[port]--;
          holds[me] = PORTS
        };
        OR_DIE(skip);
        atomic {
          assert(owner[port] == me);
          owner[port] = 0;
          busy[me] = port
        };
        OR_DIE(HINT_FREE(port))
      :: else
      fi
    fi;
    port = PORTS; won = false; seen = 0
  od;
  atomic {
    alive[me] = false;
    ended++
  };
dead:
  skip
}

init {
  byte p, seen, me;
  bool won;

  atomic {
    alive[1] = true; alive[2] = true; alive[3] = true;
    run session(1); run session(2); run session(3)
  };
  ended == SESSIONS;
  sweep();
  assert(owner[0] == 0 && owner[1] == 0 && !taken[0] && !taken[1])
}
