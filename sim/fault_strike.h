/* One fault that is happening to its victims. Each goes through the stages below, moved by strike_step after any event.
 */
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

struct strike_victim {
    struct victim victim;
    enum strike_stage stage;
    bool is_held; /* at its halt, or on its way there */
    bool time_is_over;
    struct supervisor_timer timer; /* of `for:` */
    struct strike *strike;
};

struct strike {
    struct fault_runner *runner; /* stepped when a timer has fired */
    const struct fault_setting *setting;
    struct fault_halts *halts; /* borrowed */
    size_t index;              /* of the plan */
    const struct fault_plan *plan;
    struct strike_victim *victims; /* owned */
    size_t num_victims;
    bool began; /* the fault was applied */
};

/* Chooses the victims among `candidates`; a fault of the leader or a server has its one. ERR_MEMORY. */
int strike_init(struct strike *strike, struct fault_runner *runner, const struct fault_setting *setting,
                struct fault_halts *halts, size_t index, const uint32_t *candidates, size_t n, struct error *err);
void strike_fini(struct strike *strike);

/* Cancels its timers, lets go whom it holds. An empty strike is fine. */
void strike_end(struct strike *strike);

/* Let each victim that trains in this round halt after its first mini-batch. */
void strike_arm(struct strike *strike, int64_t round);

/* Have all victims halted, as far as they will (fault_halt_is_over)? */
bool strike_is_ready(struct strike *strike);

/* Apply the fault. A failure is told to the supervisor. */
void strike_begin(struct strike *strike);

/* Move every victim as far as it goes. */
void strike_step(struct strike *strike);

/* May the leader go on? */
bool strike_lets_go(const struct strike *strike);

#endif
