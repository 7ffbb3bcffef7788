#include "sim/fault_runner.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fault_strike.h"
#include "util/container_of.h"

enum barrier_stage {
    BARRIER_NONE,     /* no fault by round is left */
    BARRIER_ARMED,    /* waiting for the leader to select for the round */
    BARRIER_HALTING,  /* victims are on their way to their halt */
    BARRIER_STRIKING, /* the faults were applied, their effect is not seen yet */
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
    enum barrier_stage stage;
    int64_t round;                /* of the barrier */
    int at_selected, at_training; /* the leader's probes; -1: not armed */
    struct supervisor_timer patience;
    bool clock_runs; /* of `at:` */
    bool has_ended;  /* the session is over */
    struct fault_halts halts;
    uint32_t *clients; /* [num_clients] scratch */
};

/* Nothing may hold a run for ever: neither a victim that does not get to its halt nor a leader that notices nothing. */
static void out_of_patience(struct supervisor_timer *timer)
{
    struct fault_runner *runner = CONTAINER_OF(timer, struct fault_runner, patience);
    const struct fault_world *world = runner->setting.world;
    struct error err = ERROR_INIT;

    if (runner->stage == BARRIER_HALTING)
        error_set(&err, ERR_DEADLINE, __FILE__, __LINE__,
                  "the victims of round %" PRId64 " did not come to their first mini-batch within %.0f s",
                  runner->round + 1, world->halt_limit_s);
    else
        error_set(&err, ERR_DEADLINE, __FILE__, __LINE__,
                  "the leader did not notice the faults of round %" PRId64 " within %.0f s; see logs/leader.log",
                  runner->round + 1, world->notice_limit_s);
    supervisor_fail(world->supervisor, &err);
}

int fault_runner_new(struct fault_runner **out, const struct fault_setting *setting, struct error *err)
{
    struct fault_runner *runner = calloc(1, sizeof *runner);

    if (!runner)
        return FAIL(err, ERR_MEMORY, "out of memory");
    runner->setting = *setting;
    runner->at_selected = runner->at_training = -1;
    runner->patience.fire = out_of_patience;
    runner->faults = calloc(setting->num_plans ? setting->num_plans : 1, sizeof *runner->faults);
    runner->clients = calloc(setting->world->num_clients, sizeof *runner->clients);
    if (!runner->faults || !runner->clients || fault_halts_init(&runner->halts, setting->world, NULL)) {
        fault_runner_free(runner);
        return FAIL(err, ERR_MEMORY, "out of memory");
    }
    *out = runner;
    return OK;
}

static struct leader_block *leader_of(const struct fault_runner *runner)
{
    return shared_leader(runner->setting.world->shared);
}

/* The runner needs three points at a time at most: one of a barrier that ends and two of the next. */
static int arm(struct fault_runner *runner, const char *point, int64_t round)
{
    int slot = probe_arm(&leader_of(runner)->probes, point, round);

    assert(slot >= 0);
    return slot;
}

static void release(struct fault_runner *runner, int *slot)
{
    if (*slot >= 0)
        probe_release(&leader_of(runner)->probes, *slot);
    *slot = -1;
}

void fault_runner_free(struct fault_runner *runner)
{
    if (!runner)
        return;
    if (runner->faults)
        fault_runner_end(runner);
    for (size_t i = 0; runner->faults && i < runner->setting.num_plans; i++)
        if (runner->faults[i].chosen)
            strike_fini(&runner->faults[i].strike);
    fault_halts_fini(&runner->halts);
    free(runner->faults);
    free(runner->clients);
    free(runner);
}

static int choose_victims(struct fault_runner *runner, size_t i, size_t num_candidates)
{
    struct scheduled *fault = &runner->faults[i];
    struct error err = ERROR_INIT;
    int status =
        strike_init(&fault->strike, runner, &runner->setting, &runner->halts, i, runner->clients, num_candidates, &err);

    fault->chosen = true;
    if (status)
        supervisor_fail(runner->setting.world->supervisor, &err);
    return status;
}

/* --- faults by time --- */

static size_t list_running(struct fault_runner *runner)
{
    const struct fault_world *world = runner->setting.world;
    size_t n = 0;

    for (size_t i = 0; i < world->num_clients; i++)
        if (world->clients[i].state == PROCESS_RUNNING)
            runner->clients[n++] = (uint32_t)i;
    return n;
}

static void time_has_come(struct supervisor_timer *timer)
{
    struct scheduled *fault = CONTAINER_OF(timer, struct scheduled, timer);

    if (choose_victims(fault->runner, fault->index, list_running(fault->runner)))
        return;
    strike_begin(&fault->strike);
    strike_step(&fault->strike);
}

/* --- barriers --- */

static bool is_of_barrier(const struct fault_runner *runner, size_t i)
{
    const struct fault_plan *plan = &runner->setting.plans[i];

    return plan->by_round && plan->round == runner->round;
}

/* Arm the first round after `after` that has a fault. */
static void arm_next(struct fault_runner *runner, int64_t after)
{
    int64_t next = -1;

    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        const struct fault_plan *plan = &runner->setting.plans[i];

        if (plan->by_round && plan->round > after && (next < 0 || plan->round < next))
            next = plan->round;
    }
    runner->stage = next < 0 ? BARRIER_NONE : BARRIER_ARMED;
    runner->round = next;
    if (next >= 0)
        runner->at_selected = arm(runner, "leader.selected", next);
}

/* Selected in this round (or any client, for faults by order), and not a victim of an earlier fault of the same round.
 */
