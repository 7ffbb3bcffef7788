#include "sim/fault_strike.h"

#include <stdlib.h>

#include "sim/fault_tell.h"
#include "util/container_of.h"

static bool strikes_clients(const struct strike *strike)
{
    return strike->plan->whom.target == FAULT_CLIENTS;
}

static void time_is_over(struct supervisor_timer *timer)
{
    struct strike_victim *victim = CONTAINER_OF(timer, struct strike_victim, timer);

    victim->time_is_over = true;
    fault_runner_step(victim->strike->runner); /* the barrier may wait for this */
}

struct strike *strike_new(struct fault_runner *runner, const struct fault_setting *setting, struct fault_halts *halts,
                          size_t index)
{
    struct strike *strike = calloc(1, sizeof *strike);

    if (!strike)
        return NULL;
    strike->runner = runner;
    strike->setting = setting;
    strike->halts = halts;
    strike->index = index;
    strike->plan = &setting->plans[index];
    strike->for_s = strike->plan->for_s;
    strike->undo_round = -1;
    return strike;
}

/* --- victims --- */

static int make_victims(struct strike *strike, const uint32_t *chosen, size_t n, struct error *err)
{
    strike->chosen = true;
    strike->victims = calloc(n ? n : 1, sizeof *strike->victims);
    if (!strike->victims)
        return FAIL(err, ERR_MEMORY, "out of memory");
    strike->num_victims = n;
    for (size_t i = 0; i < n; i++) {
        struct strike_victim *victim = &strike->victims[i];

        victim->victim = (struct victim){
            .target = strike->plan->whom.target, .client = chosen ? chosen[i] : 0, .fault = strike->number};
        victim->timer.fire = time_is_over;
        victim->strike = strike;
    }
    return OK;
}

int strike_choose(struct strike *strike, const uint32_t *candidates, size_t n, struct error *err)
{
    const struct fault_setting *setting = strike->setting;
    const struct whom_draw draw = {setting->seed, strike->index, strike->occurrence};

    if (!strikes_clients(strike))
        return make_victims(strike, NULL, 1, err);
    uint32_t *chosen = calloc(setting->world->num_clients, sizeof *chosen);
    if (!chosen)
        return FAIL(err, ERR_MEMORY, "out of memory");
    n = fault_whom_choose(&strike->plan->whom, &draw, setting->fleet, candidates, n, chosen);
    int status = make_victims(strike, chosen, n, err);
    free(chosen);
    return status;
}

int strike_take(struct strike *strike, uint32_t client, struct error *err)
{
    return make_victims(strike, &client, 1, err);
}

static void let_go(struct strike *strike, struct strike_victim *victim)
{
    if (victim->is_held)
        fault_halt_release(strike->halts, victim->victim.client);
    victim->is_held = false;
}

void strike_free(struct strike *strike)
{
    struct supervisor *supervisor = strike->setting->world->supervisor;

    supervisor_timer_cancel(supervisor, &strike->delay);
    for (size_t i = 0; i < strike->num_victims; i++) {
        supervisor_timer_cancel(supervisor, &strike->victims[i].timer);
        let_go(strike, &strike->victims[i]);
    }
    free(strike->victims);
    free(strike);
}

void strike_arm(struct strike *strike)
{
    for (size_t i = 0; strikes_clients(strike) && i < strike->num_victims; i++) {
        fault_halt_hold(strike->halts, strike->victims[i].victim.client, strike->round);
        strike->victims[i].is_held = true;
    }
}

bool strike_is_ready(struct strike *strike)
{
    bool ready = true;

    for (size_t i = 0; strikes_clients(strike) && i < strike->num_victims; i++)
        ready &= fault_halt_is_over(strike->halts, &strike->victims[i].victim);
    return ready;
}

/* --- how long --- */

int64_t strike_last_round(const struct strike *strike)
{
    return strike->plan->for_rounds > 0 ? strike->round + strike->plan->for_rounds - 1 : -1;
}

/* An order names its rounds itself; anything else is taken back between two rounds. */
static void plan_end(struct strike *strike)
{
    if (strike->plan->for_rounds > 0 && !strike->plan->ops->by_order)
        strike->undo_round = strike_last_round(strike) + 1;
}

void strike_undo(struct strike *strike)
{
    strike->undo_round = -1;
    for (size_t i = 0; i < strike->num_victims; i++)
        strike->victims[i].time_is_over = true;
}

/* An order of rounds is over when the last of them is. */
static void check_rounds(struct strike *strike)
{
    int64_t finished = atomic_load(&shared_leader(strike->setting->world->shared)->rounds_finished);

    if (strike->plan->ops->by_order && strike->plan->for_rounds > 0 && finished > strike_last_round(strike))
        strike_undo(strike);
}

static bool will_end(const struct strike *strike)
{
    return strike->plan->ops->undo_at_once || strike->for_s > 0 || strike->plan->for_rounds > 0;
}

static bool lasts_for_a_time(const struct strike *strike)
{
    return strike->for_s > 0 || strike->plan->for_rounds > 0;
}

