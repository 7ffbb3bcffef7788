/* The grammar of `faults:` by example. A test reads each of them. */
#include "sim/fault_plan.h"

const struct fault_example fault_examples[] = {
    {"{round: 3, do: kill, clients: 5}", "in the third round, 5 of those that train in it"},
    {"{round: 3-7, do: stop, clients: 10%, for: 5s}", "in each round of the range, victims drawn anew"},
    {"{every: 2 rounds, do: restart, clients: 1}", "rounds 2, 4, 6 …"},
    {"{round: 3-9, every: 2 rounds, do: restart, clients: selected}", "rounds 3, 5, 7, 9; all that were selected"},
    {"{at: 12s, do: stop, clients: [0, 3], for: 5s}", "by the clock, from the session's begin"},
    {"{at: 5s, every: 10s, do: stop, clients: 2, for: 2s}", "at 5 s, 15 s, 25 s …"},
    {"{mttf: 36s, mttr: 10s, do: kill, clients: all}", "each client fails by itself, and is repaired"},
    {"{when: accuracy >= 70, do: kill, clients: 10%}", "once, in the round after the one at whose end it held"},
    {"{round: 3, do: kill, group: pi, for: 2 rounds}", "the group is away in rounds 3 and 4, back for round 5"},
    {"{round: 2, phase: end, do: stop, whom: leader, for: 3s}", "the leader stands still between two rounds"},
    {"{round: 4, then: [{do: stop, clients: 3, for: 2s}, {delay: 1s, do: broker-restart}]}",
     "one after another; a delay in seconds is by the clock"},
    {"{round: 4, do: restart, clients: 3, then: [{delay: 1 round, do: kill, clients: 1}]}",
     "a delay in rounds repeats exactly"},
    {0},
};