static size_t list_candidates(struct fault_runner *runner, const struct fault_ops *ops)
{
    const struct fault_world *world = runner->setting.world;
    size_t n = 0;

    for (size_t i = 0; i < world->num_clients; i++) {
        bool free_to_take =
            ops->by_order || atomic_load(&shared_client(world->shared, i)->selected_round) == runner->round;

        for (size_t f = 0; f < runner->setting.num_plans && free_to_take; f++)
            for (size_t v = 0; is_of_barrier(runner, f) && v < runner->faults[f].strike.num_victims; v++)
                free_to_take &= runner->faults[f].strike.victims[v].victim.client != i;
        if (free_to_take)
            runner->clients[n++] = (uint32_t)i;
    }
    return n;
}

static void be_patient(struct fault_runner *runner, double limit_s)
{
    supervisor_timer_set(runner->setting.world->supervisor, &runner->patience, (uint64_t)(limit_s * 1e9));
}

/* Victims are chosen and halt; an order is given at once, before the leader sends the round's first request. */
static int begin_fault(struct fault_runner *runner, size_t i)
{
    struct scheduled *fault = &runner->faults[i];
    const struct fault_ops *ops = runner->setting.plans[i].ops;
    int status = choose_victims(runner, i, list_candidates(runner, ops));

    if (status)
        return status;
    if (ops->by_order)
        strike_begin(&fault->strike);
    else
        strike_arm(&fault->strike, runner->round);
    return OK;
}

/* An asynchronous session may have a round without a selection: then nothing strikes in it but orders. */
static bool skip_missed(struct fault_runner *runner)
{
    int64_t missed = runner->round;

    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && runner->setting.plans[i].ops->by_order && begin_fault(runner, i))
            return false;
    release(runner, &runner->at_selected);
    event_log_write(runner->setting.events, "fault-missed", json_pack("{s:I}", "round", (json_int_t)missed + 1));
    arm_next(runner, atomic_load(&leader_of(runner)->selected_round));
    return true;
}

/* ARMED -> HALTING once the leader halts with its selection made. */
static bool step_armed(struct fault_runner *runner)
{
    struct leader_block *leader = leader_of(runner);

    if (atomic_load(&leader->selected_round) > runner->round)
        return skip_missed(runner);
    if (probe_state(&leader->probes, runner->at_selected) != PROBE_HIT ||
        atomic_load(&leader->selected_round) != runner->round)
        return false;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && begin_fault(runner, i))
            return false;
    runner->at_training = arm(runner, "leader.training", runner->round);
    release(runner, &runner->at_selected);
    be_patient(runner, runner->setting.world->halt_limit_s);
    runner->stage = BARRIER_HALTING;
    return true;
}

/* HALTING -> STRIKING once every victim has halted. */
static bool step_halting(struct fault_runner *runner)
{
    bool ready = true;

    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i))
            ready &= strike_is_ready(&runner->faults[i].strike);
    if (!ready)
        return false;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && !runner->faults[i].strike.began)
            strike_begin(&runner->faults[i].strike);
    be_patient(runner, runner->setting.world->notice_limit_s);
    runner->stage = BARRIER_STRIKING;
    return true;
}

/* STRIKING -> the next barrier once the leader's roster shows it all. */
static bool step_striking(struct fault_runner *runner)
{
    int at_training = runner->at_training;

    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (is_of_barrier(runner, i) && !strike_lets_go(&runner->faults[i].strike))
            return false;
    supervisor_timer_cancel(runner->setting.world->supervisor, &runner->patience);
    runner->at_training = -1;
    arm_next(runner, runner->round); /* before the leader goes on, or it could pass by */
    release(runner, &at_training);
    return true;
}

static bool step_barrier(struct fault_runner *runner)
{
    switch (runner->stage) {
    case BARRIER_ARMED:
        return step_armed(runner);
    case BARRIER_HALTING:
        return step_halting(runner);
    case BARRIER_STRIKING:
        return step_striking(runner);
    default:
        return false;
    }
}

/* --- the whole --- */

void fault_runner_begin(struct fault_runner *runner)
{
    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        runner->faults[i].runner = runner;
        runner->faults[i].index = i;
        runner->faults[i].timer.fire = time_has_come;
    }
    arm_next(runner, -1);
}

/* `at:` counts from the leader's word that the session began: before it there is nothing to disturb. */
static void start_clock(struct fault_runner *runner)
{
    if (runner->clock_runs || atomic_load(&leader_of(runner)->session_stage) != STAGE_RUNNING)
        return;
    runner->clock_runs = true;
    for (size_t i = 0; i < runner->setting.num_plans; i++)
        if (!runner->setting.plans[i].by_round)
            supervisor_timer_set(runner->setting.world->supervisor, &runner->faults[i].timer,
                                 (uint64_t)(runner->setting.plans[i].at_s * 1e9));
}

void fault_runner_step(struct fault_runner *runner)
{
    if (runner->has_ended)
        return;
    start_clock(runner);
    do {
        for (size_t i = 0; i < runner->setting.num_plans; i++)
            if (runner->faults[i].strike.began)
                strike_step(&runner->faults[i].strike);
    } while (step_barrier(runner));
}

size_t fault_runner_end(struct fault_runner *runner)
{
    size_t missed = 0;

    for (size_t i = 0; i < runner->setting.num_plans; i++) {
        supervisor_timer_cancel(runner->setting.world->supervisor, &runner->faults[i].timer);
        strike_end(&runner->faults[i].strike);
        missed += !runner->faults[i].strike.began;
    }
    supervisor_timer_cancel(runner->setting.world->supervisor, &runner->patience);
    release(runner, &runner->at_selected);
    release(runner, &runner->at_training);
    runner->stage = BARRIER_NONE;
    runner->has_ended = true;
    return missed;
}
