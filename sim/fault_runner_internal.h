/* Between the files of the runner: the strikes that are open (fault_runner.c), what happens by the clock
 * (fault_clock.c), what waits for a round (fault_rounds.c), and barriers (fault_barrier.c). */
#ifndef FLOSIM_SIM_FAULT_RUNNER_INTERNAL_H
#define FLOSIM_SIM_FAULT_RUNNER_INTERNAL_H

#include "sim/fault_runner.h"
#include "sim/fault_strike.h"
#include "util/rng.h"

enum barrier_stage {
    BARRIER_NONE,     /* nothing waits for a round */
    BARRIER_ARMED,    /* waiting for the leader to select for the round */
    BARRIER_HALTING,  /* victims are on their way to their halt, or the leader is */
    BARRIER_STRIKING, /* the faults were applied, their effect is not seen yet */
};

/* Strikes of one round and phase. */
struct barrier {
    enum barrier_stage stage;
    int64_t round;
    enum fault_phase phase;
    struct strike *late;       /* for which any round will do; NULL: it is of this round */
    bool has_clients;          /* among its victims */
    bool needs_leader;         /* at the point of its phase: others than clients are struck there, or faults end */
    int at_selected, at_point; /* the leader's probes; -1: not armed */
    struct supervisor_timer patience;
};

struct lifetime { /* of one client, under a plan with `mttf` */
    struct fault_runner *runner;
    size_t index; /* of the plan */
    uint32_t client;
    struct rng rng; /* when it fails, how long it takes to repair, when it fails again … */
    struct supervisor_timer timer;
};

struct planned { /* one plan and what became of it */
    struct fault_runner *runner;
    size_t index;
    uint32_t num_strikes; /* that were made */
    bool has_struck;
    uint32_t ticks;                /* WHEN_TIME: how often its time has come */
    struct supervisor_timer timer; /* WHEN_TIME */
    struct lifetime *lives;        /* WHEN_MTTF, once the clock runs; owned */
    size_t num_lives;
};

enum { MAX_OPEN_STRIKES = 4096 };

struct fault_runner {
    struct fault_setting setting;
    struct planned *plans; /* [num_plans] */
    struct strike *open;   /* waiting or not over, by plan and occurrence */
    size_t num_open;
    uint32_t num_strikes; /* that were ever made */
    struct barrier barrier;
    bool replan;           /* a strike waits for a round that the barrier does not know of */
    int64_t watched_round; /* at its end the figures are looked at (WHEN_METRIC); -1: nobody waits for them */
    bool clock_runs;
    uint64_t clock_began_ns;
    bool has_ended; /* the session is over */
    struct fault_halts halts;
    uint32_t *clients; /* [num_clients] scratch */
};

struct leader_block *fault_runner_leader(const struct fault_runner *runner);

/* The next occurrence of plan `index`; it waits. NULL: that failed, and the supervisor knows. */
struct strike *fault_runner_open(struct fault_runner *runner, size_t index);

/* The same, of a plan that is tied to rounds. */
void fault_runner_open_in(struct fault_runner *runner, size_t index, int64_t round);

/* The victims among the first `n` of runner->clients. A failure is told to the supervisor. */
int fault_runner_choose(struct fault_runner *runner, struct strike *strike, size_t n);

/* It begins, and the next occurrence of a plan in several rounds is put on its way. */
void fault_runner_strike(struct fault_runner *runner, struct strike *strike);

/* The round in progress, from 0. */
int64_t fault_runner_round(const struct fault_runner *runner);

void clock_step(struct fault_runner *runner); /* starts it when the session begins */
void clock_end(struct fault_runner *runner);
double clock_now_s(const struct fault_runner *runner);                   /* since the session began */
void clock_follow(struct fault_runner *runner, struct strike *strike);   /* it begins after its plan's delay */
void clock_repaired(struct fault_runner *runner, struct strike *strike); /* one of a lifetime is over */
bool clock_will_strike(const struct fault_runner *runner, size_t index); /* again? */

bool rounds_has(const struct fault_runner *runner, const struct strike *strike);  /* does it begin at the barrier? */
bool rounds_ends(const struct fault_runner *runner, const struct strike *strike); /* is it taken back there? */
struct barrier rounds_next(const struct fault_runner *runner);                    /* round and phase; round -1: none */
void rounds_look_at(const struct fault_runner *runner, struct barrier *barrier);  /* who has to be halted for it */
void rounds_watch(struct fault_runner *runner);                                   /* the session begins */
void rounds_look_at_figures(struct fault_runner *runner); /* if this is the end of a round that is watched */

void barrier_init(struct fault_runner *runner);
void barrier_begin(struct fault_runner *runner); /* arms the first */
bool barrier_step(struct fault_runner *runner);  /* did it move? */
void barrier_end(struct fault_runner *runner);   /* nobody is held any more */

#endif