/* --- striking --- */

static void strike_one(struct strike *strike, struct strike_victim *victim)
{
    struct fault_world *world = strike->setting->world;
    struct error err = ERROR_INIT;

    victim->victim.activations = fault_activations(world, &victim->victim);
    victim->victim.starts = fault_process(world, &victim->victim)->starts;
    victim->victim.first_round = strike->by_round || strike->plan->for_rounds > 0 ? strike->round : 0;
    victim->victim.last_round = strike->plan->for_rounds > 0 ? strike_last_round(strike) : INT64_MAX;
    victim->stage = STRIKE_STRIKING;
    fault_tell_event(strike, "fault-strikes", victim);
    if (strike->plan->ops->strike(world, &victim->victim, strike->plan->args, &err))
        supervisor_fail(world->supervisor, &err);
    if (strike->for_s > 0)
        supervisor_timer_set(world->supervisor, &victim->timer, (uint64_t)(strike->for_s * 1e9));
}

void strike_begin(struct strike *strike)
{
    strike->began = true;
    plan_end(strike);
    fault_tell_begin(strike);
    for (size_t i = 0; i < strike->num_victims; i++)
        strike_one(strike, &strike->victims[i]);
}

/* The next stage of one victim, or the same one. */
static enum strike_stage struck_next(const struct strike *strike, const struct strike_victim *victim)
{
    const struct fault_ops *ops = strike->plan->ops;

    if (ops->by_order || ops->noticed(strike->setting->world, &victim->victim) ||
        (victim->time_is_over && ops->undo_unnoticed))
        return STRIKE_NOTICED;
    return STRIKE_STRUCK;
}

/* An order whose rounds are over needs no taking back. */
static enum strike_stage noticed_next(struct strike *strike, struct strike_victim *victim)
{
    const struct fault_ops *ops = strike->plan->ops;
    struct error err = ERROR_INIT;

    if (!will_end(strike))
        return STRIKE_OVER;
    if (lasts_for_a_time(strike) && !victim->time_is_over)
        return STRIKE_NOTICED;
    fault_tell_event(strike, "fault-undone", victim);
    if (ops->by_order && strike->plan->for_rounds > 0)
        return STRIKE_RECOVERING;
    if (ops->undo(strike->setting->world, &victim->victim, strike->plan->args, &err))
        supervisor_fail(strike->setting->world->supervisor, &err);
    return STRIKE_RECOVERING;
}

static enum strike_stage next_stage(struct strike *strike, struct strike_victim *victim)
{
    const struct fault_ops *ops = strike->plan->ops;
    const struct fault_world *world = strike->setting->world;

    switch (victim->stage) {
    case STRIKE_STRIKING:
        return ops->by_order || ops->struck(world, &victim->victim) ? STRIKE_STRUCK : STRIKE_STRIKING;
    case STRIKE_STRUCK:
        return struck_next(strike, victim);
    case STRIKE_NOTICED:
        return noticed_next(strike, victim);
    case STRIKE_RECOVERING:
        return ops->by_order || ops->recovered(world, &victim->victim) ? STRIKE_OVER : STRIKE_RECOVERING;
    default:
        return victim->stage;
    }
}

static void enter(struct strike *strike, struct strike_victim *victim, enum strike_stage stage)
{
    const struct fault_ops *ops = strike->plan->ops;
    enum strike_stage before = victim->stage;

    victim->stage = stage;
    if (stage == STRIKE_STRUCK)
        let_go(strike, victim); /* its thread wakes up into the fault, not past it */
    if (stage == STRIKE_NOTICED && !ops->by_order && ops->noticed(strike->setting->world, &victim->victim))
        fault_tell_event(strike, "fault-noticed", victim);
    if (stage == STRIKE_OVER && before == STRIKE_RECOVERING && !ops->by_order)
        fault_tell_event(strike, "fault-recovered", victim);
}

void strike_step(struct strike *strike)
{
    check_rounds(strike);
    for (size_t i = 0; i < strike->num_victims; i++) {
        struct strike_victim *victim = &strike->victims[i];

        for (;;) {
            enum strike_stage next = next_stage(strike, victim);

            if (next == victim->stage)
                break;
            enter(strike, victim, next);
        }
    }
}

static bool all_are(const struct strike *strike, enum strike_stage stage)
{
    for (size_t i = 0; i < strike->num_victims; i++)
        if (strike->victims[i].stage < stage)
            return false;
    return true;
}

bool strike_lets_go(const struct strike *strike)
{
    const struct fault_ops *ops = strike->plan->ops;

    if (!strike->began)
        return true;
    return all_are(strike, strike->plan->whom.target == FAULT_LEADER   ? STRIKE_STRUCK
                           : ops->undo_at_once || strike->holds_leader ? STRIKE_OVER
                                                                       : STRIKE_NOTICED);
}

bool strike_is_over(const struct strike *strike)
{
    return strike->began && all_are(strike, STRIKE_OVER);
}
