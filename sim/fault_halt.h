/* The victims' halts of a barrier. A client halts once, after its first mini-batch, however many faults are about to
 * strike it, and stays there until the last of them lets it go. The supervisor's thread only. */
#ifndef FLOSIM_SIM_FAULT_HALT_H
#define FLOSIM_SIM_FAULT_HALT_H

#include "sim/fault.h"

struct fault_halt {
    int probe;        /* slot of its armed "worker.training"; -1: none */
    uint32_t holders; /* faults that hold it */
    /* When that was armed: */
    uint32_t answers;     /* how much work it had ended */
    uint32_t activations; /* how often the leader had seen it come */
};

struct fault_halts {
    struct fault_world *world; /* borrowed */
    struct fault_halt *of;     /* [num_clients] */
};

/* ERR_MEMORY. */
int fault_halts_init(struct fault_halts *halts, struct fault_world *world, struct error *err);
void fault_halts_fini(struct fault_halts *halts);

/* Is it to train in this round, and has not answered? In an asynchronous session who was selected may have. */
bool fault_halt_is_due(const struct fault_world *world, size_t client, int64_t round);

/* Let the client halt if it trains in this round. Every hold needs its release. */
void fault_halt_hold(struct fault_halts *halts, size_t client, int64_t round);
void fault_halt_release(struct fault_halts *halts, size_t client);

/* Has a held client halted, or will it never: not selected, dead, its work ended another way, or given up by the leader
 * (even if it has come back since: its request is lost)? Takes the compute slot of one that halted, so that others get
 * to their halt. */
bool fault_halt_is_over(struct fault_halts *halts, const struct victim *victim);

#endif
