/* One occurrence of a planned fault. It waits for its round or time, chooses its victims, begins; each victim goes
 * through the stages below, moved by strike_step after any event. The supervisor's thread only. */
#ifndef FLOSIM_SIM_FAULT_STRIKE_H
#define FLOSIM_SIM_FAULT_STRIKE_H

#include "sim/fault_halt.h"
#include "sim/fault_plan.h"
#include "sim/fault_runner.h"

enum strike_stage {
    STRIKE_CHOSEN,     /* not yet: it runs on, or halts at its probe */
    STRIKE_STRIKING,   /* the fault was applied, the system has not carried it out */
    STRIKE_STRUCK,     /* it cannot act; the leader does not know */
    STRIKE_NOTICED,    /* the leader knows (or the fault's time was over before that) */
    STRIKE_RECOVERING, /* taken back; the leader does not know */
    STRIKE_OVER,       /* nothing more will happen */
};

struct strike;
struct lifetime;

struct strike_victim {
    struct victim victim;
    enum strike_stage stage;
    bool is_held; /* at its halt, or on its way there */
    bool time_is_over;
    struct supervisor_timer timer; /* of `for:` */
    struct strike *strike;
};

struct strike {
    struct strike *next;         /* of the runner's open ones, by plan and occurrence */
    struct fault_runner *runner; /* stepped when a timer has fired */
    const struct fault_setting *setting;
    struct fault_halts *halts; /* borrowed */
    size_t index;              /* of the plan */
    const struct fault_plan *plan;
    uint32_t occurrence; /* of the plan, from 0 */
    uint32_t number;     /* of all strikes, from 1 */

    bool by_round; /* it happens at the barrier of this round and the plan's phase */
    bool is_late;  /* its round went by without it: it happens at the next such point that comes */
    int64_t round; /* from 0; by the clock: the one in progress when it began */
    double at_s;   /* by the clock: since the session began */
    double for_s;  /* 0: for good, at once, or for rounds */
    struct supervisor_timer delay;
    struct lifetime *lifetime; /* of WHEN_MTTF; else NULL */

    bool chosen, began;
    bool holds_leader;             /* until it is over */
    bool followed;                 /* what follows it was put on its way */
    int64_t undo_round;            /* to be taken back before clients are selected for this round; -1: it is not */
    struct strike_victim *victims; /* owned */
    size_t num_victims;
};

/* One that waits. NULL: out of memory. */
struct strike *strike_new(struct fault_runner *runner, const struct fault_setting *setting, struct fault_halts *halts,
                          size_t index);

/* Cancels its timers, lets go whom it holds. */
void strike_free(struct strike *strike);

/* Chooses the victims among `candidates`; a fault of the leader or a server has its one. ERR_MEMORY. */
int strike_choose(struct strike *strike, const uint32_t *candidates, size_t n, struct error *err);

/* Just this client; nobody for a fault of others. */
int strike_take(struct strike *strike, uint32_t client, struct error *err);

/* Let each victim that trains in its round halt after its first mini-batch. */
void strike_arm(struct strike *strike);

/* Have all victims halted, as far as they will (fault_halt_is_over)? */
bool strike_is_ready(struct strike *strike);

/* Apply the fault. A failure is told to the supervisor. */
void strike_begin(struct strike *strike);

/* Move every victim as far as it goes. */
void strike_step(struct strike *strike);

/* The rounds that it was to last are over. */
void strike_undo(struct strike *strike);

/* May the leader go on? */
bool strike_lets_go(const struct strike *strike);

/* Has it begun, and nothing more will happen? */
bool strike_is_over(const struct strike *strike);

/* The last round in which it lasts, where that is known before it is over; else -1. */
int64_t strike_last_round(const struct strike *strike);

#endif
