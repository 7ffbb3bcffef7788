/* Makes the planned faults happen. The supervisor's thread only.
 *
 * Faults of one round form a barrier. The leader halts when it has selected clients for the round
 * ("leader.selected"); victims are chosen among them and their "worker.training" is armed, and the leader's
 * "leader.training", where it will not end the round. Each victim halts after its first mini-batch; when all have, the
 * fault strikes, and the leader goes on once its roster shows the effect. So the same clients fail at the same point of
 * the same round in every run. Faults of the leader and of servers strike when the leader halts at the point of their
 * phase. Faults by the clock just strike.
 *
 * Each occurrence of a plan is a strike (fault_strike.h). Those that wait for a round, those that are to be taken back
 * between two rounds, and figures that are to be looked at when one is over, make the barriers: the earliest of them is
 * always the next, whatever came to wait meanwhile. */
#ifndef FLOSIM_SIM_FAULT_RUNNER_H
#define FLOSIM_SIM_FAULT_RUNNER_H

#include "sim/fault_plan.h"
#include "util/event_log.h"

struct fault_runner;

/* Everything is borrowed for the runner's life. */
struct fault_setting {
    const struct fault_plan *plans;
    size_t num_plans;
    uint64_t seed;
    const struct fleet *fleet;
    struct fault_world *world;
    struct event_log *events;
};

int fault_runner_new(struct fault_runner **out, const struct fault_setting *setting, struct error *err);
void fault_runner_free(struct fault_runner *runner);

/* The session is about to be submitted: arms the first barrier. */
void fault_runner_begin(struct fault_runner *runner);

/* After any event: processes changed, a probe was hit, the roster changed. */
void fault_runner_step(struct fault_runner *runner);

/* The session is over: nothing strikes any more, nobody is held. Returns how many faults never struck. */
size_t fault_runner_end(struct fault_runner *runner);

#endif
