/* Between the files of the runner: faults by time (fault_runner.c) and barriers (fault_barrier.c). */
#ifndef FLOSIM_SIM_FAULT_RUNNER_INTERNAL_H
#define FLOSIM_SIM_FAULT_RUNNER_INTERNAL_H

#include "sim/fault_runner.h"
#include "sim/fault_strike.h"

enum barrier_stage {
    BARRIER_NONE,     /* no fault by round is left */
    BARRIER_ARMED,    /* waiting for the leader to select for the round */
    BARRIER_HALTING,  /* victims are on their way to their halt, or the leader is */
    BARRIER_STRIKING, /* the faults were applied, their effect is not seen yet */
};

/* Faults of one round and phase. */
struct barrier {
    enum barrier_stage stage;
    int64_t round;
    enum fault_phase phase;
    bool has_clients;          /* among its victims */
    bool needs_leader;         /* at the point of its phase: others than clients are struck there */
    int at_selected, at_point; /* the leader's probes; -1: not armed */
    struct supervisor_timer patience;
};

struct scheduled {        /* one plan and what became of it */
    struct strike strike; /* empty until victims were chosen */
    bool chosen;
    struct supervisor_timer timer; /* of `at:` */
    struct fault_runner *runner;
    size_t index;
};

struct fault_runner {
    struct fault_setting setting;
    struct scheduled *faults; /* [num_plans] */
    struct barrier barrier;
    bool clock_runs; /* of `at:` */
    bool has_ended;  /* the session is over */
    struct fault_halts halts;
    uint32_t *clients; /* [num_clients] scratch */
};

struct leader_block *fault_runner_leader(const struct fault_runner *runner);

/* The victims of plan `i` among the first num_candidates of runner->clients. A failure is told to the supervisor. */
int fault_runner_choose(struct fault_runner *runner, size_t i, size_t num_candidates);

void barrier_init(struct fault_runner *runner);
void barrier_begin(struct fault_runner *runner); /* arms the first */
bool barrier_step(struct fault_runner *runner);  /* did it move? */
void barrier_end(struct fault_runner *runner);   /* nobody is held any more */

#endif
